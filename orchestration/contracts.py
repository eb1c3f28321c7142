"""Source contracts: what is captured from each delivery, from which header, with which type and rules.

A contract is one file of the Open Data Contract Standard (v3). The default contracts (``contracts/``) are
also the vocabulary of the mart: the tables there are, their columns, types, keys and allowed values. Another
retailer's contracts map other headers, or SQL expressions over them, to those same columns.

Extraction, the quality gate, the dbt sources and the register of personal data are all derived from here.
"""

import codecs
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, cast
from zoneinfo import available_timezones

from orchestration.rules import PAST_WEEKDAYS, DriftRule, Rule, Severity, allowed_values, column_rules, drift_rules
from orchestration.servers import Server, ServerError, parse_server
from orchestration.settings import DEFAULT_CONTRACTS_DIR

Mode = Literal["full", "changes", "append"]

SQL_TYPES = {
    "string": "varchar",
    "integer": "bigint",
    "number": "decimal(18,4)",
    "date": "date",
    "timestamp": "timestamp",
    "boolean": "boolean",
}


class ContractError(ValueError):
    """A contract cannot be used; the message names the file and says what to change."""


@dataclass(frozen=True)
class Column:
    """One captured column: our name and type, and where its value comes from.

    ``header`` is the source's name, ``expression`` SQL over the source's names; neither means that the
    retailer does not have it, and it stays null.
    """

    name: str
    logical_type: str
    sql_type: str
    description: str
    classification: str
    header: str | None = None
    expression: str | None = None
    format: str | None = None
    required: bool = False
    key_position: int | None = None
    watched: bool = True
    rules: tuple[Rule, ...] = ()

    @property
    def captured(self) -> bool:
        """Whether this retailer delivers the column."""
        return self.header is not None or self.expression is not None


@dataclass(frozen=True)
class Contract:
    """The contract of one table with one retailer."""

    table: str
    version: str
    file: Path
    description: str
    purpose: str
    legal_basis: str
    retention: str
    path: str
    format: str
    delimiter: str
    quote: str
    encoding: str
    timezone: str
    decimal_sign: str
    null_text: str | None
    compression: str | None
    mode: Mode
    required: bool
    tolerated_share: float
    tolerated_rows: int
    prices_include_tax: bool
    delivery_date: date | None
    source: str
    where: str | None
    columns: tuple[Column, ...]
    row_rules: tuple[Rule, ...]
    drift: tuple[DriftRule, ...]
    server: Server

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Names of the primary key's columns, in order."""
        keyed = [c for c in self.columns if c.key_position is not None]
        return tuple(c.name for c in sorted(keyed, key=lambda c: c.key_position or 0))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of a row, columns first; a rule's index is its bit in ``_violations``."""
        return (*(r for c in self.columns if c.captured for r in c.rules), *self.row_rules)

    @cached_property
    def content(self) -> str:
        """A fingerprint of what decides which rows a delivery becomes: reading, columns, types, expressions, rules.

        Descriptions, purposes, places, tolerances and drift rules may change without a row being another one.
        """

        def told(rules: Iterable[Rule]) -> list[tuple[str, ...]]:
            return [(r.name, r.violation, r.severity) for r in rules]

        reading = [self.format, self.delimiter, self.quote, codecs.lookup(self.encoding).name, self.timezone]
        reading += [self.decimal_sign, str(self.null_text), str(self.compression), self.source, str(self.where)]
        reading += [str(self.server.sheet), str(self.server.header_row)]
        columns = [
            (c.name, c.sql_type, c.header, c.expression, c.format, c.key_position, told(c.rules)) for c in self.columns
        ]
        return sha256(repr((reading, columns, told(self.row_rules))).encode()).hexdigest()[:12]

    def tolerates(self, rows_read: int, bad_rows: int) -> bool:
        """Whether ``bad_rows`` of ``rows_read`` is within the declared share."""
        return bad_rows <= max(self.tolerated_share * rows_read, self.tolerated_rows)


def _custom(node: Any) -> dict[str, Any]:
    return {str(p.property): p.value for p in (node.customProperties or [])}


_PROPERTY_OPTIONS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern", "maxLength", "format"}


_WINDOW = re.compile(r"\bover\s*\(")
_WINDOW_OF_DELIVERY = re.compile(r"\bover\s*\(\s*partition\s+by\s+(_file|_delivery_date)\b")


def _check_windows(sql: str | None, place: str, file: Path) -> None:
    """Raise ContractError where ``over (...)`` may reach beyond a delivery: its result would depend on the days of a run."""
    if sql and len(_WINDOW.findall(sql.lower())) != len(_WINDOW_OF_DELIVERY.findall(sql.lower())):
        raise ContractError(
            f"{file}: {place}: begin each over (...) with partition by _file or partition by _delivery_date, "
            "so that a row does not depend on the days that are loaded together"
        )


def _parse_column(prop: Any, file: Path, base: Column | None) -> Column:
    """One property of a contract; ``base`` is the mart's own definition of the column, where it exists."""
    name, custom = str(prop.name), _custom(prop)
    logical_type = prop.logicalType or (base.logical_type if base else None)
    if logical_type not in SQL_TYPES:
        raise ContractError(
            f"{file}: column '{name}' has logicalType '{logical_type}'; use one of {', '.join(SQL_TYPES)}"
        )
    if base is not None and logical_type != base.logical_type:
        raise ContractError(f"{file}: column '{name}' is a {base.logical_type} in the mart, not a {logical_type}")
    options = dict(prop.logicalTypeOptions or {})
    unknown = set(options) - _PROPERTY_OPTIONS
    if unknown:
        raise ContractError(f"{file}: column '{name}' has unknown logicalTypeOptions {', '.join(sorted(unknown))}")
    sql_type = base.sql_type if base else (prop.physicalType or SQL_TYPES[logical_type])
    expression = custom.get("expression")
    captured = custom.get("captured", True)
    _check_windows(expression, f"column '{name}'", file)
    header = prop.physicalName if captured and expression is None else None
    if captured and expression is None and header is None:
        raise ContractError(
            f"{file}: column '{name}' names neither physicalName nor an expression; leave it out if it is not delivered"
        )
    required = bool(prop.required) or bool(base and base.required)
    allowed = [str(v.value) for v in (prop.enum or [])]
    vocabulary = [v for r in (base.rules if base else ()) if r.name == f"{name}_allowed" for v in allowed_values(r)]
    strangers = [v for v in allowed if vocabulary and v not in vocabulary]
    if strangers:
        raise ContractError(
            f"{file}: the mart knows no {name} '{strangers[0]}'; map it with an expression to one of {', '.join(vocabulary)}"
        )
    allowed = allowed or vocabulary
    severity = cast(Severity, custom.get("severity", "error"))
    if severity not in ("error", "warning"):
        raise ContractError(f"{file}: column '{name}' has severity '{severity}'; use error or warning")
    return Column(
        name=name,
        logical_type=logical_type,
        sql_type=sql_type,
        description=prop.description or (base.description if base else ""),
        classification=prop.classification or (base.classification if base else "internal"),
        header=header,
        expression=expression,
        format=options.get("format"),
        required=required,
        key_position=base.key_position if base else (prop.primaryKeyPosition if prop.primaryKey else None),
        watched=bool(custom.get("watched", True)),
        rules=column_rules(name, sql_type, required=required, options=options, allowed=allowed, severity=severity),
    )


def _row_rule(quality: Any, file: Path) -> Rule:
    if quality.type != "custom" or quality.engine != "duckdb" or not isinstance(quality.implementation, str):
        raise ContractError(
            f"{file}: rule '{quality.name}' must have type custom, engine duckdb and an SQL condition as implementation"
        )
    return Rule(
        name=str(quality.name),
        violation=f"({quality.implementation}) is false",
        sentence=str(quality.description or quality.implementation),
        severity="warning" if quality.severity == "warning" else "error",
    )


def _drift(quality: Iterable[Any], file: Path) -> tuple[DriftRule, ...]:
    declared = [(str(q.name), q.severity, q.implementation or {}) for q in quality if q.engine == PAST_WEEKDAYS]
    for name, _, options in declared:
        if not isinstance(options, Mapping):
            raise ContractError(f"{file}: quality '{name}': implementation must be a mapping such as {{weeks: 8}}")
    try:
        return drift_rules(declared)
    except ValueError as error:
        raise ContractError(f"{file}: {error}") from error


def _read(file: Path) -> Any:
    from open_data_contract_standard.model import OpenDataContractStandard

    try:
        return OpenDataContractStandard.from_file(str(file))
    except Exception as error:  # the package raises YAML, pydantic and OS errors alike
        raise ContractError(f"{file}: is not an Open Data Contract: {error}") from error


def load_contract(file: Path, base: Contract | None = None) -> Contract:
    """Read one contract file; ``base`` is the default contract of the same table (None: this is it)."""
    document = _read(file)
    if not document.schema_ or len(document.schema_) != 1 or not document.servers or len(document.servers) != 1:
        raise ContractError(f"{file}: a contract has exactly one server and one schema object")
    schema, server = document.schema_[0], document.servers[0]
    table = str(schema.name)
    custom, access = _custom(schema), _custom(server)
    mode = custom.get("deliveryMode", base.mode if base else None)
    encoding, timezone = server.encoding or "utf-8", access.get("timezone", "UTC")
    fixed_day = custom.get("deliveryDate")
    try:
        place = parse_server(server, access, custom, str(schema.physicalName or table), mode)
    except ServerError as error:
        raise ContractError(f"{file}: {error}") from error
    for is_right, sentence in (
        (mode in ("full", "changes", "append"), "deliveryMode must be full, changes or append"),
        (
            _is_encoding(encoding),
            f"encoding '{encoding}' is not known; write it like utf-8, utf-16, iso-8859-1 or windows-1252",
        ),
        (
            timezone in _time_zones(),
            f"timezone '{timezone}' is no IANA time zone; write it like Europe/Paris",
        ),
        (access.get("decimalSign", ".") in (".", ","), "decimalSign must be '.' or ','"),
        (access.get("compression") in (None, "none", "gzip"), "compression must be none or gzip"),
        (
            place.is_table or ("{date" in place.path) != bool(fixed_day),
            "give either {date} in the server's path or one deliveryDate for the whole file",
        ),
    ):
        if not is_right:
            raise ContractError(f"{file}: {sentence}")
    bases = {c.name: c for c in base.columns} if base else {}
    given: dict[str, Column] = {}
    for prop in schema.properties or []:
        if base is not None and prop.name not in bases:
            raise ContractError(f"{file}: '{prop.name}' is no column of {table}.{_suggest(str(prop.name), bases)}")
        given[str(prop.name)] = _parse_column(prop, file, bases.get(str(prop.name)))
    columns = (
        [given.get(n, replace(c, header=None, expression=None)) for n, c in bases.items()]
        if base
        else list(given.values())
    )
    missing = [c.name for c in columns if c.required and not c.captured]
    if missing:
        raise ContractError(
            f"{file}: {table} needs {', '.join(missing)}: name the header (physicalName) or an expression"
        )
    return Contract(
        table=table,
        version=str(document.version),
        file=file,
        description=schema.description or "",
        purpose=custom.get("purpose", ""),
        legal_basis=custom.get("legalBasis", ""),
        retention=custom.get("retention", ""),
        path=place.path,
        format=place.format,
        delimiter=server.delimiter or ",",
        quote=access.get("quote", '"'),
        encoding=encoding,
        timezone=timezone,
        decimal_sign=access.get("decimalSign", "."),
        null_text=access.get("nullText"),
        compression=access.get("compression"),
        mode=cast(Mode, mode),
        required=bool(custom.get("deliveryRequired", False)),
        tolerated_share=float(custom.get("toleratedBadRows", 0)),
        tolerated_rows=int(custom.get("toleratedBadRowsAtLeast", 0)),
        prices_include_tax=bool(custom.get("pricesIncludeTax", False)),
        delivery_date=None if fixed_day is None else _day(str(fixed_day), file),
        source=custom.get("from", "{source}"),
        where=custom.get("where"),
        columns=tuple(columns),
        row_rules=tuple(_row_rule(q, file) for q in schema.quality or [] if q.engine != PAST_WEEKDAYS),
        drift=_drift(schema.quality or [], file),
        server=place,
    )


def _is_encoding(name: str) -> bool:
    """Whether Python decodes it, byte by byte, to text."""
    try:
        b"".decode(name)
        return codecs.lookup(name).incrementaldecoder is not None
    except LookupError:
        return False


def is_utf8(encoding: str) -> bool:
    """Whether a file of this encoding is read as it is; others are written anew first."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def _day(text: str, file: Path) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ContractError(f"{file}: deliveryDate '{text}' is no date; write it like 2024-12-31") from error


def _suggest(name: str, candidates: Iterable[str]) -> str:
    from rapidfuzz import process

    best = process.extractOne(name, list(candidates), score_cutoff=60)
    return f" Did you mean '{best[0]}'?" if best else f" It has: {', '.join(candidates)}."


def load_contracts(folder: Path = DEFAULT_CONTRACTS_DIR) -> dict[str, Contract]:
    """The contracts of a folder, by table, in the default contracts' order.

    A table without a contract is one that the retailer does not have. Raises ContractError for a folder
    without contracts, a table or a column the mart does not know, or a required column left out.
    """
    defaults = default_contracts()
    if folder.resolve() == DEFAULT_CONTRACTS_DIR.resolve():
        return defaults
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ContractError(
            f"{folder}: no contract (*.yaml) in this folder; FIDELIS_CONTRACTS must name the folder of contracts"
        )
    found: dict[str, Contract] = {}
    for file in files:
        document = _read(file)
        table = str(document.schema_[0].name) if document.schema_ else file.stem
        if table not in defaults:
            raise ContractError(f"{file}: '{table}' is no table of the mart.{_suggest(table, defaults)}")
        if table in found:
            raise ContractError(f"{file}: {table} already has a contract, {found[table].file}")
        found[table] = load_contract(file, defaults[table])
    return {table: found[table] for table in defaults if table in found}


def absent_tables(contracts: Mapping[str, Contract]) -> list[str]:
    """Tables of the mart's vocabulary that a retailer does not have."""
    return [table for table in default_contracts() if table not in contracts]


@cache
def default_contracts() -> dict[str, Contract]:
    """The default retailer's contracts: every table and column that the mart knows.

    Read once per process: the thirteen files take half a second.
    """
    return {c.table: c for c in map(load_contract, sorted(DEFAULT_CONTRACTS_DIR.glob("*.yaml")))}


@cache
def _time_zones() -> frozenset[str]:
    """Listing the zones walks through their folder: 20 milliseconds."""
    return frozenset(available_timezones())
