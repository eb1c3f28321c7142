"""What was known when: the bitemporal table of identities, ``valid`` in business days and ``known`` in ours.

A row says that a source record is of a customer from ``valid_from`` until before ``valid_to``, and that this was held from
``known_since`` (the ``as_of_date`` of the build that found it out) until before ``known_until``. Two builds of one day are told
apart by their revision. Nothing is removed: a build closes what it no longer holds.
"""

from datetime import date

import duckdb

from orchestration import identity_files
from orchestration.settings import Settings

FOREVER = "date '9999-12-31'"
#: The ids as of a day: ``select … from history where`` this.
AS_OF = (
    "known_since <= {day} and coalesce(known_until, "
    + FOREVER
    + ") > {day} and valid_from <= {day} and valid_to > {day}"
)


def write(con: duckdb.DuckDBPyConnection, settings: Settings, as_of_date: date, run_id: str) -> int:
    """Tables ``history`` and ``changes`` out of ``identities`` and the history in force; returns the revision."""
    con.execute(f"create table past as {identity_files.relation(settings, 'history')}")
    last, day = con.execute(
        "select coalesce(max(greatest(since_revision, coalesce(until_revision, 0))), 0), "
        "greatest(coalesce(max(known_since), $1), $1) from past",
        [as_of_date],
    ).fetchall()[0]
    con.execute(
        f"""
        create table changed as
        select coalesce(p.record_kind, n.record_kind) as record_kind, coalesce(p.source_id, n.source_id) as source_id,
            p.customer_id as old_id, n.customer_id as customer_id
        from (select * from past where until_revision is null and valid_to = {FOREVER}) as p
        full join identities as n on n.record_kind = p.record_kind and n.source_id = p.source_id
        where p.customer_id is distinct from n.customer_id or p.source_system is distinct from n.source_system
        """
    )
    revision = int(last) + (1 if con.execute("select count(*) from changed").fetchall()[0][0] else 0)
    names = ", ".join(identity_files.TABLES["history"])
    con.execute(
        f"""
        create table history as
        select {names} from past as p anti join changed using (record_kind, source_id)
        union all
        -- what was held, and no longer is
        select record_kind, source_id, source_system, p.customer_id, rule, match_weight, valid_from, valid_to, known_since,
            coalesce(known_until, case when valid_to = {FOREVER} then $day end),
            since_revision, coalesce(until_revision, case when valid_to = {FOREVER} then $revision end), run_id
        from past as p semi join changed using (record_kind, source_id)
        union all
        -- it held until today: the past of a record stays as it was
        select record_kind, source_id, source_system, p.customer_id, rule, match_weight, valid_from, $day, $day, null,
            $revision, null, $run_id
        from past as p semi join changed using (record_kind, source_id)
        where until_revision is null and valid_to = {FOREVER} and valid_from < $day
        union all
        select n.record_kind, n.source_id, n.source_system, n.customer_id, n.rule, n.match_weight,
            case when c.old_id is null then n.first_seen else $day end, {FOREVER}, $day, null, $revision, null, $run_id
        from identities as n join changed as c on c.record_kind = n.record_kind and c.source_id = n.source_id
        """,
        {"day": day, "revision": revision, "run_id": run_id},
    )
    con.execute(
        "create table changes as select distinct unnest([old_id, customer_id]) as customer_id, source_id, record_kind, "
        f"cast({revision} as bigint) as revision from changed"
    )
    con.execute("delete from changes where customer_id is null")
    return revision
