"""Weights found in the records themselves, by expectation maximisation (Fellegi and Sunter; Winkler 1988), with Splink.

No label is needed. u is the share of random pairs that agree, m is estimated among pairs that share one of `TRAINING_BLOCKS`,
each block leaving out what it holds equal. The result depends on the set of records, not on their order.
"""

import json
from collections.abc import Mapping
from datetime import date

import duckdb
import numpy as np

from orchestration import raw_zone
from orchestration.contracts import Contract
from orchestration.identity import cluster, evidence, generation, keys, registry, scoring
from orchestration.identity.growing import Growing
from orchestration.identity.model import DEFAULT_MODEL, Model, ModelError, read_model
from orchestration.identity.ruleset import Ruleset, load_rules
from orchestration.settings import Settings

#: Pairs that share one of these are looked at; a block of more pairs than `_MOST` or fewer than `_LEAST` is not.
TRAINING_BLOCKS = (
    ("last_name",),
    ("birth_date",),
    ("email",),
    ("phone",),
    ("first_name", "city"),
    ("first_name", "last_name"),
    ("last_name", "postal_code"),
)
_LEAST, _MOST = 50, 5_000_000
#: Records below which shares of levels are chance.
_RECORDS = 200
_RANDOM_PAIRS = 2_000_000
_SEED = 1
#: Share of the pairs of one person that exact keys join, as Splink's guide assumes where nothing is known.
_EXACT_RECALL = 0.7
#: What was never seen is rare, not impossible.
_FLOOR = 1e-6


def train(settings: Settings, contracts: Mapping[str, Contract], through: date | None = None) -> Model:
    """Train on the accounts delivered through a day (None: all) and put the weights in force.

    They are written to ``identity/model.json`` and kept as ``identity/models/<version>.json``. Raises ModelError where there
    are too few records. The next run compares all records anew.
    """
    rules = load_rules(settings)
    with registry.working_database(settings) as (con, _):
        generation.load_caches(con, settings, rules, from_nothing=False)
        evidence.gather(con, settings, contracts, rules, Growing(con, settings, from_nothing=True), through)
        content = json.dumps(_trained(con, rules, through), indent=1, ensure_ascii=False) + "\n"
    settings.identity_dir.mkdir(parents=True, exist_ok=True)
    settings.identity_dir.chmod(0o700)
    raw_zone.write_durably(settings.identity_dir / "model.json", content)
    model = read_model(settings)
    kept = settings.identity_dir / "models"
    kept.mkdir(exist_ok=True)
    raw_zone.write_durably(kept / f"{model.version}.json", content)
    return model


def _trained(con: duckdb.DuckDBPyConnection, rules: Ruleset, through: date | None) -> dict[str, object]:
    records, last = con.execute("select count(distinct node), max(first_seen) from state").fetchall()[0]
    if records < _RECORDS:
        raise ModelError(f"{records} accounts are too few to train on: {_RECORDS} are the least")
    people = _people(con, rules, int(records))
    scoring.prepare(con)
    con.execute("create or replace table sample as select * from candidate order by state_id")
    # the sample of random pairs is the same in every run with one thread only
    threads = con.execute("select current_setting('threads')").fetchall()[0][0]
    con.execute("set threads = 1")
    linker = scoring.linker(con, "sample", scoring.splink_settings())
    linker.training.estimate_u_using_random_sampling(max_pairs=_RANDOM_PAIRS, seed=_SEED)
    con.execute(f"set threads = {threads}")
    for block in TRAINING_BLOCKS:
        if _LEAST <= _pairs(con, block) <= _MOST:
            linker.training.estimate_parameters_using_expectation_maximisation(
                {"blocking_rule": " and ".join(f'l."{c}" = r."{c}"' for c in block), "sql_dialect": "duckdb"}
            )
    found = linker.misc.save_model_to_json()["comparisons"]
    return {
        "source": "trained",
        "trained_through": str(through or last),
        "records": int(records),
        "people": people,
        "weights": _weights(found),
    }


def _people(con: duckdb.DuckDBPyConnection, rules: Ruleset, records: int) -> int:
    """How many people a record could be of: pairs of accounts for each pair of one person."""
    keys.exact_edges(con, rules)
    edges = con.execute("select l, r from edge").fetchnumpy()
    nodes = con.execute("select coalesce(max(node), -1) + 1 from record").fetchall()[0][0]
    labels = cluster.components(nodes, np.asarray(edges["l"]), np.asarray(edges["r"]))
    sizes = np.bincount(labels)
    joined = max(int((sizes * (sizes - 1) // 2).sum()), 1)
    return max(1, round(records * (records - 1) / 2 * _EXACT_RECALL / joined))


def _pairs(con: duckdb.DuckDBPyConnection, block: tuple[str, ...]) -> int:
    known = " and ".join(f"{c} is not null" for c in block)
    return int(con.execute(
        f"select coalesce(sum(n * (n - 1) // 2), 0) from (select count(*) as n from sample where {known} group by {', '.join(block)})"
    ).fetchall()[0][0])  # fmt: skip


def _weights(comparisons: list[dict[str, list[dict[str, object]]]]) -> dict[str, dict[str, list[float]]]:
    """m and u of every level; an attribute that could not be trained keeps the estimates for retailers."""
    estimates = Model.model_validate(json.loads(DEFAULT_MODEL.read_text())).weights
    weights: dict[str, dict[str, list[float]]] = {}
    for comparison in comparisons:
        attribute = str(comparison["output_column_name"])
        known = estimates[attribute]
        levels = {str(v["label_for_charts"]): v for v in comparison["comparison_levels"] if not v.get("is_null_level")}
        seen = {k: (v.get("m_probability"), v.get("u_probability")) for k, v in levels.items()}
        if not any(isinstance(m, float) and isinstance(u, float) for m, u in seen.values()):
            weights[attribute] = {label: list(known[label]) for label in seen}
            continue
        pairs = {
            label: [
                found if isinstance(found, float) else estimate
                for found, estimate in zip(seen[label], known[label], strict=True)
            ]
            for label in seen
        }
        totals = [sum(max(v[side], _FLOOR) for v in pairs.values()) for side in (0, 1)]
        # the last digits depend on the order in which threads add up
        weights[attribute] = {
            label: [float(f"{max(v[side], _FLOOR) / totals[side]:.6g}") for side in (0, 1)]
            for label, v in pairs.items()
        }
    return weights
