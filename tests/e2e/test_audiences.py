"""Audiences over two nights of the sample: a consent withdrawn, a night run twice, a destination that is not there, kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.e2e.conftest import PROJECT, Retailer

pytestmark = pytest.mark.slow

LAST, NEXT = "2023-02-07", "2023-02-08"
AUDIENCE = """\
description: Everybody who agreed to e-mail and bought.
purpose: marketing
medium: email
campaign: WINTER-LETTER
where: orders > 0
columns: [segment]
frequency_cap: none
"""


@pytest.fixture(scope="module")
def exported(retailer: Retailer, tmp_path_factory: pytest.TempPathFactory) -> Retailer:
    """The first night: a release, and the audience exported by it."""
    folder = tmp_path_factory.mktemp("audiences")
    (folder / "buyers.yml").write_text(AUDIENCE)
    made = Retailer(retailer.home, {"FIDELIS_AUDIENCES": str(folder)})
    made.fidelis("run", "--from", "2023-01-01", "--to", LAST)
    return made


def current(retailer: Retailer) -> Path:
    return (retailer.home / "activation" / "buyers" / "current").resolve()


def manifest(retailer: Retailer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((current(retailer) / "manifest.json").read_text())
    return found


def rows(folder: Path, kind: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute("select * from read_parquet($1)", [str(folder / f"{kind}.parquet")]).fetchall()


def refused(retailer: Retailer) -> set[str]:
    """Who may not be written to by e-mail, as the release says: no consent, complained, bounced, control."""
    found = retailer.query("""
        select customer_id from mart.dim_customer where is_current and not consent_email
        union select customer_id from mart.fct_campaign_messages where complained_at is not null
        union select customer_id from mart.fct_campaign_messages where bounced_at is not null and medium = 'email'
        union select customer_id from mart.fct_campaign_messages where is_control and campaign_id = 'WINTER-LETTER'
    """)
    return {customer for (customer,) in found}


def test_a_night_exports_and_the_next_one_removes_who_withdrew_consent(exported: Retailer) -> None:
    first = rows(current(exported), "full")
    assert len(first) > 20
    assert not refused(exported) & {row[0] for row in first}
    assert manifest(exported)["rows"] == {"full": len(first), "added": len(first), "removed": 0, "changed": 0}
    assert exported.query("select count(*) from mart.fct_planned_actions") == [(0,)]

    export_id, content = manifest(exported)["export_id"], exported.content()
    again = exported.fidelis("audience", "export")
    assert "no difference" in again.stdout
    exported.fidelis("run", "--date", LAST)
    assert manifest(exported)["export_id"] == export_id
    assert exported.content() == content

    customer, account, *_ = first[0]
    file = exported.landing / "crm" / f"consents_{NEXT}.csv"
    before = file.read_text() if file.exists() else "CustomerNumber;Consent;Granted;RecordedAt\n"
    file.write_text(f"{before}{account};email;false;{NEXT} 10:00:00\n")
    exported.fidelis("run", "--date", NEXT)
    second = manifest(exported)
    assert (customer, account) in [row[:2] for row in rows(current(exported), "removed")]
    assert second["removed_because"]["no_consent"] >= 1
    assert customer not in {row[0] for row in rows(current(exported), "full")}
    assert not refused(exported) & {row[0] for row in rows(current(exported), "full")}
    planned = dict(
        exported.query("select planned_group || ' ' || outcome, count(*) from mart.fct_planned_actions group by all")
    )
    # the plan of the first night is seen in the second; who left since is withdrawn only from the day after
    assert planned == {"treated waiting": len(first)}


def test_a_destination_that_fails_makes_the_run_red_and_leaves_release_and_other_audiences(
    exported: Retailer, tmp_path: Path
) -> None:
    before = exported.release_id()
    (tmp_path / "buyers.yml").write_text(AUDIENCE)
    (tmp_path / "closed.yml").write_text(AUDIENCE + "destination: {type: folder, path: /proc/no/such/place}\n")
    (tmp_path / "wrong.yml").write_text(AUDIENCE.replace("orders", "ordres"))
    other = Retailer(exported.home, {"FIDELIS_AUDIENCES": str(tmp_path)})
    done = other.fidelis("run", "--date", "2023-02-09", expect=1)
    assert "audience closed: /proc/no/such/place" in done.stderr.replace("\n", " ")
    assert "The release is published; what came after it failed." in done.stderr.replace("\n", " ")
    assert other.release_id() != before
    assert manifest(other)["release_id"] == other.release_id()
    runs = other.fidelis("runs", "--last", "1").stdout
    assert "published" in runs
    assert "wrong.yml: release" in runs


def test_exports_killed_at_any_moment_end_as_one_that_was_not(exported: Retailer, tmp_path: Path) -> None:
    """Ten exports to an exchange folder, each killed a little later; the last one is left to end."""
    exchange = tmp_path / "exchange"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "letters.yml").write_text(AUDIENCE + f"destination: {{type: folder, path: {exchange}}}\n")
    killed = Retailer(exported.home, {"FIDELIS_AUDIENCES": str(tmp_path / "a")})
    program = [str(Path(sys.executable).with_name("fidelis")), "audience", "export"]
    began = time.monotonic()
    killed.fidelis("audience", "show", "letters")
    whole = 2 * (time.monotonic() - began)
    for moment in range(10):
        run = subprocess.Popen(
            program,
            env=killed.environment,
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        time.sleep(whole * (0.3 + 0.07 * moment))
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        for folder in exchange.glob("letters/*-*"):
            assert folder.suffix == ".part" or (folder / "manifest.json").exists()
    killed.fidelis("audience", "export")
    delivered = sorted(exchange.glob("letters/*"))
    assert [f.name.split("-")[1] for f in delivered] == ["0001"]
    told = json.loads((delivered[0] / "manifest.json").read_text())
    assert told["rows"]["full"] == told["rows"]["added"] == len(rows(delivered[0], "full")) > 0
    shutil.rmtree(exported.home / "activation" / "letters")
