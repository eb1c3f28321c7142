"""Which encoding a text is of, told from its bytes: a source that changes it must not fill the mart with 'Ã©'.

Texts of UTF-16 and UTF-32 are known by their mark or their zero bytes. Bytes beyond ASCII that form UTF-8 sequences are
UTF-8: in another encoding such sequences come about by chance only. Where they form none, it is another encoding.
"""

import codecs
import re

#: So many places that are no UTF-8, and more than those that are, make another encoding; fewer are damaged rows.
FEWEST_PLACES = 3
_START = 4096
_CLEAR = 10_000
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNDECODED = re.compile("[\udc80-\udcff]+")
_BEYOND_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff\ufeff]")
_ADVICE = "Ask for {declared}, or write encoding: {found} in the contract and raise its version"


class Witness:
    """Hears the pieces of one file and holds them against the ``declared`` encoding."""

    def __init__(self, declared: str) -> None:
        self._declared = declared
        self._codec = codecs.lookup(declared).name
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._start = b""
        self._is_binary = False
        self._lines = 0
        self._sequences = self._undecoded = 0
        self._first_line = 0

    def hear(self, piece: bytes) -> None:
        """Take the next piece; an empty one ends the file."""
        self._start = self._start or piece[:_START]
        if self._is_wide:
            return
        self._is_binary = self._is_binary or b"\0" in piece
        text = self._decoder.decode(piece, not piece)
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                self._undecoded += len(_UNDECODED.findall(text))
                self._first_line = self._first_line or self._lines + text.count("\n", 0, error.start) + 1
            # beyond that many it is clear, and they are not asked for
            self._sequences += len(_BEYOND_ASCII.findall(text)) if self._sequences < _CLEAR else 0
        self._lines += text.count("\n")

    @property
    def _is_wide(self) -> bool:
        return self._codec.startswith(("utf-16", "utf-32"))

    def first_sight(self) -> str | None:
        """A sentence where the first bytes are of a wide encoding and the declared one is not, or the other way round."""
        found = _wide(self._start)
        if found is None and self._is_wide and self._start and b"\0" not in self._start:
            return f"the contract says encoding {self._declared}, the file has one byte per letter. " + _ADVICE.format(
                declared=self._declared, found="utf-8 (or windows-1252)"
            )
        if found is not None and not self._codec.startswith(found):
            return f"the contract says encoding {self._declared}, the file is {found}. " + _ADVICE.format(
                declared=self._declared, found=found
            )
        return None

    def verdict(self) -> str | None:
        """A sentence where the whole file is of another encoding than the declared one."""
        if self._is_wide:
            return None
        if self._codec in ("utf-8", "utf-8-sig"):
            if self._undecoded >= FEWEST_PLACES and self._undecoded > self._sequences and not self._is_binary:
                return (
                    f"the contract says encoding {self._declared}, but {self._undecoded:,} places of the file (the first in "
                    f"line {self._first_line:,}) are no such text; it is probably windows-1252 or iso-8859-1. "
                    + _ADVICE.format(declared=self._declared, found="windows-1252")
                )
        elif self._sequences > self._undecoded:
            return (
                f"the contract says encoding {self._declared}, the file is utf-8: its letters beyond ASCII are written so. "
                + _ADVICE.format(declared=self._declared, found="utf-8")
            )
        return None


def _wide(start: bytes) -> str | None:
    """utf-16 or utf-32 where a text begins with its mark, or half or more of its bytes are zero, as in Western text."""
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    zeros = [start[n::4].count(0) * 4 / max(len(start), 1) for n in range(4)]
    if len(start) < 8 or max(zeros) < 0.6:
        return None
    if sum(share > 0.6 for share in zeros) == 3:
        return "utf-32"
    pairs = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
    return "utf-16" if max(pairs) > 0.6 and min(pairs) < 0.1 else None
