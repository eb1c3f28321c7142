"""What exact keys leave: pairs of account versions compared by Splink (Fellegi and Sunter's weights) on DuckDB.

The weights are an input: ``model.json`` of the repository where the retailer has trained or put one of his own, else the one
beside this module. With fixed weights and no term frequencies the weight of a pair depends on the pair alone, so a night
compares only pairs with a new version and keeps the weights of all others, with the same result as from nothing.

Table ``pair_score(state_l, state_r, weight)`` holds the weight, without the prior, of each pair of versions that may reach
``review_from``. A pair counts only where it shares a block now (`drop_unblocked`).
"""

import logging
import math
from hashlib import sha256
from typing import Any

import duckdb

from orchestration.identity import match
from orchestration.identity.model import Model, ModelError, read_model
from orchestration.identity.ruleset import Ruleset
from orchestration.settings import Settings

_COMPARED = ("first_name", "last_name", "birth_date", "email", "phone", "street", "postal_code", "city")

# Pairs that share one of these are compared. Each names a person nearly: a key that thousands share would make
# millions of pairs.
BLOCKS = (
    ("birth_date", "low_initial"),
    ("birth_date", "high_initial"),
    ("last_name", "birth_month"),
    ("first_name", "birth_month"),
    ("last_name", "birth_day"),
    ("birth_date", "city"),
    ("first_name", "last_name", "postal_area"),
    ("first_name", "last_name", "birth_year"),
    ("last_name", "city", "first_initial"),
    ("first_name", "city", "birth_year"),
    ("last_name", "postal_code"),
    ("phone",),
    ("email",),
    ("email_name",),
    ("email_stem", "email_domain"),
    ("street", "postal_code"),
)
# Where few have a value it names a person nearly, too: shared by up to `RARE` accounts, it is compared.
WIDE = ("last_name", "first_name", "email_domain", "city", "birth_year", "birth_month")
RARE = 10
_BLOCK_COLUMNS = {
    "postal_area": "left(postal_code, 2)",
    "birth_year": "year(birth_date)",
    "first_initial": "left(first_name, 1)",
    # whichever field they are in
    "low_initial": "least(left(first_name, 1), left(last_name, 1))",
    "high_initial": "greatest(left(first_name, 1), left(last_name, 1))",
    "birth_month": "strftime(birth_date, '%Y-%m')",
    "birth_day": "strftime(birth_date, '%m-%d')",
    "email_name": "case when len(split_part(email, '@', 1)) >= 7 then split_part(email, '@', 1) end",
    "email_stem": "case when len(split_part(email, '@', 1)) >= 9 then left(email, 4) || right(split_part(email, '@', 1), 4) end",
    "email_domain": "split_part(email, '@', 2)",
    "email_digits": "nullif(regexp_replace(split_part(email, '@', 1), '[^0-9]', '', 'g'), '')",
}


def model_version(settings: Settings) -> str:
    """A fingerprint of the weights and of the columns and keys that they are used with."""
    used = repr((BLOCKS, WIDE, RARE, _BLOCK_COLUMNS, comparisons()))
    return sha256((read_model(settings).version + used).encode()).hexdigest()[:12]


def _level(condition: str, label: str) -> dict[str, Any]:
    return {"sql_condition": condition, "label_for_charts": label}


def _comparison(column: str, *levels: tuple[str, str]) -> dict[str, Any]:
    left, right = f'"{column}_l"', f'"{column}_r"'
    conditions = [_level(c.replace("{l}", left).replace("{r}", right), label) for c, label in levels]
    unknown = {
        "sql_condition": f"{left} is null or {right} is null",
        "label_for_charts": "unknown",
        "is_null_level": True,
    }
    return {"output_column_name": column, "comparison_levels": [unknown, *conditions, _level("ELSE", "differs")]}


def comparisons() -> list[dict[str, Any]]:
    """How each attribute of two versions may agree, from best to worst."""
    parts = "(year({l}) = year({r}))::int + (month({l}) = month({r}))::int + (day({l}) = day({r}))::int"
    return [
        _comparison(
            "first_name",
            ("{l} = {r}", "equal"),
            ('{l} = "last_name_r" or "last_name_l" = {r}', "in the other field"),
            ("jaro_winkler_similarity({l}, {r}) >= 0.92", "a letter off"),
            ("jaro_winkler_similarity({l}, {r}) >= 0.8 or starts_with({l}, {r}) or starts_with({r}, {l})", "similar"),
        ),
        _comparison(
            "last_name",
            ("{l} = {r}", "equal"),
            ('{l} = "first_name_r" or "first_name_l" = {r}', "in the other field"),
            ("jaro_winkler_similarity({l}, {r}) >= 0.92", "a letter off"),
            ("jaro_winkler_similarity({l}, {r}) >= 0.8", "similar"),
        ),
        _comparison(
            "birth_date",
            ("{l} = {r}", "equal"),
            (
                (
                    "damerau_levenshtein(cast({l} as varchar), cast({r} as varchar)) <= 1 "
                    "or (year({l}) = year({r}) and month({l}) = day({r}) and day({l}) = month({r}))"
                ),
                "a digit off or swapped",
            ),
            (f"{parts} = 2", "two parts equal"),
            ("abs({l} - {r}) <= 31", "within a month"),
            ("abs({l} - {r}) <= 366", "within a year"),
            ("abs({l} - {r}) <= 3653", "within ten years"),
        ),
        _comparison(
            "email",
            ("{l} = {r}", "equal"),
            ('"email_name_l" = "email_name_r"', "another provider"),
            ("is_near_email({l}, {r})", "letters moved"),
            (
                'jaro_winkler_similarity({l}, {r}) >= 0.92 and "email_digits_l" = "email_digits_r"',
                "a letter off, same number",
            ),
            (
                (
                    'jaro_winkler_similarity("email_name_l", "email_name_r") >= 0.88 '
                    'and "email_digits_l" is not distinct from "email_digits_r"'
                ),
                "similar, same number",
            ),
        ),
        _comparison("phone", ("{l} = {r}", "equal"), ("levenshtein({l}, {r}) <= 1", "one digit off")),
        _comparison("street", ("{l} = {r}", "equal"), ("jaro_winkler_similarity({l}, {r}) >= 0.9", "similar")),
        _comparison(
            "postal_code",
            ("{l} = {r}", "equal"),
            ("levenshtein({l}, {r}) <= 1 or left({l}, 2) = left({r}, 2)", "nearly"),
        ),
        _comparison("city", ("{l} = {r}", "equal"), ("jaro_winkler_similarity({l}, {r}) >= 0.88", "similar")),
    ]


def levels() -> dict[str, list[str]]:
    """The labels of the levels of each attribute, from best to worst; unknown values weigh nothing."""
    return {
        c["output_column_name"]: [x["label_for_charts"] for x in c["comparison_levels"] if not x.get("is_null_level")]
        for c in comparisons()
    }


def _blocks() -> list[tuple[str, ...]]:
    return [*BLOCKS, *((f"rare_{column}",) for column in WIDE)]


def blocking_rules(restriction: str = "") -> list[dict[str, str]]:
    """SQL of the pairs compared: versions of two accounts that share a block."""
    rules = [" and ".join(f'l."{c}" = r."{c}"' for c in block) for block in _blocks()]
    return [{"blocking_rule": f"{rule} and l.node <> r.node{restriction}", "sql_dialect": "duckdb"} for rule in rules]


def splink_settings(model: Model | None = None, restriction: str = "") -> dict[str, Any]:
    """Splink's settings, with the weights of ``model`` (None: none) and without a prior."""
    compared = comparisons()
    for comparison in compared if model else ():
        attribute = comparison["output_column_name"]
        weights = model.weights.get(attribute, {}) if model else {}
        for level in comparison["comparison_levels"]:
            label = level["label_for_charts"]
            if not level.get("is_null_level"):
                if label not in weights:
                    raise ModelError(
                        f"model.json has no weights of {attribute}, {label}; `fidelis identity train` writes them anew"
                    )
                level["m_probability"], level["u_probability"] = weights[label]
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "state_id",
        "probability_two_random_records_match": 0.5,
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
        "additional_columns_to_retain": ["node"],
        "comparisons": compared,
        "blocking_rules_to_generate_predictions": blocking_rules(restriction),
    }


def linker(con: duckdb.DuckDBPyConnection, table: str, settings: dict[str, Any]) -> Any:
    """Splink over a table of the connection; it says nothing and asks nobody."""
    from splink import Linker
    from splink.backends.duckdb import DuckDBAPI

    logging.getLogger("splink").setLevel(logging.ERROR)
    api = DuckDBAPI(connection=con)
    return Linker(api.register(table), settings, log_level=None, validate_settings=False)


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Table ``candidate`` out of ``state``: what is compared, and the blocks; table ``crowded(key)``: wide blocks too large."""
    match.define_macros(con)
    columns = ", ".join(f"{sql} as {name}" for name, sql in _BLOCK_COLUMNS.items())
    # splink takes columns of one case and a key of text or number
    con.execute(
        f"create or replace temp table versions as select state_id, node, {', '.join(_COMPARED)}, {columns} from state"
    )
    for column in WIDE:
        con.execute(
            f"create or replace temp table crowded_{column} as select {column} from versions where {column} is not null "
            f"group by {column} having count(distinct node) > {RARE}"
        )
    crowded = " union all ".join(f"select {_key(column)} as key from crowded_{column}" for column in WIDE)
    con.execute(f"create or replace table crowded as {crowded}")
    rare = ", ".join(
        f"case when {column} not in (select {column} from crowded_{column}) then {column} end as rare_{column}"
        for column in WIDE
    )
    con.execute(f"create or replace table candidate as select *, {rare} from versions")


def _key(column: str) -> str:
    """SQL of a wide block's key: the name of the column counts, so that keys of two blocks never meet."""
    return f"md5_number_lower('{column}' || chr(31) || {column})"


def thinned_out(con: duckdb.DuckDBPyConnection) -> str:
    """SQL of the versions in a wide block that was too large in the night of ``known_crowded`` and no longer is."""
    con.execute("create or replace temp table thin as select key from known_crowded anti join crowded using (key)")
    if not con.execute("select count(*) from thin").fetchall()[0][0]:
        return "select state_id from state where false"
    return " union ".join(
        f"select state_id from candidate where {_key(column)} in (select key from thin)" for column in WIDE
    )


def _all_are_new(con: duckdb.DuckDBPyConnection) -> bool:
    return bool(
        con.execute("select (select count(*) from new_state) = (select count(*) from candidate)").fetchall()[0][0]
    )


def score(con: duckdb.DuckDBPyConnection, settings: Settings, rules: Ruleset) -> None:
    """Add to table ``pair_score`` the pairs in which a version of table ``new_state(state_id)`` takes part."""
    if not con.execute("select count(*) from candidate").fetchall()[0][0]:
        return
    model = read_model(settings)
    if _all_are_new(con):
        found = linker(con, "candidate", splink_settings(model))
    else:
        new = "select state_id from new_state"
        shares = " union ".join(
            f"select state_id from candidate semi join (select {', '.join(b)} from candidate semi join new_state using (state_id)) "
            f"using ({', '.join(b)})"
            for b in _blocks()
        )
        con.execute(
            f"create or replace table compared as select *, state_id in ({new}) as is_new from candidate "
            f"where state_id in ({new} union {shares})"
        )
        found = linker(con, "compared", splink_settings(model, " and (l.is_new or r.is_new)"))
    # weights are kept without the prior, which follows the number of people
    least = rules.similar.review_from + math.log2(rules.similar.people or model.people or 1000)
    pairs = found.inference.predict(threshold_match_weight=least, warning_mode="never")
    con.execute(
        "create or replace temp table arrived as select least(state_id_l, state_id_r) as state_l, "
        f"greatest(state_id_l, state_id_r) as state_r, max(match_weight) as weight from {pairs.physical_name} group by 1, 2"
    )
    con.execute("delete from pair_score where (state_l, state_r) in (select (state_l, state_r) from arrived)")
    con.execute("insert into pair_score select * from arrived")


def drop_unblocked(con: duckdb.DuckDBPyConnection) -> None:
    """Forget pairs of earlier nights that only a block which has grown too large had in common."""
    grown = "select (select count(*) from pair_score) > 0 and exists (select key from crowded anti join known_crowded using (key))"
    if not con.execute(grown).fetchall()[0][0]:
        return
    shared = " or ".join(" and ".join(f"a.{c} = b.{c}" for c in block) for block in _blocks())
    con.execute(
        "create or replace temp table blocked as select p.* from pair_score as p join candidate as a on a.state_id = p.state_l "
        f"join candidate as b on b.state_id = p.state_r where {shared}"
    )
    con.execute("delete from pair_score")
    con.execute("insert into pair_score select * from blocked")
