"""Deliveries in S3-compatible storage: a real server, the same rows as from files, and what it says when it refuses."""

import gzip
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from orchestration.contracts import Contract, ContractError
from orchestration.extraction import extract, pending_days
from orchestration.settings import Settings
from orchestration.sources import s3
from orchestration.sources.files import SourceError
from tests.support.servers import checked_access, s3_storage
from tests.support.world import DAY, NEXT_DAY, csv_text, load, quarantined, raw_rows, sale, sales_contract, settings_in


@pytest.fixture(scope="module")
def storage() -> Iterator[tuple[str, Any]]:
    with s3_storage("shop") as found:
        yield found


@pytest.fixture
def put(storage: tuple[str, Any]) -> Iterator[Any]:
    _, client = storage

    def upload(key: str, content: str | bytes) -> None:
        client.put_object(Bucket="shop", Key=key, Body=content)

    yield upload
    for item in client.list_objects_v2(Bucket="shop").get("Contents", []):
        client.delete_object(Bucket="shop", Key=item["Key"])


def s3_settings(folder: Path, **changes: Any) -> Settings:
    return settings_in(folder, s3_key_id="reader", s3_secret="streng-geheim", **changes)


def s3_contract(
    folder: Path, url: str, location: str = "s3://shop/out/sales_{date}.csv", form: str = "csv", **options: Any
) -> Contract:
    server = {"type": "s3", "path": None, "location": location, "endpointUrl": url, "format": form}
    return sales_contract(folder, server=server, **options)


def test_an_object_is_loaded_like_a_file(tmp_path: Path, storage: tuple[str, Any], put: Any) -> None:
    settings, contract = s3_settings(tmp_path), s3_contract(tmp_path, storage[0])
    put("out/sales_2024-03-01.csv", csv_text([sale(1), sale(2, qty="many")]))
    put("out/sales_2024-03-01.csv.bak", "no delivery")
    put("out/deep/sales_2024-03-01.csv", "no delivery")
    partition = load(settings, contract)
    assert (partition.rows_read, partition.rows_loaded, partition.rows_quarantined) == (2, 1, 1)
    assert raw_rows(settings, contract, "sale_id, _file") == [("S1", "s3://shop/out/sales_2024-03-01.csv")]
    assert quarantined(settings, contract, "file, line, rules") == [
        ("s3://shop/out/sales_2024-03-01.csv", 3, "quantity_type")
    ]


def test_objects_of_many_days_and_folders_are_found_by_a_wildcard(
    tmp_path: Path, storage: tuple[str, Any], put: Any
) -> None:
    settings = s3_settings(tmp_path)
    contract = s3_contract(tmp_path, storage[0], "s3://shop/*/sales_{date:%Y%m%d}.csv.gz")
    put("a/sales_20240301.csv.gz", gzip.compress(csv_text([sale(1)]).encode()))
    put("b/sales_20240301.csv.gz", gzip.compress(csv_text([sale(2)]).encode()))
    put("b/sales_20240302.csv.gz", gzip.compress(csv_text([sale(3)]).encode()))
    put("b/sales_20249902.csv.gz", b"")
    assert pending_days(settings, {"sales": contract}) == [DAY, NEXT_DAY]
    load(settings, contract, DAY, NEXT_DAY)
    assert raw_rows(settings, contract, "_delivery_date, sale_id") == [(DAY, "S1"), (DAY, "S2"), (NEXT_DAY, "S3")]


def test_a_delivery_is_pending_again_only_when_its_object_is_written_anew(
    tmp_path: Path, storage: tuple[str, Any], put: Any
) -> None:
    settings, contract = s3_settings(tmp_path), s3_contract(tmp_path, storage[0])
    put("out/sales_2024-03-01.csv", csv_text([sale(1)]))
    load(settings, contract)
    assert pending_days(settings, {"sales": contract}) == []
    put("out/sales_2024-03-01.csv", csv_text([sale(2)]))
    assert pending_days(settings, {"sales": contract}) == [DAY]
    load(settings, contract)
    assert raw_rows(settings, contract, "sale_id") == [("S2",)]


def test_one_object_for_all_time_has_its_contracts_delivery_date(
    tmp_path: Path, storage: tuple[str, Any], put: Any
) -> None:
    settings = s3_settings(tmp_path)
    contract = s3_contract(tmp_path, storage[0], "s3://shop/out/all.csv", deliveryDate="2024-03-01")
    put("out/all.csv", csv_text([sale(1)]))
    put("out/all.csv2", csv_text([sale(2)]))
    load(settings, contract)
    assert raw_rows(settings, contract, "sale_id") == [("S1",)]


def test_a_damaged_gzip_object_fails_its_day_and_no_other(tmp_path: Path, storage: tuple[str, Any], put: Any) -> None:
    settings = s3_settings(tmp_path)
    contract = s3_contract(tmp_path, storage[0], "s3://shop/out/sales_{date}.csv.gz")
    put("out/sales_2024-03-01.csv.gz", gzip.compress(csv_text([sale(1)]).encode())[:-9])
    put("out/sales_2024-03-02.csv.gz", gzip.compress(csv_text([sale(2)]).encode()))
    loaded = extract(settings, contract, [DAY, NEXT_DAY])
    assert "is no whole gzip file" in (loaded[DAY].failure or "")
    assert raw_rows(settings, contract, "sale_id") == [("S2",)]


def test_a_required_delivery_that_is_not_there_names_bucket_and_key(
    tmp_path: Path, storage: tuple[str, Any], put: Any
) -> None:
    contract = s3_contract(tmp_path, storage[0], deliveryRequired=True)
    partition = load(s3_settings(tmp_path), contract)
    assert "nothing at s3://shop/out/sales_{date}.csv (" in (partition.failure or "")


def test_an_object_replaced_after_it_was_listed_waits_for_the_next_run(
    tmp_path: Path, storage: tuple[str, Any], put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, contract = s3_settings(tmp_path), s3_contract(tmp_path, storage[0])
    put("out/sales_2024-03-01.csv", csv_text([sale(1)]))
    listed = s3.discover(settings, contract)
    put("out/sales_2024-03-01.csv", csv_text([sale(2)]))
    monkeypatch.setattr(s3, "discover", lambda *_: listed)
    assert "was replaced while it was being loaded" in (load(settings, contract).failure or "")
    monkeypatch.undo()
    assert load(settings, contract).failure is None


def test_a_bucket_that_does_not_exist_is_one_sentence(tmp_path: Path, storage: tuple[str, Any]) -> None:
    contract = s3_contract(tmp_path, storage[0], "s3://nowhere/sales_{date}.csv")
    with pytest.raises(SourceError, match=r"^s3://nowhere: there is no such bucket; sales.yaml names it$"):
        extract(s3_settings(tmp_path), contract, [DAY])


def test_a_wrong_key_is_one_sentence_without_the_secret(tmp_path: Path, storage: tuple[str, Any]) -> None:
    with checked_access(storage[0]), pytest.raises(SourceError) as raised:
        extract(s3_settings(tmp_path), s3_contract(tmp_path, storage[0]), [DAY])
    assert str(raised.value) == (
        "s3://shop: the access key is refused (InvalidAccessKeyId); "
        "check FIDELIS_S3_KEY_ID and FIDELIS_S3_SECRET and its rights"
    )


def test_without_a_key_the_sentence_names_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="there is no access key; set FIDELIS_S3_KEY_ID and FIDELIS_S3_SECRET"):
        extract(settings_in(tmp_path), s3_contract(tmp_path, "http://127.0.0.1:1"), [DAY])


def test_a_storage_that_does_not_answer_is_one_sentence_without_the_secret(tmp_path: Path) -> None:
    contract = s3_contract(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(SourceError, match=r"^s3://shop cannot be reached: ") as raised:
        extract(s3_settings(tmp_path), contract, [DAY])
    assert "streng-geheim" not in str(raised.value)


@pytest.mark.parametrize("location", ["http://shop/sales_{date}.csv", "s3://shop", "s3://*/sales_{date}.csv"])
def test_a_location_that_names_no_bucket_and_key_is_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(ContractError, match="must look like s3://bucket/folder/"):
        s3_contract(tmp_path, "http://127.0.0.1:1", location)


def test_the_secret_is_in_no_text_of_the_settings(tmp_path: Path) -> None:
    settings = s3_settings(tmp_path, first_day=date(2024, 1, 1))
    assert "streng-geheim" not in repr(settings) + str(settings.model_dump())
