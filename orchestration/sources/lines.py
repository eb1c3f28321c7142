"""Where a record stands in its file: readers count records, people open a file at a line."""

import gzip
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TextIO, cast

from orchestration.contracts import Contract
from orchestration.sources.files import DeliveredFile, is_gzip

#: So many characters of a record are shown; a longer one is cut.
KEPT_CHARACTERS = 10_000
_PIECE = 1 << 20


@dataclass(frozen=True)
class Place:
    """One record: its number (header and blank lines count), its first physical line, whether it is blank, its text."""

    record: int
    line: int
    is_blank: bool
    text: str


def places(contract: Contract, file: DeliveredFile) -> Iterator[Place]:
    """The records of a text file in UTF-8, in order. Bytes that are no UTF-8 show as hexadecimal."""
    opener = gzip.open if is_gzip(contract, file) else open
    quote = contract.quote if contract.format == "csv" else ""
    record, first_line, texts, is_open = 0, 0, list[str](), False
    one_column = False  # an empty line of a file with one column is a record without a value
    with opener(file.path, "rt", encoding="utf-8-sig", errors="backslashreplace") as stream:
        for line, (text, length) in enumerate(_lines(cast(TextIO, stream)), start=1):
            if line == 1:
                one_column = contract.format == "csv" and contract.delimiter not in text
            if not is_open:
                record, first_line, texts = record + 1, line, []
            if sum(map(len, texts)) < KEPT_CHARACTERS:
                texts.append(text[:KEPT_CHARACTERS])
            if quote and (is_open or quote in text):
                is_open = ends_open(text, contract.delimiter, quote, starts_open=is_open)
            if not is_open:
                yield Place(record, first_line, not (length or one_column) and line == first_line, "\n".join(texts))
    if is_open:
        yield Place(record, first_line, False, "\n".join(texts))


def texts(contract: Contract, file: DeliveredFile, wanted: Collection[int]) -> Iterator[tuple[int, str]]:
    """Number and text of the ``wanted`` physical lines of a text file in UTF-8, of which none is endless."""
    opener = gzip.open if is_gzip(contract, file) else open
    with opener(file.path, "rt", encoding="utf-8-sig", errors="backslashreplace") as stream:
        for line, text in enumerate(cast(TextIO, stream), start=1):
            if line in wanted:
                yield line, text.rstrip("\n")[:KEPT_CHARACTERS]


def _lines(stream: TextIO) -> Iterator[tuple[str, int]]:
    """The physical lines without their ends, each with its length; of a very long one only the start is kept."""
    while piece := stream.readline(_PIECE):
        text, length = piece.rstrip("\n"), len(piece)
        while length % _PIECE == 0 and not piece.endswith("\n") and (piece := stream.readline(_PIECE)):
            length += len(piece)
        yield text, length - piece.endswith("\n")


def ends_open(text: str, delimiter: str, quote: str, *, starts_open: bool) -> bool:
    """Whether a quoted field is still open at the end of a physical line.

    A quote opens a field only at its start (after spaces); elsewhere in an unquoted field it is a character.
    """
    position = 0
    while True:
        if not starts_open:
            start = position
            while text.startswith(" ", start):
                start += 1
            if not text.startswith(quote, start):
                position = text.find(delimiter, position) + len(delimiter)
                if position < len(delimiter):
                    return False
                continue
            position = start + len(quote)
        starts_open = False
        end = text.find(quote, position)
        while end >= 0 and text.startswith(quote, end + len(quote)):
            end = text.find(quote, end + 2 * len(quote))
        if end < 0:
            return True
        position = text.find(delimiter, end) + len(delimiter)
        if position < len(delimiter):
            return False
