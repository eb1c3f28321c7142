"""One night's export of an audience: the full set, what differs from the last one delivered, and the manifest.

An export is made whole in ``FIDELIS_HOME/activation/<audience>/<export>``, delivered, and then made ``current`` by one rename. The
difference is against ``current``. A run that is killed leaves an export that is not current: the next run asks the destination
whether it arrived, and takes it for delivered or drops it.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import file_digest
from pathlib import Path
from typing import Any

import duckdb

from orchestration.activation.audience import CONTACT_COLUMNS, Audience, AudienceError, ExportError, export_id
from orchestration.activation.destinations import MANIFEST, deliver, discard, is_there
from orchestration.activation.gate import judge
from orchestration.activation.plan import write_plan
from orchestration.activation_files import CURRENT, PLANNED
from orchestration.incrementality import CUSTOMERS
from orchestration.raw_zone import sync, write_durably
from orchestration.releases import Release
from orchestration.rules import quote_name, quote_text
from orchestration.settings import Settings
from orchestration.warehouse import RESTRICTED, connect_file, connect_reader

#: Files of an export: the whole set and the difference, each as CSV and as Parquet.
SETS = ("full", "added", "removed", "changed")
FORMATS = ("csv", "parquet")
#: How many exports stay in FIDELIS_HOME/activation.
KEPT = 7
_PART = ".part"


@dataclass(frozen=True)
class Judged:
    """What the gate says of an audience today: who met the condition, who is in the file, and why the others are not.

    ``reasons`` counts each person once, under the first reason; ``all_reasons`` once under each that holds.
    """

    chosen: int
    allowed: int
    reasons: Mapping[str, int]
    all_reasons: Mapping[str, int]


@dataclass(frozen=True)
class Export:
    """An export that was delivered; ``is_new`` is false where the last one holds already."""

    folder: Path
    manifest: Mapping[str, Any]
    is_new: bool


def last_export(settings: Settings, name: str) -> Mapping[str, Any] | None:
    """The manifest of the last export of an audience that was delivered whole; None before the first."""
    file = settings.activation_dir / name / CURRENT / MANIFEST
    found: dict[str, Any] | None = json.loads(file.read_text()) if file.exists() else None
    return found


def look(settings: Settings, audience: Audience, release: Release) -> Judged:
    """What an export would hold now. Writes nothing."""
    with _judged(settings, audience, release) as (_, judged):
        return judged


def export(settings: Settings, audience: Audience, release: Release) -> Export:
    """Export an audience from a published release. Raises ExportError or AudienceError; what was delivered before then stays in force."""
    own = settings.activation_dir / audience.name
    own.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.activation_dir.chmod(0o700)
    _settle(settings, audience, own)
    before = last_export(settings, audience.name)
    as_of = release.as_of_date
    if before is not None and str(before["as_of_date"]) > as_of.isoformat():
        raise ExportError(
            f"release {release.release_id} is as of {as_of}, the last export as of {before['as_of_date']}: "
            "consents withdrawn since are not in it, so nothing is exported"
        )
    number = int(before["export_id"].split("-")[1]) + 1 if before else 1
    folder = own / export_id(as_of, number)
    with _judged(settings, audience, release) as (con, judged):
        aside = folder.with_name(folder.name + _PART)
        aside.mkdir(mode=0o700)
        manifest = _write(con, audience, release, judged, own, before, aside)
    if before is not None and _is_same(before, manifest):
        shutil.rmtree(aside)
        return Export(own / before["export_id"], before, is_new=False)
    write_durably(aside / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    for file in aside.iterdir():
        file.chmod(0o600)
        sync(file)
    sync(aside)
    aside.rename(folder)
    sync(own)
    deliver(settings, audience, folder, sorted(manifest["files"]))
    _make_current(own, folder)
    return Export(folder, manifest, is_new=True)


@contextmanager
def _judged(
    settings: Settings, audience: Audience, release: Release
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Judged]]:
    """A connection with ``chosen``, ``judged``, ``contacts`` and ``members``, who are allowed with what is said of them."""
    chosen = _choose(audience, release)
    restricted = release.folder / "restricted" / RESTRICTED
    if not restricted.exists():
        raise ExportError(f"release {release.release_id} has no restricted part: nobody in it can be reached")
    with connect_file(settings, release.datamart) as con:
        con.execute(f"attach {quote_text(restricted)} as personal (read_only)")
        con.register("chosen_rows", chosen)
        con.execute("create temp table chosen as select * from chosen_rows")
        try:
            reasons, all_reasons = judge(settings, con, audience, release.as_of_date)
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            raise ExportError(
                f"release {release.release_id} was made by other code and lacks what the gate asks; `fidelis run` makes a new one "
                f"({str(error).splitlines()[0]})"
            ) from None
        contact = "".join(f", contacts.{name}" for name in CONTACT_COLUMNS[audience.medium])
        attributes = "".join(f", chosen.{quote_name(name)}" for name in audience.columns)
        con.execute(
            f"create temp table members as select customer_id, contacts.account_id{contact}{attributes} "
            "from chosen inner join contacts using (customer_id) "
            "semi join (select customer_id from judged where reason is null) using (customer_id) order by customer_id"
        )
        allowed = con.execute("select count(*) from members").fetchall()[0][0]
        yield con, Judged(chosen.num_rows, allowed, reasons, all_reasons)


def _choose(audience: Audience, release: Release) -> Any:
    """Who meets the condition, with the columns asked for, as an Arrow table: asked where nothing names a person."""
    columns = "".join(f", {quote_name(name)}" for name in audience.columns)
    with connect_reader(release.datamart) as con:
        try:
            found = con.execute(
                f"select customer_id{columns} from {CUSTOMERS} where ({audience.where}\n) order by customer_id"
            )
            return found.to_arrow_table()
        except duckdb.Error as error:
            raise AudienceError(f"{audience.file}: release {release.release_id} cannot answer it: {error}") from None


def _write(
    con: duckdb.DuckDBPyConnection,
    audience: Audience,
    release: Release,
    judged: Judged,
    own: Path,
    before: Mapping[str, Any] | None,
    aside: Path,
) -> dict[str, Any]:
    """Write the files of an export and the plan; returns the manifest. Raises ExportError where a file holds anybody it must not."""
    columns = [name for name, *_ in con.execute("describe members").fetchall()]
    # what went to another place is not there
    base = before if before is not None and before["destination"] == audience.place else None
    _compare(con, audience, columns, base, own)
    files = {}
    for name in SETS:
        for form, options in zip(FORMATS, ("header", "compression zstd"), strict=True):
            file = aside / f"{name}.{form}"
            con.execute(
                f"copy (select * from set_{name} order by customer_id) to {quote_text(file)} (format {form}, {options})"
            )
            files[file.name] = {"bytes": file.stat().st_size, "sha256": _digest(file)}
        if name != "removed":
            _refuse_strangers(con, audience, aside / f"{name}.parquet")
    counts = ", ".join(f"(select count(*) from set_{name})" for name in SETS)
    rows = con.execute(f"select {counts}").fetchall()[0]
    removed_because = con.execute(
        "select coalesce(reason, 'no_longer_chosen') as reason, count(*) from set_removed "
        "left join judged using (customer_id) group by all order by all"
    ).fetchall()
    past = f"select * from read_parquet({quote_text(own / before['export_id'] / PLANNED)})" if before else None
    first_day = f"date '{release.as_of_date + timedelta(days=1)}'"
    write_plan(con, audience, past, first_day, str(aside / PLANNED))
    return {
        "audience": audience.name,
        "export_id": aside.name.removesuffix(_PART),
        "previous_export_id": base["export_id"] if base else None,
        "release_id": release.release_id,
        "as_of_date": release.as_of_date.isoformat(),
        "description": audience.description,
        "purpose": audience.purpose,
        "medium": audience.medium,
        "campaign": audience.campaign,
        "platform": audience.platform,
        "destination": audience.place,
        "definition": audience.fingerprint,
        "columns": columns,
        "rows": dict(zip(SETS, rows, strict=True)),
        "files": files,
        "chosen": judged.chosen,
        "refused": dict(judged.reasons),
        "refused_for_each_reason": dict(judged.all_reasons),
        "removed_because": dict(removed_because),
        "planned_sha256": _digest(aside / PLANNED),
    }


def _digest(file: Path) -> str:
    with open(file, "rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _compare(
    con: duckdb.DuckDBPyConnection, audience: Audience, columns: list[str], base: Mapping[str, Any] | None, own: Path
) -> None:
    """Make the tables ``set_full`` and so on of ``members`` and the last full set; who was removed has the keys that were sent."""
    keys = ("customer_id", "account_id", *CONTACT_COLUMNS[audience.medium])
    if base is None:
        last = f"(select {', '.join(keys)} from members where false)"
    else:
        last = f"read_parquet({quote_text(own / base['export_id'] / 'full.parquet')})"
        keys = tuple(c for c in base["columns"] if any(c in names for names in (*CONTACT_COLUMNS.values(), keys)))
    if base is not None and base["columns"] == columns:
        differs = " or ".join(f"m.{quote_name(c)} is distinct from l.{quote_name(c)}" for c in columns)
    else:  # with other columns everybody has changed
        differs = "true"
    removed = ", ".join(f"l.{quote_name(c)}" for c in keys)
    for name, query in (
        ("full", "select * from members"),
        ("added", f"select m.* from members as m anti join {last} as l using (customer_id)"),
        ("removed", f"select {removed} from {last} as l anti join members using (customer_id)"),
        ("changed", f"select m.* from members as m inner join {last} as l using (customer_id) where {differs}"),
    ):
        con.execute(f"create temp table set_{name} as {query}")


def _refuse_strangers(con: duckdb.DuckDBPyConnection, audience: Audience, file: Path) -> None:
    """The file itself is looked at again before it goes: everybody in it passed the gate."""
    strangers = con.execute(
        f"select count(*) from read_parquet({quote_text(file)}) anti join (select customer_id from judged where reason is null) "
        "using (customer_id)"
    ).fetchall()[0][0]
    if strangers:
        raise ExportError(
            f"{audience.name}: {file.stem} holds {strangers} persons that the gate refuses; nothing was delivered"
        )


def _is_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether nothing differs from the last export, which is of the same day: exporting again then changes nothing."""
    told = ("as_of_date", "destination", "definition", "refused", "planned_sha256")
    return (
        all(before.get(n) == now[n] for n in told) and before["files"]["full.parquet"] == now["files"]["full.parquet"]
    )


def _settle(settings: Settings, audience: Audience, own: Path) -> None:
    """Bring what a killed run left to an end: what arrived is current, what did not is dropped."""
    for leftover in own.glob(f"*{_PART}"):
        if leftover.is_symlink():
            leftover.unlink()
        else:
            shutil.rmtree(leftover)
    current = last_export(settings, audience.name)
    done = int(current["export_id"].split("-")[1]) if current else 0
    for folder in sorted(p for p in own.iterdir() if not p.is_symlink() and int(p.name.split("-")[1]) > done):
        made = json.loads((folder / MANIFEST).read_text())
        if made["destination"] == audience.place and is_there(settings, audience, folder):
            _make_current(own, folder)
        else:
            if made["destination"] == audience.place:
                discard(settings, audience, folder)
            shutil.rmtree(folder)


def _make_current(own: Path, folder: Path) -> None:
    """Switch to an export by one rename; older ones beyond those kept go."""
    aside = own / (CURRENT + _PART)
    aside.unlink(missing_ok=True)
    aside.symlink_to(folder.name, target_is_directory=True)
    aside.rename(own / CURRENT)
    sync(own)
    exports = sorted((p for p in own.iterdir() if not p.is_symlink()), key=lambda p: int(p.name.split("-")[1]))
    for old in exports[:-KEPT]:
        shutil.rmtree(old)
