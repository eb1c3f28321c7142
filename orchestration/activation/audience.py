"""Audiences as files: who is wanted, for what, by which medium, and where the file goes."""

import re
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

#: Consent that each medium needs. Nobody is asked about pushes and advertisements alone: both follow a profile.
CONSENT_OF_MEDIUM = {
    "email": "consent_email",
    "sms": "consent_sms",
    "mail": "consent_mail",
    "push": "consent_profiling",
    "ads": "consent_profiling",
}
#: Consents that a purpose needs besides.
CONSENT_OF_PURPOSE: dict[str, tuple[str, ...]] = {"marketing": (), "profiling": ("consent_profiling",)}

#: Columns of a file that say how to reach a person, by medium.
CONTACT_COLUMNS: dict[str, tuple[str, ...]] = {
    "email": ("email",),
    "sms": ("phone",),
    "mail": ("first_name", "last_name", "street", "postal_code", "city", "country"),
    "push": (),
    "ads": ("email_sha256", "phone_sha256"),
}

#: Functions whose result is another one tomorrow, or at each call: the same release must give the same audience.
_CHANGING = re.compile(
    r"^(random|setseed|uuid|uuidv\d|gen_random_uuid|now|today|current_\w+|get_current_\w+|transaction_timestamp|localtime\w*|nextval)$"
)
_Text = Annotated[str, Field(min_length=1)]


class AudienceError(ValueError):
    """An audience cannot be used; the message names file, line and rule."""


class ExportError(RuntimeError):
    """An audience was not exported; the message says why. What was delivered before stays in force."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cap(_Strict):
    """At most so many messages of the audience's medium to a person within so many days."""

    messages: Annotated[int, Field(ge=1)]
    days: Annotated[int, Field(ge=1)]


class FolderDestination(_Strict):
    """A folder of this machine, or one mounted there."""

    type: Literal["folder"]
    path: Path


class S3Destination(_Strict):
    """A bucket; ``server`` is the name under which the environment gives key and secret."""

    type: Literal["s3"]
    bucket: _Text
    prefix: str = ""
    endpoint: str | None = None
    server: str = "audiences"


class SftpDestination(_Strict):
    """A folder of an SFTP server, which proves itself by ``host_key`` (a line as in ``known_hosts``, without the name)."""

    type: Literal["sftp"]
    host: _Text
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    folder: str = "."
    host_key: Annotated[str, Field(pattern=r"^[a-z0-9@.-]+ [A-Za-z0-9+/=]+$")]
    server: str = "audiences"


Destination = Annotated[FolderDestination | S3Destination | SftpDestination, Field(discriminator="type")]


class Audience(_Strict):
    """One audience; its name is that of its file. Without a destination it stays in ``FIDELIS_HOME/activation``."""

    name: str
    file: Path
    description: _Text
    purpose: Literal["marketing", "profiling"]
    medium: Literal["email", "sms", "mail", "push", "ads"]
    campaign: _Text
    where: _Text
    columns: tuple[str, ...] = ()
    platform: Literal["google", "meta"] | None = None
    frequency_cap: Cap | Literal["none"]
    destination: Destination | None = None

    @model_validator(mode="after")
    def _columns_once(self) -> "Audience":
        own = ("customer_id", "account_id", *CONTACT_COLUMNS[self.medium])
        twice = [c for c in self.columns if c in own or self.columns.count(c) > 1]
        if twice:
            raise ValueError(f"columns: {twice[0]} is in the file once already")
        return self

    @model_validator(mode="after")
    def _platform_of_ads(self) -> "Audience":
        if (self.medium == "ads") != (self.platform is not None):
            raise ValueError(
                "platform (google or meta) is given with medium ads, and only there: it says how identifiers are hashed"
            )
        return self

    @property
    def consents(self) -> tuple[str, ...]:
        """The columns of dim_customer that must all be true."""
        return tuple(dict.fromkeys((CONSENT_OF_MEDIUM[self.medium], *CONSENT_OF_PURPOSE[self.purpose])))

    @property
    def place(self) -> str:
        """Where the files go, for people; empty where they stay. The difference is against what went to the same place."""
        to = self.destination
        if isinstance(to, FolderDestination):
            return str(to.path)
        if isinstance(to, S3Destination):
            return f"s3://{to.bucket}/{to.prefix}"
        return f"sftp://{to.host}:{to.port}/{to.folder}" if to is not None else ""

    @property
    def fingerprint(self) -> str:
        """Tells definitions apart."""
        return sha256(self.model_dump_json(exclude={"file", "description"}).encode()).hexdigest()[:12]


def audience_files(folder: Path) -> dict[str, Path]:
    """The files of a folder (``*.yml``, ``*.yaml``) by the name of their audience. Raises AudienceError where two have one name."""
    if not folder.is_dir():
        raise AudienceError(f"{folder}: there is no such folder; FIDELIS_AUDIENCES must name the folder of audiences")
    found: dict[str, Path] = {}
    for file in sorted((*folder.glob("*.yml"), *folder.glob("*.yaml"))):
        if file.stem in found:
            raise AudienceError(f"{file}: there is an audience {file.stem} already, {found[file.stem]}")
        found[file.stem] = file
    return found


def load_audience(file: Path) -> Audience:
    """One audience. Raises AudienceError with file, line and rule where it says what is not known."""
    import yaml

    if not re.fullmatch(r"[a-z][a-z0-9_]*", file.stem):
        raise AudienceError(f"{file}: the name of an audience is its file's: small letters, digits and _")
    text = file.read_text(encoding="utf-8")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise AudienceError(f"{file}, line {line}: is no YAML: {getattr(error, 'problem', None) or error}") from error
    if not isinstance(content, dict):
        raise AudienceError(
            f"{file}, line 1: an audience is a mapping of description, purpose, medium, where and so on"
        )
    for own in ("name", "file"):
        if own in content:
            raise AudienceError(f"{file}, line {_line(node, (own,))}: {own}: the name of an audience is its file's")
    try:
        audience = Audience(name=file.stem, file=file, **{str(k): v for k, v in content.items()})
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(first["loc"])
        said = ".".join(str(part) for part in place)
        sentence = str(first["msg"]).removeprefix("Value error, ")
        raise AudienceError(f"{file}, line {_line(node, place)}: {f'{said}: ' if said else ''}{sentence}") from error
    check_condition(audience, _line(node, ("where",)))
    return audience


def check_condition(audience: Audience, line: int) -> None:
    """Raise AudienceError where ``where`` is not one condition over schema mart whose result a release decides alone."""
    import sqlglot
    from sqlglot import exp

    place = f"{audience.file}, line {line}: where"
    try:
        parsed = sqlglot.parse(audience.where, read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        said = getattr(error, "errors", None) or [{}]
        near = f" near '{said[0].get('highlight')}'" if said[0].get("highlight") else ""
        raise AudienceError(f"{place}: is no SQL condition{near}") from None
    if len(parsed) != 1 or not isinstance(parsed[0], (exp.Condition, exp.Paren)) or isinstance(parsed[0], exp.Query):
        raise AudienceError(f"{place}: must be one condition that is true or false for a customer, no statement")
    for table in parsed[0].find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier) or table.db not in ("", "mart") or table.catalog:
            raise AudienceError(f"{place}: '{table.sql(dialect='duckdb')}' is no table of schema mart")
    for function in parsed[0].find_all(exp.Func):
        name = function.sql(dialect="duckdb").split("(")[0].lower()
        if _CHANGING.match(name):
            raise AudienceError(
                f"{place}: {name} gives another result at another time; the release's day is as_of_date"
            )


def _line(node: Any, place: tuple[int | str, ...]) -> int:
    """The line of a key, or of what encloses it."""
    line = int(node.start_mark.line)
    for part in place:
        if isinstance(part, int) and isinstance(node.value, list) and part < len(node.value):
            node = node.value[part]
            line = int(node.start_mark.line)
            continue
        entries = [(k, v) for k, v in node.value if k.value == str(part)] if isinstance(node.value, list) else []
        if not entries:  # a tag of a union, or a key that is missing
            continue
        line, node = int(entries[0][0].start_mark.line), entries[0][1]
    return line + 1


def export_id(as_of: date, number: int) -> str:
    """The name of an export: the release's day, and how many of the audience there were."""
    return f"{as_of:%Y%m%d}-{number:04d}"
