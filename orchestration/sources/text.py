"""Text files before they are read: whole, in UTF-8, without an endless line, and counted by other means than the reader's.

DuckDB takes a damaged gzip file up to the damage, decodes few encodings, drops a line longer than its buffer and empty
fields too many without a word. So every text file is gone through once, in large pieces, before DuckDB reads it.
"""

import codecs
import gzip
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from orchestration import disk
from orchestration.contracts import Contract
from orchestration.sources import encodings
from orchestration.sources.files import MAX_LINE_BYTES, DeliveredFile, DeliveryError, is_gzip, local_copy

#: A file with a longer line is refused: beyond its buffer of 16 times the maximum, DuckDB loses a line in silence.
_REFUSED_LINE_BYTES = 8 * MAX_LINE_BYTES
_PIECE = 1 << 20


@dataclass(frozen=True)
class Lines:
    """The physical lines of a file, blank ones too, and whether one may end in an empty field."""

    count: int
    with_open_ends: bool


def as_utf8(contract: Contract, file: DeliveredFile, folder: Path) -> DeliveredFile:
    """Write a file of another encoding into ``folder`` as plain UTF-8.

    A byte that is no text of the encoding stays as it is, which is no UTF-8 either: the reader sets its record aside.
    Raises DeliveryError where the file cannot be decoded at all, is of another encoding or is no whole gzip file.
    """
    target = local_copy(folder, file.name.removesuffix(".gz"))
    decoder = codecs.getincrementaldecoder(contract.encoding)("surrogateescape")
    witness = encodings.Witness(contract.encoding)
    position = 0
    try:
        with _opened(contract, file) as stream, target.open("wb") as out:
            while True:
                piece = stream.read(_PIECE)
                witness.hear(piece)
                _agree(file, witness)
                out.write(decoder.decode(piece, not piece).encode("utf-8", "surrogateescape"))
                if not piece:
                    break
                position += len(piece)
    except UnicodeError as error:
        raise DeliveryError(
            f"{file.name} is not {contract.encoding} text (after {position:,} bytes: {error.reason})"  # type: ignore[attr-defined]
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        if disk.filled_it(error):
            raise
        raise _damaged(file, error) from error
    _agree(file, witness, at_end=True)
    return replace(file, path=target)


def count_lines(contract: Contract, file: DeliveredFile, *, as_delivered: bool) -> Lines:
    """Count the physical lines of a UTF-8 file.

    Raises DeliveryError where it is no whole gzip file, has a line that the reader would lose, or, ``as_delivered``, is
    of another encoding.
    """
    ends = run = 0
    last, edge = b"\n", b""
    witness = encodings.Witness("utf-8")
    # an empty field may be quoted, and a space hides what is before it
    before = tuple(sign.encode() for sign in (contract.delimiter, 2 * contract.quote, " "))
    tails = [sign + end for sign in before for end in (b"\n", b"\r")]
    open_ends = contract.format != "csv"
    try:
        with _opened(contract, file) as stream:
            while piece := stream.read(_PIECE):
                if as_delivered:
                    witness.hear(piece)
                    _agree(file, witness)
                if not open_ends:
                    seam = edge + piece
                    open_ends = any(tail in seam for tail in tails)
                    edge = seam[-2:]
                found = piece.count(b"\n")
                returns = piece.count(b"\r")
                if returns:
                    # CR LF is one end, also where a piece begins between the two
                    found += returns - piece.count(b"\r\n") - (last == b"\r" and piece[:1] == b"\n")
                elif last == b"\r" and piece[:1] == b"\n":
                    found -= 1
                ends += found
                run = 0 if found else run + len(piece)
                if run > _REFUSED_LINE_BYTES:
                    raise DeliveryError(
                        f"{file.name} has a line of more than {_REFUSED_LINE_BYTES:,} bytes (line {ends + 1:,}): no text, or its "
                        "line ends are missing"
                    )
                last = piece[-1:]
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(file, error) from error
    if as_delivered:
        _agree(file, witness, at_end=True)
    is_cut = last not in (b"\n", b"\r")
    return Lines(ends + is_cut, contract.format == "csv" and (open_ends or edge.endswith(before)))


def _agree(file: DeliveredFile, witness: encodings.Witness, *, at_end: bool = False) -> None:
    """Raise DeliveryError where the bytes of a file are of another encoding than the declared one."""
    found = witness.verdict() if at_end else witness.first_sight()
    if found is not None:
        raise DeliveryError(f"{file.name}: {found}")


def _opened(contract: Contract, file: DeliveredFile) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file.path, "rb") if is_gzip(contract, file) else file.path.open("rb"))


def _damaged(file: DeliveredFile, error: Exception) -> DeliveryError:
    return DeliveryError(f"{file.name} is no whole gzip file: {error}")
