"""Normal forms of distinct values: Python sees each written value once in its life, SQL joins the rest.

Table ``known_value(kind, country, written, normal)`` of the working database is what earlier nights found out; it is
an input and an output of a build. A change of the rules or of the normalisers starts it anew.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

import duckdb

from orchestration.identity import normalise
from orchestration.identity.ruleset import Ruleset

#: column of a source record -> kind of value
KINDS = {
    "email": "email",
    "phone": "phone",
    "first_name": "name",
    "last_name": "name",
    "street": "street",
    "postal_code": "postal_code",
    "city": "name",
    "loyalty_number": "loyalty_number",
}
#: kinds whose normal form depends on the country
_BY_COUNTRY = {"phone", "postal_code"}


@cache
def _code() -> str:
    return sha256(Path(normalise.__file__).read_bytes()).hexdigest()[:12]


def version(rules: Ruleset) -> str:
    """Changes with everything that a normal form depends on."""
    from importlib.metadata import version as installed

    return f"{rules.version}-{_code()}-{installed('phonenumbers')}-{installed('email-validator')}"


def learn(con: duckdb.DuckDBPyConnection, relation: str, rules: Ruleset, columns: tuple[str, ...]) -> None:
    """Add to ``known_value`` what is written in ``columns`` (and ``country``) of ``relation`` and not known yet."""
    import pyarrow as pa

    functions = normalise.normalisers(rules)
    for kind in dict.fromkeys(KINDS[c] for c in columns):
        country = "country" if kind in _BY_COUNTRY else "''"
        written = " union ".join(
            f"select coalesce({country}, '') as country, {c} as written from {relation} where {c} is not null"
            for c in columns
            if KINDS[c] == kind
        )
        new = con.execute(
            f"select distinct n.country, n.written from ({written}) as n anti join known_value as k "
            f"on k.kind = '{kind}' and k.country = n.country and k.written = n.written order by all"
        ).to_arrow_table()
        if not new.num_rows:
            continue
        normal = [
            functions[kind](text, place or None)
            for place, text in zip(new["country"].to_pylist(), new["written"].to_pylist(), strict=True)
        ]
        learnt = new.append_column("normal", pa.array(normal, pa.string()))
        con.register("learnt", learnt)
        con.execute(f"insert into known_value select '{kind}', country, written, normal from learnt")
        con.unregister("learnt")


def joined(relation: str, columns: tuple[str, ...], others: str) -> str:
    """SQL of ``relation`` with the normal forms of ``columns`` in their place, and ``others`` as they are."""
    joins, values = [], []
    for column in columns:
        kind = KINDS[column]
        country = "coalesce(t.country, '')" if kind in _BY_COUNTRY else "''"
        joins.append(
            f"left join known_value as v_{column} on v_{column}.kind = '{kind}' "
            f"and v_{column}.country = {country} and v_{column}.written = t.{column}"
        )
        values.append(f"v_{column}.normal as {column}")
    return f"select {others}, {', '.join(values)} from {relation} as t {' '.join(joins)}"
