"""Files of a real HTTP server that is busy, drops connections half-way and damages what it sends."""

import base64
import gzip
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.contracts import Contract, ContractError
from orchestration.extraction import extract, pending_days
from orchestration.sources import http
from orchestration.sources.deliveries import last_day_over
from orchestration.sources.files import SourceError
from tests.support.servers import Site, http_site
from tests.support.world import DAY, NEXT_DAY, csv_text, load, raw_rows, sale, sales_contract, settings_in

FILE = "/out/sales_2024-03-01.csv"
MANY = csv_text([sale(n) for n in range(1, 5001)]).encode()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(http, "BACKOFF", 0.01)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http_site() as found:
        yield found


def http_contract(folder: Path, site: Site, path: str = "/out/sales_{date}.csv", **options: Any) -> Contract:
    server = {"type": "http", "path": None, "location": site.url + path}
    return sales_contract(folder, server=server, **options)


def bodies(site: Site) -> list[str | None]:
    """The ranges that were asked for, in order; None is the whole file."""
    return [wanted for method, _, wanted in site.requests if method == "GET"]


def test_a_file_is_loaded_from_its_address(tmp_path: Path, site: Site) -> None:
    settings, contract = settings_in(tmp_path), http_contract(tmp_path, site)
    site.files[FILE] = csv_text([sale(1), sale(2)]).encode()
    loaded = extract(settings, contract, [DAY, NEXT_DAY])
    assert [p.rows_loaded for p in loaded.values()] == [2, 0]
    assert raw_rows(settings, contract, "sale_id, _file") == [("S1", site.url + FILE), ("S2", site.url + FILE)]


def test_a_busy_server_is_asked_again(tmp_path: Path, site: Site) -> None:
    site.files[FILE], site.busy = csv_text([sale(1)]).encode(), 3
    assert load(settings_in(tmp_path), http_contract(tmp_path, site)).rows_loaded == 1


def test_a_dropped_connection_is_resumed_where_it_broke(tmp_path: Path, site: Site) -> None:
    settings, contract = settings_in(tmp_path), http_contract(tmp_path, site)
    site.files[FILE], site.broken_off = MANY, 3
    assert load(settings, contract).rows_loaded == 5000
    places = [int(str(wanted).removeprefix("bytes=").rstrip("-")) for wanted in bodies(site)[1:]]
    assert bodies(site)[0] is None
    assert places == sorted(places)
    assert places[0] > 60_000


def test_without_a_version_a_dropped_file_is_fetched_from_its_start(tmp_path: Path, site: Site) -> None:
    settings, contract = settings_in(tmp_path), http_contract(tmp_path, site)
    site.files[FILE], site.broken_off, site.has_version = MANY, 2, False
    assert load(settings, contract).rows_loaded == 5000
    assert bodies(site) == [None, None, None]


def test_a_file_replaced_between_two_halves_is_not_mixed(tmp_path: Path, site: Site) -> None:
    settings, contract = settings_in(tmp_path), http_contract(tmp_path, site)
    other = csv_text([sale(n, note="new") for n in range(1, 5001)]).encode()
    site.files[FILE], site.replaced, site.broken_off = MANY, other, 1
    assert load(settings, contract).rows_loaded == 5000
    assert raw_rows(settings, contract, "distinct note") == [("new",)]


def test_a_file_cut_off_every_time_fails_its_day_with_its_size(tmp_path: Path, site: Site) -> None:
    settings, contract = settings_in(tmp_path), http_contract(tmp_path, site)
    site.files[FILE], site.broken_off, site.has_version = MANY, 99, False
    failure = load(settings, contract).failure or ""
    assert failure == f"{site.url}{FILE} was cut off after 65,536 of 225,600 bytes, 5 times in a row"


CONTENT = csv_text([sale(1)]).encode()
SHA256 = hashlib.sha256(CONTENT)
MD5 = hashlib.md5(CONTENT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-MD5", base64.b64encode(MD5.digest()).decode()),
        ("Digest", "SHA-256=" + base64.b64encode(SHA256.digest()).decode()),
        ("Repr-Digest", f"sha-256=:{base64.b64encode(SHA256.digest()).decode()}:"),
        ("X-Checksum-Sha256", SHA256.hexdigest()),
    ],
)
def test_a_checksum_that_the_server_sends_is_compared(tmp_path: Path, site: Site, name: str, value: str) -> None:
    settings, contract = settings_in(tmp_path), http_contract(tmp_path, site)
    site.files[FILE], site.headers[name] = CONTENT, value
    assert load(settings, contract).failure is None
    site.files[FILE] = CONTENT.replace(b"1.50", b"7.50")
    assert "arrived damaged" in (load(settings, contract).failure or "")
    assert raw_rows(settings, contract, "sale_id, amount") == raw_rows(settings, contract, "sale_id, 1.50")


def test_a_declared_checksum_file_is_required_and_compared(tmp_path: Path, site: Site) -> None:
    settings, contract = settings_in(tmp_path), http_contract(tmp_path, site, access={"checksum": "sha256"})
    site.files[FILE] = CONTENT
    assert "has no checksum beside it" in (load(settings, contract).failure or "")
    site.files[FILE + ".sha256"] = b"0" * 64 + b"  sales.csv\n"
    assert "arrived damaged" in (load(settings, contract).failure or "")
    site.files[FILE + ".sha256"] = f"{SHA256.hexdigest()}  sales.csv\n".encode()
    assert load(settings, contract).failure is None


def test_a_server_without_head_and_a_compressed_file(tmp_path: Path, site: Site) -> None:
    contract = http_contract(tmp_path, site, "/sales.csv.gz?day={date:%Y%m%d}&token=geheim")
    site.files["/sales.csv.gz?day=20240301&token=geheim"], site.has_head = gzip.compress(MANY), False
    settings = settings_in(tmp_path)
    assert load(settings, contract).rows_loaded == 5000
    assert raw_rows(settings, contract, "distinct _file") == [(f"{site.url}/sales.csv.gz of 2024-03-01",)]


def test_only_the_last_days_are_asked_for_again(tmp_path: Path, site: Site) -> None:
    yesterday = last_day_over(settings_in(tmp_path))
    days = [yesterday - timedelta(days=n) for n in range(9, -1, -1)]
    settings = settings_in(tmp_path, first_day=days[0])
    contract = http_contract(tmp_path, site, access={"lookBackDays": 2})
    for day in days[:8]:
        site.files[f"/out/sales_{day}.csv"] = csv_text([sale(1)]).encode()
    assert pending_days(settings, {"sales": contract}) == days[:8]
    extract(settings, contract, days[:8])
    site.requests.clear()
    site.files[f"/out/sales_{days[6]}.csv"] = csv_text([sale(2)]).encode()
    site.files[f"/out/sales_{days[9]}.csv"] = csv_text([sale(3)]).encode()
    assert pending_days(settings, {"sales": contract}) == [days[6], days[9]]
    assert len(site.requests) == 5


def test_a_wrong_password_is_one_sentence_without_it(tmp_path: Path, site: Site) -> None:
    site.files[FILE] = CONTENT
    site.authorization = "Basic " + base64.b64encode(b"reader:geheim").decode()
    contract = http_contract(tmp_path, site)
    assert load(settings_in(tmp_path, http_user="reader", http_password="geheim"), contract).rows_loaded == 1
    with pytest.raises(SourceError) as raised:
        extract(settings_in(tmp_path, http_user="reader", http_password="falsch"), contract, [DAY])
    assert str(raised.value) == (
        f"{site.url}{FILE}: access is refused (401); check FIDELIS_HTTP_USER and FIDELIS_HTTP_PASSWORD"
    )


def test_a_server_that_stays_busy_or_away_is_one_sentence(tmp_path: Path, site: Site) -> None:
    site.busy = 99
    with pytest.raises(SourceError, match="answers that it is busy or broken, 5 times in a row"):
        extract(settings_in(tmp_path), http_contract(tmp_path, site), [DAY])
    with pytest.raises(SourceError, match=r"^http://127.0.0.1:1/sales_2024-03-01.csv cannot be reached: "):
        extract(settings_in(tmp_path), http_contract(tmp_path, Site("http://127.0.0.1:1"), "/sales_{date}.csv"), [DAY])


@pytest.mark.parametrize("path", ["/out/*_{date}.csv", "@host/sales_{date}.csv"])
def test_an_address_with_a_wildcard_or_a_password_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ContractError, match="without a wildcard and without credentials"):
        http_contract(tmp_path, Site("http://user:geheim"), path)
