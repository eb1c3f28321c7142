"""The registry: every source record with its customer, as a function of the raw zone, the rules and the decisions.

One layer at a time: accounts by exact keys, accounts by similarity, then guest orders by the address that one person has, then
visitors that were seen as one person. A layer never joins what an earlier one told apart.
"""

import math
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from hashlib import md5
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from orchestration import identity_files, raw_zone
from orchestration.contracts import Contract
from orchestration.identity import cluster, decisions, evidence, generation, history, keys, match, scoring
from orchestration.identity.growing import Growing
from orchestration.identity.model import read_model
from orchestration.identity.ruleset import Ruleset, load_rules
from orchestration.settings import Settings
from orchestration.warehouse import connect_scratch

#: Rank of the edges that come after the declared rules.
SIMILAR, GUEST_EMAIL = 90, 95


@dataclass(frozen=True)
class Outcome:
    """What a build found: how many records, customers, changed customers, pairs to review.

    ``is_as_before``: nothing that identities depend on has changed since the last build, and nothing was done.
    """

    revision: int
    records: int
    customers: int
    changed_records: int
    compared_states: int
    review_pairs: int
    largest_cluster: int
    is_as_before: bool = False


def build(
    settings: Settings,
    contracts: Mapping[str, Contract],
    as_of_date: date,
    *,
    run_id: str = "",
    from_nothing: bool = False,
) -> Outcome:
    """Match what is new and changed, and put the result in force as one generation.

    Nothing is done where nothing that it depends on is another than in the build before. ``from_nothing`` forgets that build
    and the normal forms and weights of earlier nights, which changes the time it takes and nothing else.
    """
    rules = load_rules(settings)
    basis = generation.basis(settings, contracts, rules)
    known = identity_files.pointer(settings)
    if not from_nothing and known.get("basis") == basis:
        found = {field.name: known[field.name] for field in fields(Outcome) if field.name in known}
        return Outcome(**found | {"changed_records": 0, "compared_states": 0, "is_as_before": True})
    with working_database(settings) as (con, scratch):
        generation.load_caches(con, settings, rules, from_nothing=from_nothing)
        growing = Growing(con, settings, generation.grounds(contracts, rules), from_nothing=from_nothing)
        evidence.gather(con, settings, contracts, rules, growing)
        compared = resolve(con, settings, rules, decisions.read_decisions(settings))
        revision = history.write(con, settings, as_of_date, run_id)
        outcome = _outcome(con, revision, compared)
        generation.put_in_force(con, settings, rules, scratch, growing, {"basis": basis, **vars(outcome)})
        return outcome


@contextmanager
def working_database(settings: Settings) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A database of its own and the folder it is in, which goes with it."""
    scratch = raw_zone.scratch_dir(settings) / f"identity-{uuid.uuid4().hex}"
    scratch.mkdir(parents=True)
    try:
        with connect_scratch(settings, scratch) as con:
            yield con, scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def resolve(
    con: duckdb.DuckDBPyConnection, settings: Settings, rules: Ruleset, decided: list[decisions.Decision]
) -> int:
    """Tables ``identities``, ``edges`` and ``review`` out of the evidence; returns how many versions were compared."""
    keys.exact_edges(con, rules)
    compared = _score(con, settings, rules)
    nodes = _count(con, "record")
    found = decisions.constraints(decided, _nodes_of(con, decided))
    con.executemany(
        f"insert into edge values (?, ?, {cluster.MANUAL}, null)",
        [list(pair) for pair in found.joined] or [[-1, -1]],
    )
    con.execute("delete from edge where l < 0")
    _label(con, rules, nodes, found, "record.kind = 'account'")
    _guest_edges(con)
    _label(con, rules, nodes, found, "true")
    _customers(con, found.hand_overs)
    _visitors(con)
    _publishable(con, settings, rules)
    return compared


def _score(con: duckdb.DuckDBPyConnection, settings: Settings, rules: Ruleset) -> int:
    """Weights of pairs with a new version; those of versions that are gone are forgotten."""
    if not rules.similar.compare:
        return 0
    con.execute("delete from known_state where state_id not in (select state_id from state)")
    con.execute(
        "delete from pair_score where state_l not in (select state_id from state) or state_r not in (select state_id from state)"
    )
    scoring.prepare(con)
    con.execute(
        "create or replace temp table new_state as select state_id from state anti join known_state using (state_id) "
        f"union {scoring.thinned_out(con)}"
    )
    scoring.drop_unblocked(con)
    new = _count(con, "new_state")
    if new:
        scoring.score(con, settings, rules)
        con.execute("insert into known_state select state_id from new_state anti join known_state using (state_id)")
    con.execute("create or replace table known_crowded as select key from crowded")
    con.execute(
        f"""
        insert into edge
        select least(a.node, b.node), greatest(a.node, b.node), {SIMILAR}, max(weight) + $prior
        from pair_score
        join known as a on a.state_id = state_l
        join known as b on b.state_id = state_r
        where weight + $prior >= {rules.similar.same_from} and {match.is_similar("a", "b")}
        group by 1, 2
        """,
        {"prior": prior_weight(con, settings, rules)},
    )
    return new


def prior_weight(con: duckdb.DuckDBPyConnection, settings: Settings, rules: Ruleset) -> float:
    """log2 of the odds that two accounts taken at random are one person's: one in as many as there are people.

    Declared, or found in training, or the order of magnitude of the records, so that a new customer changes nobody else's
    identity.
    """
    people = rules.similar.people or read_model(settings).people or 10 ** max(3, len(str(_count(con, "record"))))
    return -math.log2(people)


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(con.execute(f"select count(*) from {table}").fetchall()[0][0])


def _nodes_of(con: duckdb.DuckDBPyConnection, decided: list[decisions.Decision]) -> dict[decisions.Record, int]:
    named = sorted({r for d in decided for part in d.parts for r in part if r[0] != evidence.VISITOR})
    if not named:
        return {}
    rows = con.execute(
        "select kind, source_id, node from record semi join (select unnest($1) as kind, unnest($2) as source_id) "
        "using (kind, source_id)",
        [[r[0] for r in named], [r[1] for r in named]],
    ).fetchall()
    return {(kind, source_id): node for kind, source_id, node in rows}


def _label(
    con: duckdb.DuckDBPyConnection, rules: Ruleset, nodes: int, found: decisions.Constraints, which: str
) -> None:
    """Table ``label(node, label)``: the cluster of each node, over the edges among records of ``which``."""
    import pyarrow as pa

    edges = con.execute(
        "select l, r, rank, coalesce(weight, 0) as weight from edge "
        f"semi join (select node as l from record where {which}) using (l) "
        f"semi join (select node as r from record where {which}) using (r)"
    ).fetchnumpy()
    left, right = (np.asarray(edges[k], dtype=np.int64) for k in ("l", "r"))
    rank, weight = np.asarray(edges["rank"], dtype=np.int64), np.asarray(edges["weight"], dtype=np.float64)
    labels = cluster.components(nodes, left, right)
    _register(con, "label", pa.table({"node": np.arange(nodes), "label": labels}))
    tied = match.tied_by_name(con, rules, "label")
    units = cluster.components(nodes, tied["l"], tied["r"])
    _register(con, "label", pa.table({"node": np.arange(nodes), "label": labels, "unit": units}))
    forbidden = match.told_apart(con, "label")
    if forbidden or found.apart:
        labels = cluster.resolve(nodes, left, right, rank, weight, forbidden, found.apart)
        _register(con, "label", pa.table({"node": np.arange(nodes), "label": labels, "unit": units}))


def _register(con: duckdb.DuckDBPyConnection, name: str, table: Any) -> None:
    con.register("arriving", table)
    con.execute(f"create or replace table {name} as select * from arriving")
    con.unregister("arriving")


def _guest_edges(con: duckdb.DuckDBPyConnection) -> None:
    """Guest orders of one address are of one person; so is the account holder, if the address is one person's only."""
    con.execute(
        "create or replace table holder as select email, count(distinct label) as people, min(label) as label "
        "from state join label using (node) where email is not null and email in (select email from guest) group by email"
    )
    con.execute(
        f"""
        insert into edge
        select least(node, other), greatest(node, other), {GUEST_EMAIL}, null from (
            select guest.node, case when holder.people = 1 then holder.label else min(guest.node) over (partition by email) end as other
            from guest left join holder using (email)
            where email is not null and coalesce(holder.people, 1) = 1
        ) where node <> other
        """
    )


def customer_id(kind: str, source_id: str, salt: str = "") -> str:
    """The id that a record gives to the cluster that it founds: it says nothing about the record."""
    return "K" + md5(f"{kind}|{source_id}|{salt}".encode()).hexdigest()[:15].upper()


def _customers(con: duckdb.DuckDBPyConnection, hand_overs: tuple[tuple[int, int, str], ...]) -> None:
    """Table ``customer(label, customer_id)``: the id of the most senior record, or the one it was handed over."""
    tokens = "select node, 'K' || upper(left(md5(kind || '|' || source_id || '|'), 15)) as token, node as seniority from record"
    if not hand_overs:
        con.execute(
            f"create or replace table customer as select label, token as customer_id from label join ({tokens}) as t on t.node = label "
            "where label.node = label"
        )
        return
    con.execute(f"create or replace table token as {tokens}")
    for order, (giver, taker, decision_id) in enumerate(hand_overs):
        given, seniority = con.execute("select token, seniority from token where node = ?", [giver]).fetchall()[0]
        con.execute("update token set token = ?, seniority = ? where node = ?", [given, seniority, taker])
        kind, source_id = con.execute("select kind, source_id from record where node = ?", [giver]).fetchall()[0]
        # what it founds anew is younger than all that was there
        con.execute(
            "update token set token = ?, seniority = (select count(*) from record) + ? where node = ?",
            [customer_id(kind, source_id, decision_id), order, giver],
        )
    con.execute(
        "create or replace table customer as select label, arg_min(token, seniority) as customer_id "
        "from label join token using (node) group by label"
    )


def _visitors(con: duckdb.DuckDBPyConnection) -> None:
    """Table ``visitor``: those seen as exactly one person; a device of two people is nobody's."""
    con.execute(
        """
        create or replace table visitor as
        select visitor_id, min(customer_id) as customer_id, min(how) as how
        from visit join label using (node) join customer using (label)
        group by visitor_id having min(customer_id) = max(customer_id)
        """
    )


def _publishable(con: duckdb.DuckDBPyConnection, settings: Settings, rules: Ruleset) -> None:
    """Tables ``identities``, ``edges`` and ``review`` in the shape of ``identity_files.TABLES``."""
    con.execute("create or replace table rule (rank integer, name varchar)")
    names = [(rank, rule.name) for rank, rule in enumerate(rules.rules, start=1)]
    con.executemany(
        "insert into rule values (?, ?)",
        [*names, (cluster.MANUAL, "decided"), (SIMILAR, "similar"), (GUEST_EMAIL, "guest_email")],
    )
    con.execute(
        "create or replace table used as select e.*, a.label = b.label as is_used from edge as e "
        "join label as a on a.node = e.l join label as b on b.node = e.r"
    )
    con.execute(
        f"""
        create or replace table identities as
        with best as (
            select node, min(rank) as rank, case when min(rank) = {SIMILAR} then max(weight) end as weight
            from (select l as node, rank, weight from used where is_used
                union all select r, rank, weight from used where is_used)
            group by node
        )
        select r.kind as record_kind, r.source_id, r.source_system, customer_id, r.is_inferred, r.first_seen,
            coalesce(rule.name, case when r.kind = '{evidence.GUEST}' then 'guest_email' else 'alone' end) as rule,
            best.weight as match_weight
        from record as r join label using (node) join customer using (label) left join best using (node)
        left join rule using (rank)
        where r.kind = '{evidence.ACCOUNT}' or node in (
            select node from guest left join holder using (email) where email is not null and coalesce(people, 1) = 1)
            or (best.rank = {cluster.MANUAL})
        union all
        select '{evidence.VISITOR}', s.visitor_id, 'web', visitor.customer_id, false, min(day),
            case when any_value(how) = '1 signed_in' then 'signed_in' else 'ordered' end, null
        from seen as s join visitor using (visitor_id) group by s.visitor_id, visitor.customer_id
        """
    )
    con.execute(
        "create or replace table edges as select a.kind as record_kind, a.source_id, b.kind as other_kind, b.source_id as other_id, "
        "rank, rule.name as rule, weight as match_weight, is_used from used join rule using (rank) "
        "join record as a on a.node = l join record as b on b.node = r"
    )
    con.execute(
        f"""
        create or replace table review as
        select a.source_id, b.source_id as other_id, max(weight) + {prior_weight(con, settings, rules)} as match_weight, 'similar' as reason
        from pair_score
        join (select node, state_id, source_id from state) as a on a.state_id = state_l
        join (select node, state_id, source_id from state) as b on b.state_id = state_r
        join label as x on x.node = a.node
        join label as y on y.node = b.node
        where x.label <> y.label
            and weight + {prior_weight(con, settings, rules)} between {rules.similar.review_from} and {rules.similar.same_from}
        group by 1, 2
        """
    )


def _outcome(con: duckdb.DuckDBPyConnection, revision: int, compared: int) -> Outcome:
    records, customers, largest = con.execute(
        "select coalesce(sum(n), 0), count(*), coalesce(max(accounts), 0) from (select count(*) as n, "
        "count(*) filter (where record_kind = 'account') as accounts from identities group by customer_id)"
    ).fetchall()[0]
    return Outcome(
        revision=revision,
        records=int(records),
        customers=int(customers),
        changed_records=_count(con, "changes"),
        compared_states=compared,
        review_pairs=_count(con, "review"),
        largest_cluster=int(largest),
    )
