"""Reports that come in several packets (mode M3): put together, asked for again, or given up, within bounds.

The state is explicit and knows no clock: `now` is when the bytes arrived, from the caller.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.ingest.decoders.sl651.frames import ETX, Frame, Packet
from services.ingest.observation import Refused
from tongluo.hazards import Words

MAX_REPORT_BYTES: Final = 512 * 1024
MAX_REPORTS: Final = 8
# The standard has a station send a packet again twice at most (6.3.1.2 c).
MOST_REQUESTS: Final = 2
PATIENCE: Final = timedelta(seconds=20)


class Missing(msgspec.Struct, frozen=True):
    """Packets of a report that have not come, or not whole: to be asked for one by one. `like` is one that has.

    `serial` is the report's number; it stands in the first packet, and is 0 while that is missing too.
    """

    like: Frame
    total: int
    numbers: tuple[int, ...]
    serial: int


_Key = tuple[int, str, int]


class _Gathering:
    """One report in the making."""

    def __init__(self, first: Frame, total: int) -> None:
        self.total = total
        self.packets: dict[int, Frame] = {}
        self.bytes = 0
        self.requests = 0
        self.last = first
        self.heard: datetime

    def add(self, frame: Frame, number: int, now: datetime) -> None:
        if number not in self.packets:
            self.bytes += len(frame.raw)
        self.packets[number] = frame
        self.last, self.heard = frame, now

    def missing(self) -> tuple[int, ...]:
        return tuple(number for number in range(1, self.total + 1) if number not in self.packets)

    def request(self) -> Missing:
        """What to ask for, counted."""
        self.requests += 1
        first = self.packets.get(1)
        serial = int.from_bytes(first.body[:2]) if first is not None and len(first.body) >= 2 else 0
        return Missing(self.last, self.total, self.missing(), serial)

    def joined(self) -> Frame:
        """The whole report as one frame, numbered as its last packet: so the standard has it acknowledged."""
        parts = [self.packets[number] for number in sorted(self.packets)]
        return msgspec.structs.replace(
            parts[0],
            packet=Packet(self.total, self.total),
            body=b"".join(part.body for part in parts),
            end=ETX,
            raw=b"".join(part.raw for part in parts),
        )


class Assembly:
    """What one connection, or one message, has brought of reports in several packets."""

    def __init__(self) -> None:
        self._gathering: dict[_Key, _Gathering] = {}

    @property
    def waiting(self) -> bool:
        """Whether a report still lacks packets."""
        return bool(self._gathering)

    def take(self, frame: Frame, now: datetime) -> list[Frame | Missing | Refused]:
        """A whole report, a request for what it lacks, a refusal, or nothing yet. A frame of its own passes through."""
        if frame.packet is None:
            return [frame]
        total, number = frame.packet.total, frame.packet.number
        if not 1 <= number <= total:
            return [_wrong_number(frame, total, number)]
        key = (frame.centre, frame.station, frame.function)
        found: list[Frame | Missing | Refused] = []
        gathering = self._gathering.get(key)
        if gathering is not None and _another(gathering, frame, total, number):
            found.append(_incomplete(self._gathering.pop(key)))
            gathering = None
        if gathering is None:
            if len(self._gathering) == MAX_REPORTS:
                found.append(_incomplete(self._gathering.pop(next(iter(self._gathering)))))
            gathering = self._gathering[key] = _Gathering(frame, total)
        gathering.add(frame, number, now)
        if len(gathering.packets) == total:
            found.append(self._gathering.pop(key).joined())
        elif gathering.bytes > MAX_REPORT_BYTES:
            found.append(_too_large(self._gathering.pop(key)))
        elif number == total and not gathering.requests:
            found.append(gathering.request())
        return found

    def overdue(self, now: datetime) -> list[Missing | Refused]:
        """Reports of which nothing has come for a while: asked for once more, in the end given up."""
        found: list[Missing | Refused] = []
        for key, gathering in list(self._gathering.items()):
            if now - gathering.heard < PATIENCE:
                continue
            if gathering.requests < MOST_REQUESTS:
                gathering.heard = now
                found.append(gathering.request())
            else:
                found.append(_incomplete(self._gathering.pop(key)))
        return found

    def finish(self) -> list[Refused]:
        """Nothing more will come."""
        left = [_incomplete(gathering) for gathering in self._gathering.values()]
        self._gathering.clear()
        return left


def _another(gathering: _Gathering, frame: Frame, total: int, number: int) -> bool:
    """Whether a packet belongs to a later report than the ones gathered: the station has begun anew."""
    held = gathering.packets.get(number)
    return total != gathering.total or (held is not None and held.body != frame.body)


def _wrong_number(frame: Frame, total: int, number: int) -> Refused:
    return Refused(
        "sl651_wrong_packet",
        Words(
            f"遥测站 {frame.station} 的包序列号为 {number}，包总数为 {total}：序列号应在 1 至包总数之间",
            f"packet {number} of {total} from station {frame.station}: packets are numbered from 1 to their total",
        ),
        frame.raw,
    )


def _incomplete(gathering: _Gathering) -> Refused:
    missing = gathering.missing()
    shown = ", ".join(str(number) for number in missing[:10]) + (", …" if len(missing) > 10 else "")
    return Refused(
        "sl651_incomplete",
        Words(
            f"遥测站 {gathering.last.station} 的多包报文共 {gathering.total} 包，缺第 {shown} 包；"
            "同一报文的各包应在同一条消息或同一连接内送达",
            f"of the {gathering.total} packets of a report of station {gathering.last.station} these are missing: {shown}; "
            "all packets of a report must come in one message or over one connection",
        ),
        gathering.joined().raw,
    )


def _too_large(gathering: _Gathering) -> Refused:
    return Refused(
        "too_large",
        Words(
            f"遥测站 {gathering.last.station} 的多包报文已超过 {MAX_REPORT_BYTES} 字节，不再接收",
            f"a report of station {gathering.last.station} in packets exceeds {MAX_REPORT_BYTES} bytes and is not taken",
        ),
        gathering.last.raw,
    )
