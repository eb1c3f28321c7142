"""The declared rules of identity: how values are normalised, which keys are evidence, what is the same person.

``rules.yaml`` beside this module is the default; the setting ``FIDELIS_IDENTITY_RULES`` names another file.
"""

from datetime import date
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestration.settings import Settings

DEFAULT_RULES = Path(__file__).with_name("rules.yaml")

Key = Literal[
    "loyalty_number", "email", "phone", "first_name", "last_name", "birth_date", "street", "postal_code", "city"
]


class RulesError(ValueError):
    """The file of rules cannot be used; the message names it and says what to change."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Provider(_Part):
    """What an e-mail provider ignores in the part before @."""

    ignore_dots: bool = False
    ignore_tags: bool = False
    same_as: str | None = None


class Email(_Part):
    """Rules of e-mail addresses: the default, those of single providers, and whether one of unknown state is evidence."""

    ignore_tags: bool
    ignore_dots: bool
    verified_where_unknown: bool = True
    providers: dict[str, Provider] = Field(default_factory=dict)

    def of(self, domain: str) -> Provider:
        """The rules of a domain."""
        return self.providers.get(domain) or Provider(ignore_dots=self.ignore_dots, ignore_tags=self.ignore_tags)


class Names(_Part):
    """Words that are no part of a name."""

    particles: tuple[str, ...]
    unknown: tuple[str, ...]

    @cached_property
    def particle_names(self) -> frozenset[str]:
        """The particles, for look-up."""
        return frozenset(self.particles)

    @cached_property
    def unknown_names(self) -> frozenset[str]:
        """What stands for no name, for look-up."""
        return frozenset(self.unknown)


class Streets(_Part):
    """Abbreviations of kinds of street."""

    abbreviations: dict[str, str]


class Blocked(_Part):
    """Keys that are nobody's own."""

    email_names: frozenset[str]
    email_domains: frozenset[str]
    emails: frozenset[str]
    phones: frozenset[str]
    loyalty_numbers: frozenset[str]


class Rule(_Part):
    """Records with equal ``keys`` are of one person, unless what is ``against`` it."""

    name: str
    keys: tuple[Key, ...] = Field(min_length=1)
    against: tuple[Literal["first_name", "last_name", "birth_date", "first_name_and_birth_date"], ...] = ()


class Similar(_Part):
    """Match weights (log2 of the odds) from which a compared pair is one person, or a person looks at it.

    ``compare`` false: exact keys alone decide.
    """

    compare: bool = True
    same_from: float
    review_from: float
    people: int | None = Field(default=None, ge=1)


class Ruleset(_Part):
    """All rules, in the order of trust."""

    default_country: str = Field(pattern="^[A-Z]{2}$")
    email: Email
    names: Names
    streets: Streets
    unknown_birth_dates: frozenset[date]
    blocked: Blocked
    shared_by_at_most: int = Field(ge=1)
    rules: tuple[Rule, ...] = Field(min_length=1)
    similar: Similar
    alarm_above: int = Field(ge=2)
    version: str = ""

    def __hash__(self) -> int:
        return hash(self.version)


def load_rules(settings: Settings) -> Ruleset:
    """The rules in force. Raises RulesError for a file that is not there or says what is not known."""
    file = settings.identity_rules or DEFAULT_RULES
    if not file.exists():
        raise RulesError(f"{file}: there is no such file; FIDELIS_IDENTITY_RULES must name a copy of {DEFAULT_RULES}")
    return _read(file, file.read_bytes())


@lru_cache(maxsize=2)
def _read(file: Path, content: bytes) -> Ruleset:
    import yaml

    try:
        values = yaml.safe_load(content)
        rules = Ruleset.model_validate(values | {"version": sha256(content).hexdigest()[:12]})
    except (yaml.YAMLError, ValidationError, TypeError) as error:
        raise RulesError(f"{file}: {error}") from error
    names = [rule.name for rule in rules.rules]
    if len(set(names)) != len(names):
        raise RulesError(f"{file}: two rules have one name; explanations could not tell them apart")
    if rules.similar.review_from > rules.similar.same_from:
        raise RulesError(f"{file}: similar.review_from is above similar.same_from")
    return rules
