"""Extraction: the deliveries of a window of days -> typed Parquet per day, quarantine and row accounting.

The days of a window are read together (``staging``). Only days in which something was wrong are written a second time,
without the bad rows.
"""

import shutil
import uuid
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb

from orchestration import drift, profiling, quarantine, raw_zone, staging
from orchestration.contracts import Contract
from orchestration.raw_zone import Partition
from orchestration.rules import CONFLICT, MALFORMED
from orchestration.settings import Settings
from orchestration.sources import deliveries
from orchestration.sources import files as source_files
from orchestration.sources.files import DeliveryError
from orchestration.staging import Window
from orchestration.warehouse import connect_scratch


def extract(
    settings: Settings,
    contract: Contract,
    days: Sequence[date],
    *,
    accept_missing: bool = False,
    accept_drift: bool = False,
) -> dict[date, Partition]:
    """Load the deliveries of ``days`` into the raw zone, all at once, and return the partitions.

    A day that cannot be accepted (missing, unreadable, too many bad rows) carries its ``failure`` and leaves
    the last good delivery of that day in place. A day whose files are gone from the landing folder keeps the last
    good delivery too, and is no longer failed; with ``accept_missing``, a required delivery that is not there is taken
    for an empty one, with ``accept_drift`` one that is not as usual is taken as it is. Raises ContractError where the
    contract itself does not fit the source, SourceError where a server cannot be reached or refuses us.
    """
    known = raw_zone.partitions(settings, contract.table)
    delivered = deliveries.discover(settings, contract, days)
    results: dict[date, Partition] = {}
    window = Window(contract, {}, known=known, accept_drift=accept_drift)
    for day in days:
        if delivered.get(day):
            window.files[day] = delivered[day]
        elif day in known and (good := known[day].good) is not None:  # a broken delivery withdrawn: the last good one
            results[day] = good
        elif contract.required and not accept_missing and not contract.server.is_table:
            results[day] = Partition(
                day,
                failure=f"no delivery of {contract.table} for {day}: nothing at {_place(settings, contract)} "
                "(if nothing was to come, run the day with --accept-missing)",
            )
        else:
            results[day] = Partition(day, contract_version=contract.version)
    changed = {day: p for day, p in results.items() if day not in known or known[day] != p}
    if window.files:
        loaded = _load(settings, window)
        results |= loaded
        changed |= loaded
    if changed:
        raw_zone.commit(settings, contract.table, changed)
    return dict(sorted(results.items()))


def _place(settings: Settings, contract: Contract) -> str:
    server = contract.server
    return f"{server.place} in {settings.landing_dir}" if server.type == "local" else server.place


def pending_days(settings: Settings, contracts: Mapping[str, Contract], through: date | None = None) -> list[date]:
    """Delivery days with files that the raw zone does not hold as they are: new, changed or failed before.

    A changed contract makes no day pending: older files may have the older header. ``raw_zone.stale_days`` tells them.
    """
    pending: set[date] = set()
    for contract in contracts.values():
        known = raw_zone.partitions(settings, contract.table)
        for day, found in deliveries.discover_changes(settings, contract, known).items():
            partition = known.get(day)
            if partition is None or partition.fingerprint != source_files.fingerprint(found):
                pending.add(day)
        pending.update(day for day, p in known.items() if not p.loaded)
    return sorted(d for d in pending if d >= settings.first_day and (through is None or d <= through))


def _load(settings: Settings, window: Window) -> dict[date, Partition]:
    scratch = raw_zone.scratch_dir(settings) / f"{window.contract.table}-{uuid.uuid4().hex}"
    scratch.mkdir(parents=True)
    staged = scratch / "staged"
    try:
        window.prints = {day: source_files.fingerprint(found) for day, found in window.files.items()}
        with connect_scratch(settings, scratch) as con:
            staging.fetch(settings, window, scratch / "fetched", con)
        while True:
            with connect_scratch(settings, scratch) as con:
                if staging.stage(settings, window, staged, con):
                    return _judge(settings, window, staged, con)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _judge(settings: Settings, window: Window, staged: Path, con: duckdb.DuckDBPyConnection) -> dict[date, Partition]:
    """Separate bad rows from good ones, account for all of them, and move the files of each day into place."""
    contract, scratch = window.contract, staged.parent
    mask = error_mask(contract)
    profile = profiling.profile(con, contract, staged, mask)
    rejected = quarantine.rejected_by_day(con)
    elsewhere = dict(
        con.execute(
            "select delivery_day, sum(rows)::bigint from elsewhere join delivered using (name) group by all"
        ).fetchall()
    )
    clashing = quarantine.days_with_repeated_keys(con, contract, staged, mask)
    dirty = sorted({d for d, p in profile.items() if p.bad_rows} | set(rejected) | clashing)
    broken = {rule for day in dirty if day in profile for rule in profile[day].violations}
    cleaned, bad = scratch / "cleaned", scratch / "quarantine"
    outcome: dict[date, quarantine.Outcome] = {}
    try:
        outcome = quarantine.separate(
            con,
            contract,
            staged,
            cleaned,
            bad,
            dirty,
            window.readable(),
            _rule_names(contract),
            mask,
            lambda: staging.numbered(settings, window, dirty, broken, con),
            window.one_line,
        )
    except DeliveryError as error:
        window.failures.update(dict.fromkeys(dirty, str(error)))
        shutil.rmtree(cleaned)
    for day in dirty:
        shutil.rmtree(staged / f"delivery_date={day}", ignore_errors=True)
        if (cleaned / f"delivery_date={day}").exists():
            (cleaned / f"delivery_date={day}").rename(staged / f"delivery_date={day}")
    partitions = {
        day: Partition(day, failure=reason, fingerprint=window.prints[day]) for day, reason in window.failures.items()
    }
    past = ChainMap(partitions, dict(window.known))
    accounts = {
        day: _account(window, day, profile.get(day), outcome.get(day), rejected.get(day, 0), elsewhere.get(day, 0))
        for day in sorted(d for d in window.files if d not in window.failures)
    }
    changed = {day: types for day, p in accounts.items() if not p.loaded and (types := _broken_types(contract, p))}
    forms = staging.delivered_forms(settings, window, changed, con) if changed else {}
    for day, partition in accounts.items():
        for name in changed.get(day, ()):
            partition = replace(
                partition, failure=f"{partition.failure}; {_declared(contract, name)}, {forms[day, name]}"
            )
        partitions[day] = drift.hold(contract, partition, past, accept=window.accept_drift)
        if not partitions[day].loaded:
            shutil.rmtree(staged / f"delivery_date={day}", ignore_errors=True)
    has_rows = any(staged.glob("*/*.parquet"))
    held = profiling.sums(con, contract, profiling.staged_relation(staged)) if has_rows else {}
    token = scratch.name.rsplit("-", 1)[1][:12]
    data = raw_zone.adopt(staged, settings.raw_dir / contract.table, token)
    kept = raw_zone.adopt_private(settings, bad, contract.table, token)
    return {
        day: replace(p, data=data.get(day, ()), quarantine=kept.get(day, ()), held=held.get(day, {}))
        for day, p in sorted(partitions.items())
    }


def error_mask(contract: Contract) -> int:
    """The bits of ``_violations`` that send a row to quarantine."""
    return sum(1 << i for i, rule in enumerate(contract.rules) if rule.severity == "error") | 1 << len(contract.rules)


def _rule_names(contract: Contract) -> list[str]:
    return [rule.name for rule in contract.rules] + [MALFORMED]


def _worst(violations: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(violations.items(), key=lambda item: (-item[1], item[0]))[:3]


def _broken_types(contract: Contract, partition: Partition) -> list[str]:
    """The columns whose type is among the rules that were broken most often."""
    types = {f"{c.name}_type": c.name for c in contract.columns if c.captured}
    return [types[rule] for rule, _ in _worst(partition.violations) if rule in types]


def _declared(contract: Contract, name: str) -> str:
    column = next(c for c in contract.columns if c.name == name)
    header = f" (in the file '{column.header}')" if column.header and column.header != name else ""
    return f"column '{name}'{header} must be a {column.sql_type}"


def _account(
    window: Window,
    day: date,
    profile: profiling.DayProfile | None,
    outcome: quarantine.Outcome | None,
    rejected: int,
    elsewhere: int,
) -> Partition:
    contract = window.contract
    staged_rows = profile.rows if profile else 0
    quarantined = outcome.quarantined if outcome else 0
    duplicates = outcome.duplicates if outcome else 0
    read = staged_rows + rejected
    violations = dict(profile.violations) if profile else {}
    if rejected:
        violations[MALFORMED] = violations.get(MALFORMED, 0) + rejected
    if outcome and outcome.conflicts:
        violations[CONFLICT] = outcome.conflicts
    failure = None
    if not contract.tolerates(read, quarantined):
        failure = (
            f"{contract.table} of {day}: {quarantined:,} of {read:,} rows are bad, more than the tolerated "
            f"{contract.tolerated_share:.1%} or {contract.tolerated_rows} rows ({', '.join(f'{n} {c:,}' for n, c in _worst(violations))})"
        )
    accepted = read - quarantined - duplicates
    captured = {c.header for c in contract.columns if c.header}
    return Partition(
        day=day,
        rows_read=read + elsewhere,
        rows_loaded=0 if failure else accepted,
        rows_quarantined=quarantined,
        rows_duplicate=duplicates,
        rows_elsewhere=elsewhere,
        rows_refused=accepted if failure else 0,
        violations=violations,
        profile=profile.columns if profile else {},
        uncaptured=_uncaptured(window, day, captured),
        fingerprint=window.prints[day],
        contract_version=contract.version,
        contract_content=contract.content,
        failure=failure,
    )


def _uncaptured(window: Window, day: date, captured: set[str]) -> tuple[str, ...]:
    """Headers that the delivery has and the contract does not name: reported, never loaded."""
    contract = window.contract
    expressions = " ".join([contract.source, contract.where or "", *(c.expression or "" for c in contract.columns)])
    headers = {name for file in window.files[day] for name in window.headers.get(file.name, ())}
    return tuple(sorted(name for name in headers - captured if name not in expressions))
