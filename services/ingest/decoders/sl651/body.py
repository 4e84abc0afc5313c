"""The body of a report: serial number, time of sending, then groups of identifier, definition and data (6.6.3)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import msgspec

from services.ingest.decoders.sl651.frames import Frame
from services.ingest.observation import Refused
from tongluo.hazards import Words

# Stations keep Beijing time wherever they stand; times on the wire carry no zone.
BEIJING: Final = timezone(timedelta(hours=8))
CENTURY: Final = 2000
# Identifiers as in table C.1. Those of one byte are themselves; FF and the byte after it are extended ones.
OBSERVED, STATION, MANUAL, PICTURE = 0xF0, 0xF1, 0xF2, 0xF3
RAIN_LIST, LEVEL_LIST, LAST_LEVEL_LIST, VELOCITIES = 0xF4, 0xF5, 0xFC, 0xFD
TIME_STEP, EXTENDED = 0x04, 0xFF
LIST_VALUES: Final = 12
_TO_THE_END: Final = frozenset((MANUAL, PICTURE, VELOCITIES))


class Element(msgspec.Struct, frozen=True):
    """One group. `definition` is the byte after the identifier: high five bits the data's length, low three decimals.

    `station` and `category` (table A.1; None before any station group) say whose it is, `observed` is the UTC time
    in force. With `step` the data are several values, one a step, the first of them at `observed`.
    """

    identifier: int
    definition: int
    data: bytes
    station: str
    category: int | None
    observed: datetime | None
    step: timedelta | None = None


class Report(msgspec.Struct, frozen=True):
    """What a station said. `frame` is the frame it came in, or all its packets as one; `sent` is UTC.

    `sent` is None where the station's clock gave no date; `fault` says why the groups after the last element could
    not be read.
    """

    frame: Frame
    serial: int
    sent: datetime | None
    elements: tuple[Element, ...] = ()
    fault: Refused | None = None


# Functions whose bodies are groups of elements (table B.1); the other ones are not looked into.
WITH_ELEMENTS: Final = frozenset((0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x37, 0x38, 0x39, 0x3A))


def read(frame: Frame) -> Report | Refused:
    """The report of a frame, or of the packets of one put together."""
    if len(frame.body) < 8:
        reason = Words(
            f"正文只有 {len(frame.body)} 字节，缺少流水号和发报时间（共 8 字节）",
            f"the body has only {len(frame.body)} bytes; the serial number and the time of sending alone take 8",
        )
        return Refused("sl651_unreadable", reason, frame.raw)
    serial, sent = int.from_bytes(frame.body[:2]), moment(frame.body[2:8])
    if frame.function not in WITH_ELEMENTS:
        return Report(frame, serial, sent)
    walk = _Walk(frame)
    fault = walk.run()
    return Report(frame, serial, sent, tuple(walk.elements), fault)


def moment(data: bytes) -> datetime | None:
    """UTC of a Beijing time YYMMDDHHmm(SS) in BCD; None where the digits are no time."""
    digits = data.hex()
    if not digits.isdecimal():
        return None
    parts = [int(digits[at : at + 2]) for at in range(0, len(digits), 2)]
    try:
        return datetime(CENTURY + parts[0], *parts[1:], tzinfo=BEIJING).astimezone(UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return None


class _Stop(Exception):
    """The groups cannot be read any further."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        super().__init__(en)
        self.code, self.reason = code, Words(zh, en)


class _Walk:
    """Goes through the groups from left to right: each says how long it is."""

    def __init__(self, frame: Frame) -> None:
        self.elements: list[Element] = []
        self._frame, self._body, self._at = frame, frame.body, 8
        self._station, self._category = frame.station, None  # type: str, int | None
        self._observed: datetime | None = None
        self._step: timedelta | None = None

    def run(self) -> Refused | None:
        groups: dict[int, Callable[[], None]] = {
            OBSERVED: self._time,
            STATION: self._address,
            TIME_STEP: self._time_step,
        }
        try:
            while self._at < len(self._body):
                groups.get(self._body[self._at], self._element)()
        except _Stop as stop:
            return Refused(stop.code, stop.reason, self._frame.raw)
        return None

    def _take(self, size: int) -> bytes:
        taken = self._body[self._at : self._at + size]
        if len(taken) < size:
            at = self._at
            raise _Stop(
                "sl651_unreadable",
                f"正文第 {at + 1} 字节处的信息组不完整：需 {size} 字节，只剩 {len(taken)} 字节",
                f"the group at byte {at + 1} of the body is cut off: {size} bytes needed, {len(taken)} left",
            )
        self._at += size
        return taken

    def _fixed(self, name_zh: str, name: str) -> None:
        """Time and address groups name themselves twice (notes a and b of table C.1)."""
        first, second = self._take(2)
        if first != second:
            raise _Stop(
                "sl651_unreadable",
                f"{name_zh}标识符应为 {first:02X}{first:02X}，收到 {first:02X}{second:02X}",
                f"the identifier of the {name} must be {first:02X}{first:02X}, got {first:02X}{second:02X}",
            )

    def _time(self) -> None:
        self._fixed("观测时间", "time of observation")
        digits = self._take(5)
        self._observed = moment(digits)
        if self._observed is None:
            raise _Stop(
                "wrong_time",
                f"观测时间 {digits.hex().upper()} 不是有效的年月日时分，请校准遥测站时钟",
                f"the time of observation {digits.hex().upper()} is no date and time; set the station's clock",
            )

    def _address(self) -> None:
        self._fixed("遥测站地址", "station address")
        self._station = self._take(5).hex().upper()
        self._category = self._take(1)[0]
        self._observed = None  # the next station's elements have a time of their own

    def _time_step(self) -> None:
        self._take(2)
        digits = self._take(3)
        step = _step(digits)
        if step is None:
            raise _Stop(
                "sl651_unreadable",
                f"时间步长码 {digits.hex().upper()} 无效：日、时、分只能有一个不为零，日至 31，时至 23，分至 59",
                f"time step {digits.hex().upper()} is none: one of days (to 31), hours (to 23), minutes (to 59) is not zero",
            )
        self._step = step or None  # all zeros announce a list of twelve (note g of table C.1)

    def _element(self) -> None:
        identifier = self._take(1)[0]
        if identifier == EXTENDED:
            identifier = EXTENDED << 8 | self._take(1)[0]
        definition = self._take(1)[0]
        size = _size(identifier, definition)
        if size == 0:
            raise _Stop(
                "sl651_unreadable",
                f"要素 {identifier:02X} 的数据定义 {definition:02X} 表示 0 字节，后面的信息组无法定位",
                f"definition {definition:02X} of element {identifier:02X} says 0 bytes; "
                "where the next group begins cannot be told",
            )
        if size is None or self._step is not None:
            size = len(self._body) - self._at
        data = self._take(size)
        self.elements.append(
            Element(identifier, definition, data, self._station, self._category, self._observed, self._step)
        )


def _size(identifier: int, definition: int) -> int | None:
    """How many bytes of data a group has; None means all that is left.

    Lists of twelve have the length of table C.1 whatever their definition says: F55C has been seen for F5C0.
    """
    if identifier in _TO_THE_END:
        return None
    if identifier == RAIN_LIST:
        return LIST_VALUES
    if LEVEL_LIST <= identifier <= LAST_LEVEL_LIST:
        return 2 * LIST_VALUES
    return definition >> 3


def _step(data: bytes) -> timedelta | None:
    """The step of table C.3, zero for all zeros; None where it is none of them."""
    digits = data.hex()
    if not digits.isdecimal():
        return None
    days, hours, minutes = (int(digits[at : at + 2]) for at in (0, 2, 4))
    if sum(part > 0 for part in (days, hours, minutes)) > 1 or days > 31 or hours > 23 or minutes > 59:
        return None
    return timedelta(days=days, hours=hours, minutes=minutes)
