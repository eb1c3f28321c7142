"""Rules of one row: from what a contract declares of a column to SQL that is true where it is broken."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]

#: The rule of a record that its reader could not split into fields; its bit follows those of the contract.
MALFORMED = "malformed_record"
#: The rule of rows of one delivery that share a key and differ.
CONFLICT = "conflicting_key"


@dataclass(frozen=True)
class Rule:
    """A rule of one row: ``violation`` is SQL that is true where the rule is broken."""

    name: str
    violation: str
    sentence: str
    severity: Severity = "error"
    column: str | None = None


@dataclass(frozen=True)
class DriftRule:
    """How far one figure of a delivery may be from the same weekday of past weeks; an error refuses the delivery.

    ``tolerance``: by which share rows may fall short, the share of empty values rise, rows move between categories; for
    the median a factor. ``growth``: the factor by which rows may exceed what is usual. The references are the accepted
    deliveries among the last ``weeks``; fewer than ``minimum_weeks`` of them judge nothing.
    """

    name: str
    tolerance: float
    severity: Severity = "warning"
    weeks: int = 8
    minimum_weeks: int = 4
    growth: float = 3.0


#: What is watched of every table, unless its contract says otherwise.
DRIFT_RULES = (
    DriftRule("volume", 0.3),
    DriftRule("null_share", 0.1),
    DriftRule("category_share", 0.2),
    DriftRule("median", 5.0),
)
#: ``engine`` of the entries of a contract's ``quality`` that declare a DriftRule.
PAST_WEEKDAYS = "pastWeekdays"


def quote_name(name: str) -> str:
    """An SQL identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(value: object) -> str:
    """An SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


def no_rows(columns: Mapping[str, str]) -> str:
    """SQL of a relation of these columns (name, type) without a row."""
    return f"select {', '.join(f'cast(null as {kind}) as {quote_name(n)}' for n, kind in columns.items())} where false"


def _literal(value: Any, sql_type: str) -> str:
    return f"cast({quote_text(value)} as {sql_type})"


_BOUNDS = {
    "minimum": ("<", "must not be below {}"),
    "maximum": (">", "must not be above {}"),
    "exclusiveMinimum": ("<=", "must be above {}"),
    "exclusiveMaximum": (">=", "must be below {}"),
}


def column_rules(
    name: str, sql_type: str, *, required: bool, options: dict[str, Any], allowed: list[str], severity: Severity
) -> tuple[Rule, ...]:
    """The rules that a property declares. ``{raw}`` in a type rule is the source's text of the column."""
    column = quote_name(name)
    rules = [Rule(f"{name}_type", "{type_violation}", f"{name} must be a {sql_type}", "error", name)]
    if required:
        rules.append(Rule(f"{name}_required", "{missing}", f"{name} must be given", "error", name))
    if allowed:
        values = ", ".join(quote_text(v) for v in allowed)
        rules.append(
            Rule(
                f"{name}_allowed",
                f"{column} not in ({values})",
                f"{name} must be one of {', '.join(allowed)}",
                severity,
                name,
            )
        )
    for option, (operator, sentence) in _BOUNDS.items():
        if option in options:
            value = options[option]
            rules.append(
                Rule(
                    f"{name}_{'minimum' if 'inimum' in option else 'maximum'}",
                    f"{column} {operator} {_literal(value, sql_type)}",
                    f"{name} {sentence.format(value)}",
                    severity,
                    name,
                )
            )
    if "pattern" in options:
        violation = f"not regexp_full_match({column}, {quote_text(options['pattern'])})"
        rules.append(Rule(f"{name}_pattern", violation, f"{name} must look like {options['pattern']}", severity, name))
    if "maxLength" in options:
        limit = int(options["maxLength"])
        rules.append(
            Rule(
                f"{name}_length",
                f"length({column}) > {limit}",
                f"{name} must not be longer than {limit}",
                severity,
                name,
            )
        )
    return tuple(rules)


def allowed_values(rule: Rule) -> list[str]:
    """The values that an ``_allowed`` rule accepts."""
    return [v.replace("''", "'") for v in re.findall(r"'((?:[^']|'')*)'", rule.violation)]


def drift_rules(declared: Iterable[tuple[str, str | None, Mapping[str, Any]]]) -> tuple[DriftRule, ...]:
    """The drift rules of a contract: the defaults with what is ``declared`` as (name, severity, options) in their place.

    Raises ValueError with a sentence for a declaration that means nothing.
    """
    rules = {rule.name: rule for rule in DRIFT_RULES}
    for name, severity, options in declared:
        if name not in rules:
            raise ValueError(f"quality '{name}' of engine {PAST_WEEKDAYS} must be one of {', '.join(rules)}")
        if severity == "ignored":
            del rules[name]
            continue
        if severity not in (None, "warning", "error"):
            raise ValueError(f"quality '{name}' has severity '{severity}'; use warning, error or ignored")
        unknown = set(options) - {"tolerance", "weeks", "minimumWeeks", *(["growth"] if name == "volume" else [])}
        if unknown:
            raise ValueError(f"quality '{name}' has unknown options {', '.join(sorted(unknown))}")
        default = rules[name]
        weeks = int(options.get("weeks", default.weeks))
        minimum = int(options.get("minimumWeeks", min(default.minimum_weeks, weeks)))
        tolerance = float(options.get("tolerance", default.tolerance))
        growth = float(options.get("growth", default.growth))
        if not (tolerance > 1 if name == "median" else 0 < tolerance < 1):
            limits = "a factor above 1" if name == "median" else "a share between 0 and 1"
            raise ValueError(f"quality '{name}' has tolerance {tolerance:g}; it is {limits}")
        if growth <= 1:
            raise ValueError(f"quality '{name}' has growth {growth:g}; it is a factor above 1")
        if not 1 <= minimum <= weeks <= 52:
            raise ValueError(f"quality '{name}' needs 1 <= minimumWeeks <= weeks <= 52")
        level: Severity = "error" if severity == "error" else "warning"
        rules[name] = DriftRule(name, tolerance, level, weeks, minimum, growth)
    return tuple(rules.values())
