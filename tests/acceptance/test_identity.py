"""Persons recognised in record-linkage data with known clusters, through contracts; the truth is not delivered."""

import csv
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb
import pytest

from orchestration import identity, identity_files
from orchestration.contracts import load_contracts
from orchestration.extraction import extract
from orchestration.settings import Settings
from tests.support.real import records, shared

pytestmark = pytest.mark.acceptance
CONTRACTS = Path(__file__).parent / "identity_contracts"
DAY = date(2024, 1, 1)


def deliver(home: Settings, file: Path, truth: str) -> dict[str, str]:
    """Put the file into the landing folder in any order, its ids and truth taken out; returns the cluster of each record."""
    header, *rows = ([value.strip() for value in row] for row in records(file))
    random.Random(4).shuffle(rows)
    hidden = {header.index(name) for name in ("unique_id", "cluster", "rec_id") if name in header}
    home.landing_dir.mkdir(parents=True)
    with open(home.landing_dir / "people.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", *(name for place, name in enumerate(header) if place not in hidden)])
        writer.writerows(
            [number, *(value for place, value in enumerate(row) if place not in hidden)]
            for number, row in enumerate(rows)
        )
    place = header.index(truth)
    return {str(n): row[place].rsplit("-dup")[0].removesuffix("-org") for n, row in enumerate(rows)}


def scores(found: Mapping[str, str], true: Mapping[str, str]) -> tuple[float, float, float]:
    """Pairwise precision, recall and F1."""

    def pairs(groups: Sequence[object]) -> int:
        return sum(n * (n - 1) // 2 for n in Counter(groups).values())

    both = pairs([(found[r], true[r]) for r in true])
    precision, recall = both / pairs(list(found.values())), both / pairs(list(true.values()))
    return precision, recall, 2 * precision * recall / (precision + recall)


def labelled_score(found: Mapping[str, str], file: Path, numbers: Mapping[str, str]) -> float:
    """F1 over the labelled pairs; ``numbers`` are the ids that records were delivered under."""
    header, *pairs = records(file)
    left, right, score = (header.index(name) for name in ("unique_id_l", "unique_id_r", "clerical_match_score"))
    said = Counter((found[numbers[p[left]]] == found[numbers[p[right]]], float(p[score]) == 1) for p in pairs)
    return 2 * said[True, True] / (2 * said[True, True] + said[True, False] + said[False, True])


def identified(home: Settings) -> dict[str, str]:
    with duckdb.connect() as con:
        return dict(con.execute(
            f"select source_id, customer_id from ({identity_files.relation(home, 'identities')})"
        ).fetchall())  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "name", "contracts", "truth", "is_trained"),
    [
        ("identity_fake1000", "fake_1000", "fake_1000", "cluster", True),
        ("identity_febrl1_2", "febrl1", "febrl", "rec_id", False),
        ("identity_febrl1_2", "febrl1", "febrl", "rec_id", True),
        ("identity_febrl1_2", "febrl2", "febrl", "rec_id", False),
        ("identity_febrl1_2", "febrl2", "febrl", "rec_id", True),
    ],
)
def test_persons_are_recognised_as_well_as_by_the_best_reference(
    folder: str, name: str, contracts: str, truth: str, is_trained: bool, tmp_path: Path
) -> None:
    data = shared(folder)
    home = Settings(_env_file=None, home=tmp_path, first_day=DAY, threads=2)
    true = deliver(home, data / f"{name}.csv", truth)
    declared = load_contracts(CONTRACTS / contracts)
    partition = extract(home, declared["customers"], [DAY])[DAY]
    assert partition.failure is None
    assert partition.rows_loaded == len(true)
    if is_trained:
        identity.train(home, declared)
    identity.build(home, declared, DAY)
    found = identified(home)
    assert found.keys() == true.keys()
    _, *references = records(data / "expected" / "reference_scores.csv")
    best = {row[1]: float(row[-1]) for row in references if row[0] == name and row[-1]}
    over_labels = {method: f1 for method, f1 in best.items() if "labelled pairs" in method}
    precision, _, f1 = scores(found, true)
    assert f1 >= max(f1 for method, f1 in best.items() if method not in over_labels)
    assert precision >= 0.985
    if over_labels:
        assert f1 >= max(over_labels.values())
        header, *rows = records(data / f"{name}.csv")
        order = list(range(len(rows)))
        random.Random(4).shuffle(order)
        numbers = {rows[place][header.index("unique_id")]: str(number) for number, place in enumerate(order)}
        assert labelled_score(found, data / f"{name}_labels.csv", numbers) >= max(over_labels.values())
