"""A delivery whose types or encoding changed says how; a field too many is a field too many, also where it is empty."""

import gzip
from datetime import date
from pathlib import Path

import duckdb
import pytest

from orchestration.extraction import extract
from tests.support.world import (
    SALE_HEADER,
    csv_text,
    deliver,
    json_lines,
    load,
    quarantined,
    raw_rows,
    sale,
    sales_contract,
    settings_in,
)

STRICT = {"toleratedBadRows": 0.01, "toleratedBadRowsAtLeast": 0}


# ------------------------------------------------------------------------------------------------------------- types


def test_a_changed_type_is_spelt_out_by_its_form_and_no_value(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, **STRICT)
    rows = [sale(n, amount=f"{n},50") for n in range(10, 17)] + [sale(1, amount="1,50"), sale(2), sale(3)]
    deliver(settings, csv_text(rows))
    partition = load(settings, contract)
    assert partition.failure == (
        "sales of 2024-03-01: 8 of 10 rows are bad, more than the tolerated 1.0% or 0 rows (amount_type 8); column 'amount' "
        "must be a decimal(18,2), 8 rows hold something else, 87.5% of them like '99,99' (sales_2024-03-01.csv)"
    )
    assert raw_rows(settings, contract) == []


def test_a_changed_type_of_a_personal_column_shows_no_character_of_it(tmp_path: Path) -> None:
    columns = [
        {"name": "sale_id", "physicalName": "id", "logicalType": "string", "primaryKey": True},
        {"name": "born_on", "physicalName": "birth", "logicalType": "date", "classification": "direct_identifier"},
    ]
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, columns, **STRICT)
    deliver(settings, "id,birth\nA,Zoë 7♥ £\nB,Zoë 7♥ £\n")
    failure = load(settings, contract).failure
    assert failure is not None
    assert "column 'born_on' (in the file 'birth') must be a date, 2 rows hold something else, 100.0%" in failure
    assert "like 'AAA 9? ?' (sales_2024-03-01.csv)" in failure


def test_each_day_and_file_is_told_by_itself(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, path="*/sales_{date}.csv", **STRICT)
    deliver(settings, csv_text([sale(1), sale(2)]), "a/sales_2024-03-01.csv")
    deliver(settings, csv_text([sale(3, day="1.3.24"), sale(4, day="1.3.24")]), "b/sales_2024-03-01.csv")
    deliver(settings, csv_text([sale(5, qty="2.5")]), "a/sales_2024-03-02.csv")
    partitions = extract(settings, contract, [date(2024, 3, 1), date(2024, 3, 2)])
    first, second = (p.failure or "" for p in partitions.values())
    assert first.endswith("100.0% of them like '9.9.99' (b/sales_2024-03-01.csv)")
    assert "'quantity' (in the file 'qty') must be a bigint, 1 rows hold something else" in second
    assert second.endswith("like '9.9' (a/sales_2024-03-02.csv)")


def test_a_changed_type_of_a_parquet_file_is_named(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="sales_{date}.parquet", server={"format": "parquet"}, **STRICT)
    duckdb.execute(
        "copy (select 'S' || i as id, 1.5 as amount, i + 0.5::double as qty, date '2024-03-01' as day, 'north' as shop, "
        f"'' as note from range(1, 5) t(i)) to '{settings.landing_dir}/sales_2024-03-01.parquet'"
    )
    failure = load(settings, contract).failure
    assert failure is not None
    assert failure.endswith(
        "4 rows hold something else, 100.0% of them as DOUBLE like '9.9' (sales_2024-03-01.parquet)"
    )


# ---------------------------------------------------------------------------------------------------------- encodings

NAMES = ["café à Nîmes", "Müller", "Peña"]


def encoding_failure(tmp_path: Path, declared: str, content: bytes, ending: str = "csv") -> str | None:
    settings = settings_in(tmp_path)
    server = {"encoding": declared, "format": "jsonl" if "jsonl" in ending else "csv"}
    contract = sales_contract(tmp_path, path="sales_{date}." + ending, server=server)
    deliver(settings, content, f"sales_2024-03-01.{ending}")
    partition = load(settings, contract)
    assert (partition.rows_loaded == 0) == (partition.failure is not None)
    return partition.failure


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl"])
@pytest.mark.parametrize(
    ("declared", "delivered", "found"),
    [
        ("utf-8", "utf-16", "the file is utf-16"),
        ("utf-8", "utf-16-le", "the file is utf-16"),
        ("utf-8", "utf-16-be", "the file is utf-16"),
        ("utf-8", "utf-32", "the file is utf-32"),
        ("windows-1252", "utf-16", "the file is utf-16"),
        ("latin-1", "utf-16-be", "the file is utf-16"),
        ("utf-8", "latin-1", "it is probably windows-1252 or iso-8859-1"),
        ("utf-8", "windows-1252", "it is probably windows-1252 or iso-8859-1"),
        ("latin-1", "utf-8", "the file is utf-8"),
        ("windows-1252", "utf-8", "the file is utf-8"),
        ("utf-16", "utf-8", "the file has one byte per letter"),
        ("utf-16-le", "latin-1", "the file has one byte per letter"),
    ],
)
def test_a_changed_encoding_is_named_and_what_to_do(
    tmp_path: Path, declared: str, delivered: str, found: str, ending: str
) -> None:
    rows = [sale(n, note=name) for n, name in enumerate(NAMES)]
    text = (
        csv_text(rows) if "csv" in ending else "".join(f'{{"id": "{r["id"]}", "note": "{r["note"]}"}}\n' for r in rows)
    )
    failure = encoding_failure(tmp_path, declared, text.encode(delivered), ending)
    assert failure is not None
    assert failure.startswith(f"sales_2024-03-01.{ending}: the contract says encoding {declared}, ")
    assert found in failure
    assert f"Ask for {declared}, or write encoding: " in failure
    assert not any(name in failure for name in NAMES)


def test_the_first_line_in_another_encoding_is_named(tmp_path: Path) -> None:
    text = csv_text([sale(n, note=f"n{n}" if n < 7 else "déjà") for n in range(12)])
    failure = encoding_failure(tmp_path, "utf-8", text.encode("latin-1"))
    assert failure is not None
    assert "10 places of the file (the first in line 9) are no such text" in failure


@pytest.mark.parametrize(
    ("declared", "delivered"),
    [("utf-8", "ascii"), ("latin-1", "ascii"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le")],
)
def test_plain_text_and_the_declared_encoding_pass(tmp_path: Path, declared: str, delivered: str) -> None:
    assert encoding_failure(tmp_path, declared, csv_text([sale(1), sale(2)]).encode(delivered)) is None


def test_one_damaged_byte_is_a_bad_row_and_no_other_encoding(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    content = csv_text([sale(1, note="Müller"), sale(2, note="Müller"), sale(3, note="Maier")]).encode()
    deliver(settings, content.replace(b"Maier", b"Ma\xefer"))
    assert load(settings, contract).rows_loaded == 2
    assert [line for line, _ in quarantined(settings, contract)] == [4]


# ------------------------------------------------------------------------------------------- fields too many, and empty

HEADER = ",".join(SALE_HEADER)


def line(number: int, note: str = "") -> str:
    return f"S{number},1.50,1,2024-03-01,north,{note}"


def loaded(tmp_path: Path, text: str, **options: object) -> tuple[list[str], list[tuple[int, str]]]:
    """Ids that were loaded, and (line, rule) of quarantine."""
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, toleratedBadRows=1, **options)
    deliver(settings, text)
    assert load(settings, contract).failure is None
    return [i for (i,) in raw_rows(settings, contract, "sale_id")], quarantined(settings, contract)


TOO_MANY = "malformed_record: too many columns"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "shifted",
    [
        "S2,1,50,1,2024-03-01,north,",
        line(2, "a,"),
        line(2, ",,"),
        line(2, 'a,""'),
        line(2, '"a,\tb",'),
        line(2, 'a,"" '),
    ],
)
def test_an_empty_field_too_many_makes_a_record_malformed(tmp_path: Path, shifted: str, end: str) -> None:
    text = end.join([HEADER, line(1), shifted, line(3, "x"), line(4)])
    assert loaded(tmp_path, text + end) == (["S1", "S3", "S4"], [(3, TOO_MANY)])


@pytest.mark.parametrize("last", [line(2, "a,"), line(2, ",")])
def test_so_does_one_at_the_end_of_a_file_without_a_line_end(tmp_path: Path, last: str) -> None:
    assert loaded(tmp_path, "\n".join([HEADER, line(1, "x"), last])) == (["S1"], [(3, TOO_MANY)])


def test_fields_of_several_lines_blank_lines_and_delimiters_within_quotes_are_told_apart(tmp_path: Path) -> None:
    lines = [
        HEADER,
        line(1, '"two,\nlines,"'),
        line(2, '"two\nlines",'),
        "",
        line(3, '"two\n,"'),
        line(4, '",\n"'),
        line(5),
        "S6,1.50,1,2024-03-01",
        line(7, ","),
    ]
    assert loaded(tmp_path, "\n".join(lines) + "\n") == (
        ["S1", "S3", "S4", "S5"],
        [(4, TOO_MANY), (12, "malformed_record: missing columns"), (13, TOO_MANY)],
    )


def test_an_export_that_ends_every_line_with_the_delimiter_is_read_and_its_shifted_rows_are_not(tmp_path: Path) -> None:
    lines = [HEADER, line(1), line(2, "x"), line(3, "x,"), line(4, '"x,\ny"'), line(5, "a,b")]
    assert loaded(tmp_path, "".join(f"{text},\n" for text in lines)) == (
        ["S1", "S2", "S4"],
        [(4, TOO_MANY), (7, TOO_MANY)],
    )


def test_the_null_text_and_another_delimiter_hold_there_too(tmp_path: Path) -> None:
    lines = [HEADER, line(1, "NULL"), line(2, ""), line(3, "NULL,"), "NULL,NULL,1,2024-03-01,north,"]
    text = "\n".join(lines).replace(",", "|") + "\n"
    assert loaded(tmp_path, text, server={"delimiter": "|"}, access={"nullText": "NULL"}) == (
        ["S1", "S2"],
        [(4, TOO_MANY), (5, "sale_id_required")],
    )


def test_a_large_file_with_fields_of_several_lines_is_read_whole(tmp_path: Path) -> None:
    lines = [HEADER, *(line(n, '"two\nlines"' if n % 1000 == 0 else "") for n in range(60_000)), line(60_000, ",")]
    settings, contract = settings_in(tmp_path, threads=2), sales_contract(tmp_path, path="sales_{date}.csv.gz")
    (settings.landing_dir / "sales_2024-03-01.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode(), 1))
    partition = load(settings, contract)
    assert (partition.rows_read, partition.rows_loaded) == (60_001, 60_000)
    assert quarantined(settings, contract) == [(60_062, TOO_MANY)]


def test_json_lines_know_no_field_too_many(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="sales_{date}.jsonl", server={"format": "jsonl"})
    deliver(settings, json_lines([sale(1)]).rstrip() + ",\n" + json_lines([sale(2)]), "sales_2024-03-01.jsonl")
    load(settings, contract)
    assert raw_rows(settings, contract, "sale_id") == [("S2",)]
