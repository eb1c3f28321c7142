"""Names and days compared: what speaks against a pair of records, and who is told apart although keys join them."""

import duckdb
import numpy as np
from numpy.typing import NDArray

from orchestration.identity.cluster import MANUAL
from orchestration.identity.ruleset import Ruleset

Keys = NDArray[np.uint64]

#: Jaro-Winkler similarity from which two first names may be one with typing errors.
_NEAR = 0.8
#: Family names' initials with which a first name occurs, from which it is a name of several families.
_FAMILIES = 3
#: How many times rarer than a name a typing error of it is, at least: one in a hundred names has one, in any of its letters.
_RARER = 100

# Two spellings of one name differ by little, and not in the last letter alone: Marie and Maria, Jean and Jeanne, Daniel
# and Daniela are persons, Danile and Daniel a typing error. An initial or a short form of up to three letters agrees.
_MACROS = (
    (
        "create or replace temp macro is_ending(a, b) as (left(a, -1) = left(b, -1) and len(a) = len(b)) "
        "or (left(a, -1) = b and right(a, 1) <> right(b, 1)) or (left(b, -1) = a and right(a, 1) <> right(b, 1)) "
        "or (left(a, -2) = b and len(b) > 3) or (left(b, -2) = a and len(a) > 3)"
    ),
    (
        "create or replace temp macro is_short(a, b) as "
        "(len(a) <= 3 and starts_with(b, a)) or (len(b) <= 3 and starts_with(a, b))"
    ),
    (
        "create or replace temp macro is_variant(a, b) as "
        "a = b or is_short(a, b) or a || right(a, 1) = b or b || right(b, 1) = a"
    ),
    "create or replace temp macro letters(a) as array_to_string(list_sort(string_split(a, '')), '')",
    # Letters swapped, doubled, added or left out: the letters of the one are among those of the other. A case, because
    # each branch sees only the pairs that those before it left; joined by `or`, each comparison is made for all.
    (
        "create or replace temp macro is_spelling(a, b) as case when a is null or b is null then null "
        "when is_variant(a, b) then true "
        "when least(len(a), len(b)) <= 3 or abs(len(a) - len(b)) > 2 or is_ending(a, b) then false "
        "when damerau_levenshtein(a, b) <= 1 then true when damerau_levenshtein(a, b) > 3 then false "
        "else levenshtein(letters(a), letters(b)) = abs(len(a) - len(b)) end"
    ),
    (
        "create or replace temp macro is_other_family(a, b) as a is not null and b is not null and not is_spelling(a, b) "
        "and not contains(a, b) and not contains(b, a)"
    ),
    (
        "create or replace temp macro is_other_day(a, b) as a is not null and b is not null "
        "and (year(a) <> year(b))::int + (month(a) <> month(b))::int + (day(a) <> day(b))::int >= 2 "
        "and not (year(a) = year(b) and month(a) = day(b) and day(a) = month(b))"
    ),
    "create or replace temp macro is_same_day(a, b) as a is not null and b is not null and not is_other_day(a, b)",
    # one address mistyped: letters in other places, one too many, too few or another, and the same digits
    (
        "create or replace temp macro is_near_email(a, b) as least(len(a), len(b)) >= 8 and levenshtein(letters(a), letters(b)) <= 1 "
        "and jaro_winkler_similarity(a, b) >= 0.8 and letters(regexp_replace(a, '[^0-9]', '', 'g')) = "
        "letters(regexp_replace(b, '[^0-9]', '', 'g')) and (split_part(a, '@', 2) <> split_part(b, '@', 2) "
        "or regexp_replace(a, '[^0-9]', '', 'g') = regexp_replace(b, '[^0-9]', '', 'g'))"
    ),
)

# Two forms of a first name are one name's typing errors only where nothing says that they are two names: both borne by several
# families, neither a hundred times rarer (Elsa and Elisa), or another letter (Jade and Jane) without birth dates that agree.
_SPELLS = (
    "(case when not coalesce(is_spelling({a}.first_name, {b}.first_name), false) or is_variant({a}.first_name, {b}.first_name) "
    "then is_spelling({a}.first_name, {b}.first_name) "
    f"when least({{a}}.bearers, {{b}}.bearers) > 0 and {_RARER} * least({{a}}.bearers, {{b}}.bearers) "
    ">= greatest({a}.bearers, {b}.bearers) then false "
    "else len({a}.first_name) <> len({b}.first_name) or letters({a}.first_name) = letters({b}.first_name) "
    "or is_same_day({a}.birth_date, {b}.birth_date) end)"
)
_DAY = "is_other_day({a}.birth_date, {b}.birth_date)"
# First and family name are now and then entered the wrong way round. Where birth dates agree, names that are nearly equal
# are of two people if both are borne by several families (Louis and Louise), and one is a typing error where only the other
# is. Where neither is, as in a small shop, the ending decides.
_OTHER = (
    "(case when coalesce({spells}, true) then false "
    "when is_spelling({a}.first_name, {b}.last_name) or is_spelling({a}.last_name, {b}.first_name) then false "
    f"when jaro_winkler_similarity({{a}}.first_name, {{b}}.first_name) >= {_NEAR} and is_same_day({{a}}.birth_date, {{b}}.birth_date) "
    "and (({a}.bearers > 0) <> ({b}.bearers > 0) "
    "or not ({a}.bearers > 0 or is_ending({a}.first_name, {b}.first_name))) then false else true end)"
)
# what speaks against a pair, over versions {a} and {b}; {spells} and {other} are `_SPELLS` and `_OTHER` or columns of theirs
_AGAINST = {
    "first_name": "{other}",
    "last_name": "is_other_family({a}.last_name, {b}.last_name)",
    "birth_date": f"({_DAY} and not coalesce({{spells}}, false))",
    "first_name_and_birth_date": f"({{other}} and {_DAY})",
}
_SIDES = {"a": "a", "b": "b", "spells": "agrees", "other": "is_other_name"}


def clash_of_names(a: str, b: str, spells: str = "") -> str:
    """SQL condition, never null: two versions have first names that are no spellings of one (``spells``: a column that says so)."""
    return _OTHER.format(a=a, b=b, spells=spells or _SPELLS.format(a=a, b=b))


def is_similar(a: str, b: str) -> str:
    """SQL condition: what a high weight needs besides.

    No other first name, no other birth date with another e-mail unless an own key agrees (namesakes of one town), and no
    e-mail of several people.
    """
    own = " or ".join(f"{a}.{key} = {b}.{key}" for key in ("phone", "loyalty_number", "street"))
    return (
        f"not coalesce({clash_of_names(a, b)}, false) "
        f"and (not coalesce(is_other_day({a}.birth_date, {b}.birth_date), false) or {a}.email is null or {b}.email is null "
        f"or {a}.email = {b}.email or is_near_email({a}.email, {b}.email) or coalesce({own}, false)) "
        f"and (coalesce({_SPELLS.format(a=a, b=b)}, false) "
        f"or coalesce({a}.email <> {b}.email, true) or hash({a}.email) not in (select key from contested where name = 'email'))"
    )


def define_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Comparison of names and days, as macros of the connection."""
    for macro in _MACROS:
        con.execute(macro)


def count_bearers(con: duckdb.DuckDBPyConnection) -> None:
    """View ``known``: ``state`` with ``bearers``, the records with that first name if several families bear it, else 0."""
    con.execute(
        "create or replace table borne as select first_name, cast(sum(n) as bigint) as bearers from ("
        "select first_name, left(last_name, 1) as initial, count(*) as n from state where first_name is not null group by all) "
        f"group by first_name having count(initial) >= {_FAMILIES}"
    )
    con.execute(
        "create or replace view known as select s.*, coalesce(bearers, 0) as bearers "
        "from state as s left join borne using (first_name)"
    )


def compared(con: duckdb.DuckDBPyConnection, left: Keys, right: Keys) -> dict[str, NDArray[np.bool_]]:
    """What is said of pairs of versions (``state_id``), never null: what rules may count against them, and how names agree."""
    import pyarrow as pa

    con.register("arriving", pa.table({"place": np.arange(len(left)), "l": left, "r": right}))
    con.execute(
        "create or replace temp table named as select state_id, first_name, last_name, birth_date, bearers from known "
        "where state_id in (select l from arriving union all select r from arriving)"
    )
    against = ", ".join(f"{sql.format(**_SIDES)} as {what}" for what, sql in _AGAINST.items())
    con.execute(
        f"""
        create or replace temp table judged as
        select place, {against}, is_other_name, coalesce(agrees, false) as agrees,
            coalesce(len(a.first_name) >= 3 and len(b.first_name) >= 3 and not is_other_name, false) as is_one_name
        from (
            select *, {clash_of_names("a", "b", "agrees")} as is_other_name from (
                select place, a, b, {_SPELLS.format(a="a", b="b")} as agrees
                from arriving join named as a on a.state_id = l join named as b on b.state_id = r
            )
        )
        """
    )
    con.unregister("arriving")
    found = con.execute("select * from judged order by place").fetchnumpy()
    return {name: np.asarray(values) for name, values in found.items() if name != "place"}


def tied_by_name(con: duckdb.DuckDBPyConnection, rules: Ruleset, labels: str) -> dict[str, NDArray[np.int64]]:
    """Edges (l, r) that hold whatever the names of others, in clusters of ``labels(node, label)`` with several first names.

    Those that a person decided, those of rules without ``first_name`` against them, and those between first names that agree;
    an initial agrees with too many to tie two others. Makes the table ``several(node, label)`` of these clusters.
    """
    sure = [MANUAL, *(rank for rank, rule in enumerate(rules.rules, start=1) if "first_name" not in rule.against)]
    con.execute(
        f"create or replace temp table several as select node, label from {labels} where label in ("
        f"select label from state join {labels} using (node) group by label "
        "having min(first_name) <> max(first_name) and min(node) <> max(node))"
    )
    found = con.execute(
        f"""
        with inside as (
            select l, r, rank from edge join several as x on x.node = l join several as y on y.node = r
            where x.label = y.label
        )
        select l, r from inside where rank in ({", ".join(map(str, sure))})
        union
        select l, r from inside join known as a on a.node = l join known as b on b.node = r
        where a.first_name = b.first_name
            or (len(a.first_name) >= 3 and len(b.first_name) >= 3 and not {clash_of_names("a", "b")})
        """
    ).fetchnumpy()
    return {name: np.asarray(values) for name, values in found.items()}


def told_apart(con: duckdb.DuckDBPyConnection, labels: str) -> list[tuple[int, int]]:
    """Pairs of accounts of one cluster of ``several`` that cannot be one person; ``labels(node, label, unit)``.

    A unit is what edges of ``tied_by_name`` join: its records have all the names that any of them has. Two units are told
    apart where both have a first name and no version of the one has a spelling of a name of the other.
    """
    return con.execute(
        f"""
        with named as (
            select distinct label, unit, first_name, last_name, birth_date, bearers from known
            join (select node, label, unit from several join {labels} using (node, label)) using (node)
            where first_name is not null
        ),
        apart as (
            select a.unit, b.unit as other from named as a join named as b on a.label = b.label and a.unit < b.unit
            group by 1, 2 having bool_and({clash_of_names("a", "b")})
        )
        select least(a.node, b.node), greatest(a.node, b.node) from apart
        join {labels} as a on a.unit = apart.unit join {labels} as b on b.unit = apart.other
        order by 1, 2
        """
    ).fetchall()
