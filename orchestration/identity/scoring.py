"""What exact keys leave: pairs of account versions compared by Splink (Fellegi and Sunter's weights) on DuckDB.

The weights are an input: ``model.json`` of the repository where the retailer has put one of his own, else the one beside
this module. With fixed weights and no term frequencies the weight of a pair depends on the pair alone, so a night compares
only pairs with a new version and keeps the weights of all others, with the same result as from nothing.

Table ``score(state_l, state_r, node_l, node_r, weight)`` holds the best weight of each pair of accounts that reaches
``review_from``.
"""

import json
import logging
import math
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from orchestration.identity import match
from orchestration.identity.ruleset import Ruleset
from orchestration.settings import Settings

DEFAULT_MODEL = Path(__file__).with_name("model.json")
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


def model_file(settings: Settings) -> Path:
    """The weights in force."""
    own = settings.identity_dir / "model.json"
    return own if own.exists() else DEFAULT_MODEL


def model_version(settings: Settings) -> str:
    """A fingerprint of the weights and of the columns and keys that they are used with."""
    return sha256(model_file(settings).read_bytes() + repr((BLOCKS, _BLOCK_COLUMNS)).encode()).hexdigest()[:12]


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
            (f"{parts} = 2 or (year({{l}}) = year({{r}}) and month({{l}}) = day({{r}}))", "two parts equal"),
            (f"{parts} = 1", "one part equal"),
        ),
        _comparison(
            "email",
            ("{l} = {r}", "equal"),
            ('"email_name_l" = "email_name_r"', "another provider"),
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


def blocking_rules(restriction: str = "") -> list[dict[str, str]]:
    """SQL of the pairs compared: versions of two accounts that share a block."""
    rules = [" and ".join(f'l."{c}" = r."{c}"' for c in block) for block in BLOCKS]
    return [{"blocking_rule": f"{rule} and l.node <> r.node{restriction}", "sql_dialect": "duckdb"} for rule in rules]


def model_settings() -> dict[str, Any]:
    """Splink's settings without weights."""
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "state_id",
        "probability_two_random_records_match": 0.5,
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
        "additional_columns_to_retain": ["node"],
        "comparisons": comparisons(),
        "blocking_rules_to_generate_predictions": blocking_rules(),
    }


def _linker(con: duckdb.DuckDBPyConnection, table: str, settings: dict[str, Any]) -> Any:
    from splink import Linker
    from splink.backends.duckdb import DuckDBAPI

    logging.getLogger("splink").setLevel(logging.ERROR)
    api = DuckDBAPI(connection=con)
    return Linker(api.register(table), settings, log_level=None, validate_settings=False)


def _prepare(con: duckdb.DuckDBPyConnection, table: str, where: str = "true") -> None:
    blocks = ", ".join(f"{sql} as {name}" for name, sql in _BLOCK_COLUMNS.items())
    # splink takes columns of one case and a key of text or number
    con.execute(
        f"create or replace table {table} as select state_id, node, {', '.join(_COMPARED)}, {blocks} from state where {where}"
    )


def score(con: duckdb.DuckDBPyConnection, settings: Settings, rules: Ruleset) -> None:
    """Add to table ``pair_score`` the pairs in which a version of table ``new_state(state_id)`` takes part."""
    match.define_macros(con)
    _prepare(con, "candidate")
    keys = " union ".join(
        f"select distinct {i} as block, md5_number_lower(concat_ws(chr(31), {', '.join(b)})) as key from candidate "
        f"semi join new_state using (state_id) where {' and '.join(f'{c} is not null' for c in b)}"
        for i, b in enumerate(BLOCKS)
    )
    con.execute(f"create or replace temp table new_key as {keys}")
    shares = " or ".join(
        f"md5_number_lower(concat_ws(chr(31), {', '.join(b)})) in (select key from new_key where block = {i})"
        for i, b in enumerate(BLOCKS)
    )
    con.execute(
        "create or replace table compared as select *, state_id in (select state_id from new_state) as is_new "
        f"from candidate where state_id in (select state_id from new_state) or {shares}"
    )
    if not con.execute("select count(*) from compared").fetchall()[0][0]:
        return
    model = json.loads(model_file(settings).read_text())
    model["probability_two_random_records_match"] = 0.5
    model["blocking_rules_to_generate_predictions"] = blocking_rules(" and (l.is_new or r.is_new)")
    linker = _linker(con, "compared", model)
    # weights are kept without the prior, which follows the number of people
    least = rules.similar.review_from + math.log2(rules.similar.people or 1000)
    pairs = linker.inference.predict(threshold_match_weight=least, warning_mode="never")
    con.execute(
        "insert into pair_score select least(state_id_l, state_id_r), greatest(state_id_l, state_id_r), max(match_weight) "
        f"from {pairs.physical_name} group by 1, 2"
    )
