"""The sample retailer: daily landing files of a known truth.

`generate` is all there is to call; nothing heavy is imported before it is.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path

__all__ = ["generate"]


def generate(
    out: Path,
    *,
    customers: int = 2000,
    start: date,
    end: date,
    seed: int = 7,
    dirt: float = 0.0,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, int]:
    """Write the landing files of a made-up retailer under `out`, and the truth under `out/truth`.

    `customers` is the number of persons; as some hold several accounts and some none, there are about a
    quarter more accounts. Every business day from `start` to `end`, both included, gets its files. The same
    arguments give the same files. `dirt` is the share of bad rows added on top of the clean ones, counted in
    `truth/dirt.csv`. `progress` is called with a step's name and the share done.

    A former sample in `out` is replaced. Returns the clean rows written, by table.

    Raises:
        ValueError: no customers, an end before the start, a rate outside 0 to 0.5, or a folder that holds
            landing files which no sample wrote.
    """
    from orchestration.sample.run import generate_sample

    return generate_sample(out, customers, start, end, seed, dirt, progress)
