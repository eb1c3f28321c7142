"""The weights of similarity: how often each level of agreement is seen among records of one person, and of two.

``weights`` is {attribute: {level: [m, u]}}: m, the share of the pairs of one person that agree so, u, that of the pairs of two.
A model that was trained says on how many records, through which delivery day, and how many people a record could be of.
"""

import json
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestration.settings import Settings

DEFAULT_MODEL = Path(__file__).with_name("model.json")


class ModelError(ValueError):
    """The weights cannot be used; the message names the file and says what to change."""


class Model(BaseModel):
    """Weights with where they come from; ``version`` is a fingerprint of the whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    trained_through: str | None = None
    records: int | None = None
    people: int | None = Field(default=None, ge=1)
    weights: dict[str, dict[str, tuple[float, float]]]
    version: str = ""


def model_file(settings: Settings) -> Path:
    """The weights in force."""
    own = settings.identity_dir / "model.json"
    return own if own.exists() else DEFAULT_MODEL


def read_model(settings: Settings) -> Model:
    """The weights in force. Raises ModelError for a file that does not hold every weight."""
    file = model_file(settings)
    return _read(file, file.read_bytes())


@lru_cache(maxsize=4)
def _read(file: Path, content: bytes) -> Model:
    try:
        model = Model.model_validate(json.loads(content) | {"version": sha256(content).hexdigest()[:12]})
    except (ValidationError, ValueError, TypeError) as error:
        raise ModelError(f"{file}: {error}") from error
    for attribute, levels in model.weights.items():
        for label, (m, u) in levels.items():
            if not (0 < m <= 1 and 0 < u <= 1):
                raise ModelError(f"{file}: the weights of {attribute}, {label}, are no shares above 0: {m}, {u}")
    return model
