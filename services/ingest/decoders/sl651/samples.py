"""Elements to numbers with their times: BCD, lists of twelve, series by step, and what a person typed in."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.ingest.decoders.sl651.body import (
    BEIJING,
    LAST_LEVEL_LIST,
    LEVEL_LIST,
    LIST_VALUES,
    MANUAL,
    RAIN_LIST,
    Element,
    Report,
    moment,
)
from services.ingest.observation import Refused
from tongluo.hazards import Words

LIST_STEP: Final = timedelta(minutes=5)
# A clock may tick between the last value of a list and the sending.
LIST_SLACK: Final = timedelta(minutes=1)
MAX_TEXT_BYTES: Final = 4096


class Sample(msgspec.Struct, frozen=True):
    """One number of one element. `of` is the group it comes from; `identifier` that of table C.1."""

    station: str
    category: int | None
    identifier: int
    time: datetime
    value: float
    of: bytes


def samples(report: Report, element: Element) -> Iterator[Sample | Refused]:
    """The numbers of one element. What the station marks as invalid (all F, or all A) is no number and no fault."""
    if element.identifier == MANUAL:
        yield from _typed(report, element)
        return
    of = head(element)
    if element.observed is None:
        yield _no_time(report, name(element.identifier))
        return
    if is_list(element.identifier) and len(element.data) != _list_width(element.identifier) * LIST_VALUES:
        yield _not_whole(report, element)
        return
    width = _list_width(element.identifier) if is_list(element.identifier) else element.definition >> 3
    if len(element.data) % width:
        yield _not_whole(report, element)
        return
    step = LIST_STEP if is_list(element.identifier) else element.step or timedelta()
    count = len(element.data) // width
    try:
        last = element.observed + (count - 1) * step
    except OverflowError:
        last = None
    if last is None or (count > 1 and report.sent is not None and last > report.sent + LIST_SLACK):
        yield _ahead(report, element, count, step)
        return
    for index in range(count):
        chunk = element.data[index * width : (index + 1) * width]
        value = _value(element, chunk)
        if isinstance(value, str):
            yield _not_digits(report, element.identifier, value)
            return
        elif value is not None:
            time = element.observed + index * step
            yield Sample(element.station, element.category, element.identifier, time, value, of)


def head(element: Element) -> bytes:
    """Identifier and definition as on the wire: the same for every report of a station that is set up alike."""
    size = 2 if element.identifier > 0xFF else 1
    return element.identifier.to_bytes(size) + bytes((element.definition,))


def name(identifier: int) -> str:
    """How an identifier is written: 39, FF09."""
    return f"{identifier:02X}"


def is_list(identifier: int) -> bool:
    """Whether an element is a list of twelve values five minutes apart."""
    return identifier == RAIN_LIST or LEVEL_LIST <= identifier <= LAST_LEVEL_LIST


def _list_width(identifier: int) -> int:
    return 1 if identifier == RAIN_LIST else 2


def _value(element: Element, chunk: bytes) -> float | str | None:
    """The number of a chunk, None where it is marked invalid, its digits where they are no number."""
    if not chunk.strip(b"\xff"):
        return None
    if is_list(element.identifier):  # binary, 0.1 mm or 0.01 m
        return int.from_bytes(chunk) / (10 if element.identifier == RAIN_LIST else 100)
    if not chunk.strip(b"\xaa"):
        return None
    # A first byte FF is the sign (6.6.3.3 a).
    negative, digits = chunk[0] == 0xFF, (chunk[1:] if chunk[0] == 0xFF else chunk).hex()
    if not digits.isdecimal():
        return chunk.hex().upper()
    # Divided as integers, so that 10490 of three decimals is the float nearest to 10.49.
    value: float = int(digits) / 10 ** (element.definition & 0b111)
    return -value if negative else value


# -- what a person typed in (35H, 39H): text of identifiers and values with spaces between

_CODES: Final = {
    "P1": 0x1A, "P2": 0x1B, "P3": 0x1C, "P6": 0x1D, "P12": 0x1E, "PD": 0x1F, "PJ": 0x20, "PN01": 0x21,
    "PN05": 0x22, "PN10": 0x23, "PN30": 0x24, "PR": 0x25, "PT": 0x26, "AI": 0x02, "H": 0x0E, "M10": 0x10,
    "M20": 0x11, "M30": 0x12, "M40": 0x13, "M50": 0x14, "M60": 0x15, "M80": 0x16, "M100": 0x17, "MST": 0x18,
    "US": 0x35, "VT": 0x38, "Z": 0x39, "ZB": 0x3A, "ZU": 0x3B,
}  # fmt: skip
_NUMBER: Final = re.compile(r"-?\d{1,11}(\.\d{1,7})?")
_CATEGORY: Final = re.compile(r"[A-Z]")


def _typed(report: Report, element: Element) -> Iterator[Sample | Refused]:
    """`[ST address category] TT time identifier value …`; an address of 8 digits is a hydrological one (6.2.3.2 a)."""
    if len(element.data) > MAX_TEXT_BYTES or not element.data.isascii():
        yield _not_text(report, "?")
        return
    words = element.data.decode("ascii").split()
    station, category, time = element.station, element.category, element.observed
    at = 0
    while at + 1 < len(words):
        code, given = words[at], words[at + 1]
        at += 2
        if code == "ST":
            station, time = given.rjust(10, "0").upper(), None
            if at < len(words) and _CATEGORY.fullmatch(words[at]):
                category = ord(words[at])
                at += 1
        elif code == "TT":
            time = _typed_time(given, report.sent)
            if time is None:
                yield _wrong_time(report, given)
                return
        elif code not in _CODES or not _NUMBER.fullmatch(given):
            yield _not_text(report, f"{code} {given}")
        elif time is None:
            yield _no_time(report, code)
        else:
            yield Sample(station, category, _CODES[code], time, float(given), code.encode())
    if at < len(words) and words[at:] != ["NN"]:
        yield _not_text(report, words[at])


def _typed_time(given: str, sent: datetime | None) -> datetime | None:
    """YYMMDDHHmm, or MMDDHHmm of the year that ends with the sending."""
    if not re.fullmatch(r"\d{8}|\d{10}", given, re.ASCII):
        return None
    if len(given) == 10:
        return moment(bytes.fromhex(given))
    if sent is None:
        return None
    year = sent.astimezone(BEIJING).year % 100
    for candidate in (year, (year - 1) % 100):
        time = moment(bytes.fromhex(f"{candidate:02d}{given}"))
        if time is not None and time <= sent + timedelta(days=1):
            return time
    return None


# -- refusals


def _refused(report: Report, code: str, zh: str, en: str) -> Refused:
    return Refused(code, Words(zh, en), report.frame.raw)


def _no_time(report: Report, element: str) -> Refused:
    return _refused(
        report,
        "missing_field",
        f"要素 {element} 之前没有观测时间（F0F0 或 TT）",
        f"no time of observation (F0F0, or TT) before element {element}",
    )


def _wrong_time(report: Report, given: str) -> Refused:
    return _refused(
        report,
        "wrong_time",
        f"人工置数的观测时间 {given[:20]} 不是有效时间（YYMMDDHHmm 或 MMDDHHmm）",
        f"the typed time of observation {given[:20]} is no time (YYMMDDHHmm or MMDDHHmm)",
    )


def _not_whole(report: Report, element: Element) -> Refused:
    return _refused(
        report,
        "sl651_unreadable",
        f"要素 {name(element.identifier)} 的数据有 {len(element.data)} 字节，不是整组",
        f"the {len(element.data)} bytes of element {name(element.identifier)} are no whole number of values",
    )


def _ahead(report: Report, element: Element, count: int, step: timedelta) -> Refused:
    minutes = int(step.total_seconds()) // 60
    return _refused(
        report,
        "sl651_list_ahead",
        f"要素 {name(element.identifier)} 有 {count} 个值、间隔 {minutes} 分钟，按规约观测时间是第一个值的时间，"
        "则最后一个值晚于发报时间；请检查遥测站的观测时间",
        f"element {name(element.identifier)} has {count} values {minutes} min apart; the time of observation is by the "
        "standard the first value's, so the last would lie after the sending: see what time the station gives",
    )


def _not_digits(report: Report, identifier: int, digits: str) -> Refused:
    return _refused(
        report,
        "sl651_not_digits",
        f"要素 {name(identifier)} 的数据 {digits[:62]} 不是 BCD 数字",
        f"the data {digits[:62]} of element {name(identifier)} are no BCD digits",
    )


def _not_text(report: Report, words: str) -> Refused:
    return _refused(
        report,
        "sl651_not_understood",
        f"人工置数 {words[:60]} 无法识别；应为“标识符 数值”，标识符见 docs/formats.md",
        f"typed-in {words[:60]} is not understood: an identifier and a number are, see docs/formats.md",
    )
