"""Audiences delivered to servers: a real S3-compatible storage and a real SFTP server."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from orchestration.activation import ExportError, destinations, export, last_export
from orchestration.releases import Release
from orchestration.settings import Access, Settings
from tests.support.audiences import AS_OF, Person, audience_in, release_of
from tests.support.servers import checked_access, s3_storage
from tests.support.sftp import SftpSite, sftp_site
from tests.support.world import settings_in

PEOPLE = [Person(f"C{i}", f"c{i}@example.com") for i in range(3)]
ANOTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKPoW0Oh5ZKGNCVPgrLlzLyPSkZGBIlNvJjHT2bZ4e2p"
NAMES = {f"{kind}.{form}" for kind in ("full", "added", "removed", "changed") for form in ("csv", "parquet")} | {
    "manifest.json"
}


@pytest.fixture(scope="module")
def storage() -> Iterator[tuple[str, Any]]:
    with s3_storage("exchange") as found:
        yield found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpSite]:
    with sftp_site(tmp_path_factory.mktemp("sftp")) as found:
        yield found


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return release_of(tmp_path_factory.mktemp("release"), PEOPLE)


def settings_of(folder: Path, **changes: Any) -> Settings:
    access = {"s3_key_id": "writer", "s3_secret": "x", "sftp_user": "fidelis", "sftp_password": "geheim"}
    return settings_in(folder, **{**access, **changes})


def next_release(folder: Path, people: list[Person], days: int = 1) -> Release:
    return release_of(folder / "r", people, AS_OF + timedelta(days=days))


def sound(files: dict[str, bytes]) -> dict[str, Any]:
    """The manifest of the files of an export, each of which has the digest it names."""
    manifest: dict[str, Any] = json.loads(files["manifest.json"])
    assert set(files) == NAMES
    assert {n: sha256(files[n]).hexdigest() for n in NAMES - {"manifest.json"}} == {
        n: f["sha256"] for n, f in manifest["files"].items()
    }
    return manifest


def s3_to(url: str, **changes: Any) -> dict[str, Any]:
    return {"type": "s3", "bucket": "exchange", "prefix": "crm/in", "endpoint": url, **changes}


def objects(client: Any, below: str) -> dict[str, bytes]:
    found = client.list_objects_v2(Bucket="exchange", Prefix=below).get("Contents", [])
    return {
        o["Key"].removeprefix(below): client.get_object(Bucket="exchange", Key=o["Key"])["Body"].read() for o in found
    }


def test_two_nights_arrive_in_s3_storage(tmp_path: Path, storage: tuple[str, Any]) -> None:
    url, client = storage
    settings, audience = settings_of(tmp_path), audience_in(tmp_path, "by_s3", destination=s3_to(url))
    export(settings, audience, next_release(tmp_path, PEOPLE, 0))
    done = export(settings, audience, next_release(tmp_path, [*PEOPLE[:2], replace(PEOPLE[2], consents=frozenset())]))
    assert sound(objects(client, "crm/in/by_s3/20240331-0001/"))["rows"]["full"] == 3
    manifest = sound(objects(client, f"crm/in/by_s3/{done.manifest['export_id']}/"))
    assert manifest["rows"] == {"full": 2, "added": 0, "removed": 1, "changed": 0}


def test_storage_that_refuses_leaves_the_last_export_in_force_and_is_told(
    tmp_path: Path, storage: tuple[str, Any]
) -> None:
    url, _ = storage
    settings, audience = settings_of(tmp_path), audience_in(tmp_path, "refused", destination=s3_to(url))
    first = export(settings, audience, next_release(tmp_path, PEOPLE[:1], 0))
    later = next_release(tmp_path, PEOPLE)
    with (
        checked_access(url),
        pytest.raises(ExportError, match=r"s3://exchange: the access key is refused .* check FIDELIS_S3_KEY_ID"),
    ):
        export(settings, audience, later)
    assert last_export(settings, "refused") == first.manifest
    missing = audience_in(tmp_path, "missing", destination=s3_to(url, bucket="nowhere"))
    with pytest.raises(ExportError, match=r"s3://nowhere: there is no such bucket; missing\.yml names it"):
        export(settings, missing, later)
    assert export(settings, audience, later).manifest["rows"] == {"full": 3, "added": 2, "removed": 0, "changed": 0}


def sftp_to(site: SftpSite, **changes: Any) -> dict[str, Any]:
    return {
        "type": "sftp",
        "host": "127.0.0.1",
        "port": site.port,
        "folder": "/in/crm",
        "host_key": site.host_key,
        **changes,
    }


def files_of(site: SftpSite, below: str) -> dict[str, bytes]:
    folder = site.client_key.parent / "files" / below
    return {f.name: f.read_bytes() for f in folder.iterdir()}


def test_two_nights_arrive_at_an_sftp_server(tmp_path: Path, site: SftpSite) -> None:
    settings, audience = settings_of(tmp_path), audience_in(tmp_path, "by_sftp", destination=sftp_to(site))
    export(settings, audience, next_release(tmp_path, PEOPLE[1:], 0))
    by_key = settings_of(
        tmp_path, sftp_user="", sftp_password="", servers={"audiences": Access(user="fidelis", key=site.client_key)}
    )
    done = export(by_key, audience, next_release(tmp_path, PEOPLE))
    assert sound(files_of(site, "in/crm/by_sftp/20240331-0001"))["rows"]["full"] == 2
    manifest = sound(files_of(site, f"in/crm/by_sftp/{done.manifest['export_id']}"))
    assert manifest["rows"] == {"full": 3, "added": 1, "removed": 0, "changed": 0}


@pytest.mark.parametrize(
    ("access", "to", "said"),
    [
        ({"sftp_user": ""}, {}, "there is no user; set FIDELIS_SFTP_USER"),
        ({"sftp_password": "falsch"}, {}, "user and password or key are refused"),
        (
            {},
            {"host_key": ANOTHER_KEY},
            "the server has another key",
        ),
        ({}, {"host_key": "ssh-nothing AAAA"}, "host_key is of no kind that is known"),
        ({}, {"port": 9}, "sftp://127.0.0.1: "),
    ],
)
def test_what_an_sftp_server_refuses_is_told_without_a_secret(
    tmp_path: Path, site: SftpSite, release: Release, access: dict[str, str], to: dict[str, Any], said: str
) -> None:
    settings, audience = (
        settings_of(tmp_path, **access),
        audience_in(tmp_path, "wrong", destination=sftp_to(site, **to)),
    )
    with pytest.raises(ExportError) as error:
        export(settings, audience, release)
    assert said in str(error.value)
    assert "falsch" not in str(error.value)
    assert last_export(settings, "wrong") is None


@pytest.mark.parametrize("kind", ["s3", "sftp"])
def test_a_delivery_that_breaks_off_half_way_is_not_taken_for_one(
    tmp_path: Path, storage: tuple[str, Any], site: SftpSite, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The connection goes after two files; the next night the second person has withdrawn consent."""
    url, client = storage
    name = f"broken_{kind}"
    audience = audience_in(tmp_path, name, destination=s3_to(url) if kind == "s3" else sftp_to(site))
    settings = settings_of(tmp_path)
    really = destinations.deliver

    def broken(settings: Settings, audience: Any, folder: Path, names: list[str]) -> None:
        (folder / "manifest.json").rename(folder / "hidden")  # the third file cannot be read
        try:
            really(settings, audience, folder, names[:2])
        finally:
            (folder / "hidden").rename(folder / "manifest.json")

    with monkeypatch.context() as patched:
        patched.setattr("orchestration.activation.exports.deliver", broken)
        with pytest.raises((ExportError, OSError)):
            export(settings, audience, next_release(tmp_path, PEOPLE, 0))

    def there(below: str) -> dict[str, bytes]:
        return objects(client, f"crm/in/{name}/{below}/") if kind == "s3" else files_of(site, f"in/crm/{name}/{below}")

    assert len(there("20240331-0001")) == 2
    done = export(
        settings, audience, next_release(tmp_path, [PEOPLE[0], replace(PEOPLE[1], consents=frozenset()), PEOPLE[2]])
    )
    manifest = sound(there(done.manifest["export_id"]))
    assert manifest["rows"] == {"full": 2, "added": 2, "removed": 0, "changed": 0}
    if kind == "s3":
        assert there("20240331-0001") == {}
    else:
        assert not (site.client_key.parent / "files" / "in" / "crm" / name / "20240331-0001").exists()
