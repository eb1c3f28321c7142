"""Records to physical lines: quotes, blank lines, line ends, encodings, lengths."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.contracts import default_contracts
from orchestration.sources.files import DeliveredFile
from orchestration.sources.lines import KEPT_CHARACTERS, ends_open, places
from tests.support.world import DAY

CSV = replace(default_contracts()["orders"], delimiter=",")


def found(tmp_path: Path, content: str | bytes, **contract: str) -> list[tuple[int, int, bool, str]]:
    path = tmp_path / "file.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    file = DeliveredFile(DAY, path, path.name, 0, 0)
    return [(p.record, p.line, p.is_blank, p.text) for p in places(replace(CSV, **contract), file)]


@pytest.mark.parametrize(
    ("text", "starts_open", "is_open"),
    [
        ("a,b", False, False),
        ('a,"b', False, True),
        ('a,"b"', False, False),
        ('a,"b ""c', False, True),
        ('a,"b ""', False, True),
        ('a,"b"""', False, False),
        ('a,5" b', False, False),
        ('a, "b', False, True),
        ('"a"b,"c', False, True),
        ('"a"b"c', False, False),
        ("still open", True, True),
        ('closed",b', True, False),
        ('closed","b', True, True),
        ("", False, False),
        ("", True, True),
        ('""', True, True),
    ],
)
def test_a_quote_opens_a_field_at_its_start_only(text: str, starts_open: bool, is_open: bool) -> None:
    assert ends_open(text, ",", '"', starts_open=starts_open) is is_open


def test_records_count_the_header_and_blank_lines_and_begin_at_their_first_line(tmp_path: Path) -> None:
    assert found(tmp_path, 'a,b\n\n1,"x\n\ny"\n2,z') == [
        (1, 1, False, "a,b"),
        (2, 2, True, ""),
        (3, 3, False, '1,"x\n\ny"'),
        (4, 6, False, "2,z"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_counts_once(tmp_path: Path, end: str) -> None:
    assert [place[1] for place in found(tmp_path, end.join(["a,b", "1,2", "", "3,4"]) + end)] == [1, 2, 3, 4]


def test_an_empty_line_of_a_file_of_one_column_is_a_record(tmp_path: Path) -> None:
    assert [place[2] for place in found(tmp_path, "a\n1\n\n2\n")] == [False] * 4


def test_bytes_outside_the_encoding_are_shown_and_stop_nothing(tmp_path: Path) -> None:
    assert found(tmp_path, b"\xef\xbb\xbfa,\xe9\nb,\xc3\xa9\n") == [(1, 1, False, "a,\\xe9"), (2, 2, False, "b,é")]


def test_of_a_very_long_line_the_start_is_kept_and_the_next_line_is_the_next(tmp_path: Path) -> None:
    places = found(tmp_path, "a,b\n" + "x" * (3 << 20) + "\n1,2\n" + "y" * (1 << 20))
    assert [(p[0], p[1], len(p[3])) for p in places] == [
        (1, 1, 3),
        (2, 2, KEPT_CHARACTERS),
        (3, 3, 3),
        (4, 4, KEPT_CHARACTERS),
    ]


def test_an_unclosed_quote_is_one_record_to_the_end(tmp_path: Path) -> None:
    assert found(tmp_path, 'a,b\n1,"x\n2,y\n') == [(1, 1, False, "a,b"), (2, 2, False, '1,"x\n2,y')]


def test_in_json_lines_every_line_is_a_record(tmp_path: Path) -> None:
    assert [p[:2] for p in found(tmp_path, '{"a": "x"}\n\n{"\n', format="jsonl")] == [(1, 1), (2, 2), (3, 3)]


fields = st.text(st.sampled_from('ab ,;"\n'), max_size=5)


@given(st.lists(st.lists(fields, min_size=2, max_size=4), min_size=1, max_size=8))
def test_records_are_those_that_pythons_reader_finds(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    reader = csv.reader(io.StringIO(text.getvalue()))
    lines = [1]
    lines += [reader.line_num + 1 for _ in reader]
    assert [p[1] for p in found(tmp_path_factory.getbasetemp(), text.getvalue())] == lines[:-1]
