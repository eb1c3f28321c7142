"""How a good row is made into a bad one, by table and kind."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

QUARANTINED = "quarantined"
DROPPED = "dropped as a duplicate of the same delivery"
SUPERSEDED = "loaded; the same row again changes nothing"
EXCLUDED = "loaded, kept out of the facts until its parent comes"
LOADED = "loaded"
COLUMN_IGNORED = "loaded, the unknown column ignored"

DUPLICATE, REDELIVERED = "exact duplicate", "delivered again the next day"
LATE, EXTRA_COLUMN, REORDERED = "late file", "extra column", "columns in another order"

FAR_AHEAD = timedelta(days=400)

Fields = list[bytes]
# (fields of a good row, their position by header, a number never used before) -> the bad row's fields
Stain = Callable[[Fields, dict[str, int], int], Fields]


@dataclass(frozen=True)
class Kind:
    """One kind of dirt: its name, what becomes of it, how it is made."""

    name: str
    expectation: str
    stain: Stain


def _fresh_key(fields: Fields, number: int) -> Fields:
    # the key is always the first column; X is used by no clean row
    return [b"X%09d" % number, *fields[1:]]


def _set(column: str, value: bytes) -> Stain:
    def stain(fields: Fields, header: dict[str, int], number: int) -> Fields:
        changed = _fresh_key(fields, number)
        changed[header[column]] = value
        return changed

    return stain


def _negative(column: str) -> Stain:
    def stain(fields: Fields, header: dict[str, int], number: int) -> Fields:
        changed = _fresh_key(fields, number)
        changed[header[column]] = b"-" + (changed[header[column]] or b"1")
        return changed

    return stain


def shifted(moment: bytes) -> bytes:
    """A timestamp far in the future, in the spelling it has."""
    text = moment.decode()
    later = datetime.fromisoformat(text[:19]) + FAR_AHEAD
    return (later.isoformat(sep=text[10]) + text[19:]).encode()


def _future(column: str) -> Stain:
    def stain(fields: Fields, header: dict[str, int], number: int) -> Fields:
        changed = _fresh_key(fields, number)
        changed[header[column]] = shifted(changed[header[column]])
        return changed

    return stain


def _unknown(column: str) -> Stain:
    """A parent that never comes; the row's own key is new, or it would replace a clean row."""

    def stain(fields: Fields, header: dict[str, int], number: int) -> Fields:
        changed = _fresh_key(fields, number)
        changed[header[column]] = b"UNKNOWN%07d" % number
        return changed

    return stain


def _short(fields: Fields, header: dict[str, int], number: int) -> Fields:
    return _fresh_key(fields, number)[: max(len(header) // 2, 1)]


def _long(fields: Fields, _header: dict[str, int], number: int) -> Fields:
    return [*_fresh_key(fields, number), b"?", b"?"]


_BROKEN = (Kind("too few fields", QUARANTINED, _short), Kind("too many fields", QUARANTINED, _long))

KINDS: dict[str, tuple[Kind, ...]] = {
    "customers": (
        *_BROKEN,
        Kind("wrong encoding", QUARANTINED, _set("LastName", b"Lef\xe8vre")),
        Kind("impossible date", QUARANTINED, _set("CreatedOn", b"2023-02-30")),
    ),
    "orders": (
        *_BROKEN,
        Kind("wrong encoding", QUARANTINED, _set("guest_email", b"ren\xe9@example.com")),
        Kind("impossible date", QUARANTINED, _set("ordered_at", b"2023-02-30 10:00:00")),
        Kind("future date", QUARANTINED, _future("ordered_at")),
        Kind("missing channel", QUARANTINED, _set("channel", b"")),
    ),
    "order_lines": (
        *_BROKEN,
        Kind("negative price", QUARANTINED, _negative("unit_price")),
        Kind("negative quantity", QUARANTINED, _negative("qty")),
        Kind("unknown order", EXCLUDED, _unknown("order_no")),
    ),
    "returns": (
        *_BROKEN,
        Kind("negative amount", QUARANTINED, _set("refund", b"-1.00")),
        Kind("impossible date", QUARANTINED, _set("returned_at", b"2023-02-30 10:00:00")),
        Kind("future date", QUARANTINED, _future("returned_at")),
        Kind("unknown order line", EXCLUDED, _unknown("line_id")),
    ),
    "campaign_reactions": (
        *_BROKEN,
        Kind("unknown type", QUARANTINED, _set("type", b"forwarded")),
        Kind("impossible date", QUARANTINED, _set("at", b"2023-02-30 10:00:00")),
        Kind("future date", QUARANTINED, _future("at")),
        Kind("unknown message", EXCLUDED, _unknown("message_id")),
    ),
    "products": (*_BROKEN, Kind("negative cost", QUARANTINED, _negative("UnitCost"))),
}

# (a good line without its line feed, a number never used before) -> the bad line
JsonStain = Callable[[bytes, int], bytes]


def _json_key(line: bytes, number: int) -> bytes:
    end = line.index(b'"', 7)
    return b'{"id":"X%09d' % number + line[end:]


def _json_moment(line: bytes, change: Callable[[bytes], bytes]) -> bytes:
    begin = line.index(b'"ts":"') + 6
    end = line.index(b'"', begin)
    return line[:begin] + change(line[begin:end]) + line[end:]


JSON_KINDS: tuple[tuple[str, JsonStain], ...] = (
    ("truncated line", lambda line, number: _json_key(line, number)[: len(line) // 2]),
    (
        "wrong encoding",
        lambda line, number: _json_key(line, number).replace(b'"page":"', b'"page":"/caf\xe9'),
    ),
    (
        "impossible date",
        lambda line, number: _json_moment(_json_key(line, number), lambda _: b"2023-02-30T10:00:00.000Z"),
    ),
    ("future date", lambda line, number: _json_moment(_json_key(line, number), shifted)),
    ("no visitor", lambda line, number: _json_key(line, number).replace(b'"visitor":', b'"visiteur":')),
)
