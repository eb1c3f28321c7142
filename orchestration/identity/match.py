"""Exact keys: which records the declared rules join, and who is told apart although a key is shared.

Edges are tables ``edge(l, r, rank, rule, weight)`` over nodes, ``l < r``; rank is the place of the rule in the order of trust.
"""

import duckdb
import numpy as np
from numpy.typing import NDArray

from orchestration.identity.cluster import MANUAL, components
from orchestration.identity.ruleset import Rule, Ruleset

#: Distinct spellings under one key above which pairs are not compared: nobody's own key.
_SPELLINGS = 60
#: Jaro-Winkler similarity from which two first names may be one with typing errors.
_NEAR = 0.8
#: Family names' initials with which a first name occurs, from which it is a name of several families.
_FAMILIES = 3

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
    "create or replace temp macro letters(a) as array_to_string(list_sort(string_split(a, '')), '')",
    # Letters swapped, doubled, added or left out: the letters of the one are among those of the other. A case, because
    # each branch sees only the pairs that those before it left; joined by `or`, each comparison is made for all.
    (
        "create or replace temp macro is_spelling(a, b) as case when a is null or b is null then null "
        "when a = b or is_short(a, b) or a || right(a, 1) = b or b || right(b, 1) = a then true "
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
    # one address mistyped: letters in other places, one too many, too few or another, and the same digits
    (
        "create or replace temp macro is_near_email(a, b) as least(len(a), len(b)) >= 8 and levenshtein(letters(a), letters(b)) <= 1 "
        "and jaro_winkler_similarity(a, b) >= 0.8 and letters(regexp_replace(a, '[^0-9]', '', 'g')) = "
        "letters(regexp_replace(b, '[^0-9]', '', 'g')) and (split_part(a, '@', 2) <> split_part(b, '@', 2) "
        "or regexp_replace(a, '[^0-9]', '', 'g') = regexp_replace(b, '[^0-9]', '', 'g'))"
    ),
)

_SPELLS = "is_spelling({a}.first_name, {b}.first_name)"
_DAY = "is_other_day({a}.birth_date, {b}.birth_date)"
# First and family name are now and then entered the wrong way round. Where birth dates agree, names that are nearly equal
# are of two people if both are borne by several families (Louis and Louise), and one is a typing error where only the other
# is. Where neither is, as in a small shop, the ending decides.
_OTHER = (
    "(case when coalesce({spells}, true) then false "
    "when is_spelling({a}.first_name, {b}.last_name) or is_spelling({a}.last_name, {b}.first_name) then false "
    f"when jaro_winkler_similarity({{a}}.first_name, {{b}}.first_name) >= {_NEAR} and not {_DAY} "
    "and ({a}.is_borne_by_several <> {b}.is_borne_by_several "
    "or not ({a}.is_borne_by_several or is_ending({a}.first_name, {b}.first_name))) then false else true end)"
)
# what speaks against a pair, over versions {a} and {b}; {spells} and {other} are `_SPELLS` and `_OTHER` or columns of theirs
_AGAINST = {
    "first_name": "{other}",
    "last_name": "is_other_family({a}.last_name, {b}.last_name)",
    "birth_date": f"({_DAY} and not coalesce({{spells}}, false))",
    "first_name_and_birth_date": f"({{other}} and {_DAY})",
}

# versions of one record under one key: any order that is an order
_ORDER = (
    "row(coalesce(a.first_name, ''), coalesce(a.last_name, ''), coalesce(a.birth_date, date '0001-01-01')) "
    "< row(coalesce(b.first_name, ''), coalesce(b.last_name, ''), coalesce(b.birth_date, date '0001-01-01'))"
)


def _clash(rule: Rule) -> str:
    """SQL condition over a pair of versions ``a``, ``b`` and its columns agrees, is_other_name: what the rule counts against it."""
    sides = {"a": "a", "b": "b", "spells": "agrees", "other": "is_other_name"}
    return " or ".join(_AGAINST[what].format(**sides) for what in rule.against) or "false"


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
        f"and (coalesce(is_spelling({a}.first_name, {b}.first_name), false) "
        f"or coalesce({a}.email <> {b}.email, true) or {a}.email not in (select key from contested where name = 'email'))"
    )


def define_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Comparison of names and days, as macros of the connection."""
    for macro in _MACROS:
        con.execute(macro)


def exact_edges(con: duckdb.DuckDBPyConnection, rules: Ruleset) -> None:
    """Table ``edge`` out of table ``state``: what each rule joins; table ``contested``: keys that are not one person's."""
    define_macros(con)
    con.execute("create or replace table edge (l bigint, r bigint, rank integer, rule varchar, weight double)")
    con.execute("create or replace table contested (name varchar, key varchar)")
    # a column of the records: looked up in a table for each pair, it took most of the time
    con.execute(
        "create or replace table state as select s.*, s.first_name in (select first_name from state where first_name is not null "
        f"group by first_name having count(distinct left(last_name, 1)) >= {_FAMILIES}) as is_borne_by_several from state as s"
    )
    for rank, rule in enumerate(rules.rules, start=1):
        _edges_of(con, rules, rule, rank)


def _edges_of(con: duckdb.DuckDBPyConnection, rules: Ruleset, rule: Rule, rank: int) -> None:
    key = f"concat_ws(chr(31), {', '.join(rule.keys)})"
    known = " and ".join(f"{k} is not null" for k in rule.keys)
    con.execute(
        f"create or replace temp table shared as select {key} as key from state where {known} "
        "group by 1 having min(node) <> max(node)"
    )
    # one row per key and spelling of a person: how many records are behind it does not matter
    con.execute(
        "create or replace temp table spelling as select row_number() over () - 1 as place, * from ("
        "select key, first_name, last_name, birth_date, is_borne_by_several, list(distinct node) as nodes, "
        f"min(node) as node from (select {key} as key, node, first_name, last_name, birth_date, "
        f"is_borne_by_several from state where {known}) "
        "semi join shared using (key) group by all)"
    )
    # people under a key are counted by their initials: a person's spellings mostly share one
    con.execute(
        "create or replace temp table evidence as select key, count(*) > 1 as is_varied, false as is_contested from spelling "
        f"group by key having count(distinct left(first_name, 1)) <= {rules.shared_by_at_most} and count(*) <= {_SPELLINGS}"
    )
    con.execute(
        "create or replace temp table varied as select * exclude (nodes) from spelling "
        "where key in (select key from evidence where is_varied)"
    )
    con.execute(
        f"""
        create or replace temp table pair as
        select a.key, a.place as l_place, b.place as r_place, a.node as l, b.node as r, ({_clash(rule)}) as differs,
            len(a.first_name) >= 3 and len(b.first_name) >= 3 and not is_other_name as is_one_name,
            is_other_name, coalesce(agrees, false) as agrees
        from (
            select *, {clash_of_names("a", "b", "agrees")} as is_other_name from (
                select a, b, is_spelling(a.first_name, b.first_name) as agrees
                from varied as a
                join varied as b on a.key = b.key and a.node <= b.node and (a.node < b.node or {_ORDER})
            )
        )
        """
    )
    _contest(con)
    if len(rule.keys) == 1:
        con.execute(
            "insert into contested select $name, key from shared where key not in (select key from evidence where not is_contested)",
            {"name": rule.keys[0]},
        )
    con.execute(
        "insert into edge select distinct node, other, $rank, $name, null from ("
        "select node, unnest(nodes) as other from spelling join evidence using (key) "
        "where first_name is not null or not is_contested) where node <> other "
        "union "
        "select l, r, $rank, $name, null from pair join evidence using (key) "
        "where l <> r and not differs and (agrees or not is_contested)",
        {"rank": rank, "name": rule.name},
    )


def _contest(con: duckdb.DuckDBPyConnection) -> None:
    """Mark in ``evidence`` the keys whose spellings are of several people: those that no chain of spellings connects."""
    import pyarrow as pa

    # a name of one letter or two says nothing
    tied = con.execute(
        "select l_place as l, r_place as r from pair where is_one_name or not differs and l = r"
    ).fetchnumpy()
    count = con.execute("select count(*) from spelling").fetchall()[0][0]
    person = components(count, np.asarray(tied["l"]), np.asarray(tied["r"]))
    # joined by DuckDB, which knows nothing of the sizes, this took minutes
    other = con.execute(
        "select l_place as l, r_place as r from pair where l <> r and differs and is_other_name"
    ).fetchnumpy()
    left, right = np.asarray(other["l"]), np.asarray(other["r"])
    con.register("arriving", pa.table({"place": np.unique(left[person[left] != person[right]])}))
    con.execute(
        "update evidence set is_contested = true where key in (select key from spelling semi join arriving using (place))"
    )
    con.unregister("arriving")


def tied_by_name(con: duckdb.DuckDBPyConnection, rules: Ruleset, labels: str) -> dict[str, NDArray[np.int64]]:
    """Edges (l, r) that hold whatever the names of others, in clusters of ``labels(node, label)`` with several first names.

    Those that a person decided, those of rules without ``first_name`` against them, and those between first names that agree;
    an initial agrees with too many to tie two others. Makes the table ``several(label)``.
    """
    sure = [MANUAL, *(rank for rank, rule in enumerate(rules.rules, start=1) if "first_name" not in rule.against)]
    con.execute(
        f"create or replace temp table several as select label from state join {labels} using (node) group by label "
        "having count(distinct first_name) > 1 and count(distinct node) > 1"
    )
    found = con.execute(
        f"""
        with inside as (
            select l, r, rank from edge join {labels} as x on x.node = l join {labels} as y on y.node = r
            where x.label = y.label and x.label in (select label from several)
        )
        select l, r from inside where rank in ({", ".join(map(str, sure))})
        union
        select l, r from inside join state as a on a.node = l join state as b on b.node = r
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
            select distinct label, unit, first_name, last_name, birth_date, is_borne_by_several from state join {labels} using (node)
            where first_name is not null and label in (select label from several)
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
