"""Exact keys: which records the declared rules join, and who is told apart although a key is shared.

Edges are tables ``edge(l, r, rank, rule, weight)`` over nodes, ``l < r``; rank is the place of the rule in the order of trust.
"""

import duckdb

from orchestration.identity.ruleset import Rule, Ruleset

#: Distinct spellings under one key above which pairs are not compared: nobody's own key.
_SPELLINGS = 60

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
    # letters swapped, doubled, added or left out: the letters of the one are among those of the other
    (
        "create or replace temp macro is_spelling(a, b) as a = b or is_short(a, b) or (least(len(a), len(b)) > 3 "
        "and not is_ending(a, b) and abs(len(a) - len(b)) <= 2 and (damerau_levenshtein(a, b) <= 1 or damerau_levenshtein(a, b) <= 3 "
        "and levenshtein(array_to_string(list_sort(string_split(a, '')), ''), array_to_string(list_sort(string_split(b, '')), '')) "
        "= abs(len(a) - len(b)))) or a || right(a, 1) = b or b || right(b, 1) = a"
    ),
    "create or replace temp macro is_other_name(a, b) as a is not null and b is not null and not is_spelling(a, b)",
    (
        "create or replace temp macro is_other_family(a, b) as a is not null and b is not null and not is_spelling(a, b) "
        "and not contains(a, b) and not contains(b, a)"
    ),
    (
        "create or replace temp macro is_other_day(a, b) as a is not null and b is not null "
        "and (year(a) <> year(b))::int + (month(a) <> month(b))::int + (day(a) <> day(b))::int >= 2 "
        "and not (year(a) = year(b) and month(a) = day(b) and day(a) = month(b))"
    ),
)

_AGAINST = {
    # first and family name are now and then entered the wrong way round
    "first_name": "(is_other_name({a}.first_name, {b}.first_name) "
    "and not coalesce(is_spelling({a}.first_name, {b}.last_name), false) "
    "and not coalesce(is_spelling({a}.last_name, {b}.first_name), false))",
    "last_name": "is_other_family({a}.last_name, {b}.last_name)",
    "birth_date": "(is_other_day({a}.birth_date, {b}.birth_date) "
    "and not coalesce(is_spelling({a}.first_name, {b}.first_name), false))",
}

# versions of one record under one key: any order that is an order
_ORDER = (
    "row(coalesce(a.first_name, ''), coalesce(a.last_name, ''), coalesce(a.birth_date, date '0001-01-01')) "
    "< row(coalesce(b.first_name, ''), coalesce(b.last_name, ''), coalesce(b.birth_date, date '0001-01-01'))"
)


# what speaks against a pair, over versions {a} and {b}
_AGAINST["first_name_and_birth_date"] = (
    f"({_AGAINST['first_name']} and is_other_day({{a}}.birth_date, {{b}}.birth_date))"
)


def clash(rule: Rule, a: str = "a", b: str = "b") -> str:
    """SQL condition: what the rule counts against a pair of versions ``a`` and ``b``."""
    return " or ".join(_AGAINST[what].format(a=a, b=b) for what in rule.against) or "false"


def clash_of_names(a: str, b: str) -> str:
    """SQL condition: two versions have first names that are no spellings of one."""
    return _AGAINST["first_name"].format(a=a, b=b)


def is_similar(a: str, b: str) -> str:
    """SQL condition: what a high weight needs besides. No other first name, and none of it from a key of several people."""
    return (
        f"not coalesce({clash_of_names(a, b)}, false) and (coalesce(is_spelling({a}.first_name, {b}.first_name), false) "
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
        "create or replace temp table spelling as select key, first_name, last_name, birth_date, list(distinct node) as nodes, "
        f"min(node) as node from (select {key} as key, node, first_name, last_name, birth_date from state where {known}) "
        "semi join shared using (key) group by all"
    )
    # people under a key are counted by their initials: a person's spellings mostly share one
    con.execute(
        "create or replace temp table evidence as select key, count(*) > 1 as is_varied, false as is_contested from spelling "
        f"group by key having count(distinct left(first_name, 1)) <= {rules.shared_by_at_most} and count(*) <= {_SPELLINGS}"
    )
    con.execute(
        f"""
        create or replace temp table pair as
        select a.key, a.node as l, b.node as r, ({clash(rule)}) as differs,
            coalesce(is_spelling(a.first_name, b.first_name), false) as agrees
        from spelling as a
        join spelling as b on a.key = b.key and a.node <= b.node and (a.node < b.node or {_ORDER})
        where a.key in (select key from evidence where is_varied)
        """
    )
    con.execute("update evidence set is_contested = true where key in (select key from pair where differs and l <> r)")
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


def told_apart(con: duckdb.DuckDBPyConnection, rules: Ruleset, labels: str) -> list[tuple[int, int]]:
    """Pairs of accounts of one cluster of table ``labels(node, label)`` that no version of theirs allows to be one person.

    Both have a first name, and no version of the one has a spelling of a name of the other; nor did a rule join the two
    that does not ask for names.
    """
    sure = ", ".join(str(i) for i, rule in enumerate(rules.rules, start=1) if "first_name" not in rule.against) or "-1"
    return con.execute(
        f"""
        with named as (
            select distinct label, node, first_name, last_name from state join {labels} using (node)
            where first_name is not null
        ),
        several as (
            select label from named group by label having count(distinct first_name) > 1 and count(distinct node) > 1
        )
        select a.node, b.node from named as a join named as b on a.label = b.label and a.node < b.node
        where a.label in (select label from several)
        group by 1, 2 having bool_and({clash_of_names("a", "b")})
            and (a.node, b.node) not in (select (l, r) from edge where rank in ({sure}))
        order by 1, 2
        """
    ).fetchall()
