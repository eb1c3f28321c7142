"""Rules of one row: from what a contract declares of a column to SQL that is true where it is broken."""

import re
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


def quote_name(name: str) -> str:
    """An SQL identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(value: object) -> str:
    """An SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


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
