"""SL 651-2014 frames out of a stream of bytes: the length in the header says where a frame ends, the CRC whether it is one.

HEX/BCD encoding, tables 20 to 23 of the standard. Uplink:
`7E7E | centre 1 | station 5 | password 2 | function 1 | direction 4 bit, length 12 bit | STX or SYN | body | end | CRC 2`;
downlink has the station before the centre.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from services.ingest.observation import Refused
from tongluo.hazards import Words

START: Final = b"\x7e\x7e"
STX, SYN = 0x02, 0x16
ETX, ETB, ENQ, EOT, ACK, NAK, ESC = 0x03, 0x17, 0x05, 0x04, 0x06, 0x15, 0x1B
UP, DOWN = 0, 8
_ENDS: Final = {UP: frozenset((ETX, ETB)), DOWN: frozenset((ENQ, EOT, ACK, NAK, ESC))}

HEADER_BYTES: Final = 14
# A start, and in their places a direction (0, 8) and STX or SYN: what is no header is passed over at a scan's speed.
_HEADER: Final = re.compile(rb"\x7e\x7e.{9}[\x00-\x0f\x80-\x8f].[\x02\x16]", re.DOTALL)
MAX_BODY_BYTES: Final = 4095
MAX_FRAME_BYTES: Final = HEADER_BYTES + MAX_BODY_BYTES + 3
MAX_PACKETS: Final = 4095
# What belongs to no frame is told in pieces of at most this.
MAX_REFUSED_BYTES: Final = 8192
# Checksums over false starts that overlap cost more than the bytes are worth: at most this many bytes checked
# for a byte received, beyond a first allowance, so that nobody can keep us busy with a crafted stream.
CHECKED_PER_BYTE: Final = 4
CHECKED_FREE: Final = 16 * MAX_FRAME_BYTES


class Packet(msgspec.Struct, frozen=True):
    """Which part of a report a frame carries: `number` of `total`, both from 1."""

    total: int
    number: int


class Frame(msgspec.Struct, frozen=True):
    """One frame whose CRC is right. `station` is the address as ten hexadecimal digits, `end` the closing character.

    `body` is without the packet's numbering; `raw` is the frame as it came.
    """

    centre: int
    station: str
    password: int
    function: int
    downlink: bool
    packet: Packet | None
    body: bytes
    end: int
    raw: bytes


def _table() -> tuple[int, ...]:
    entries = []
    for entry in range(256):
        crc = entry
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
        entries.append(crc)
    return tuple(entries)


_TABLE: Final = _table()


def crc16(data: bytes) -> int:
    """The standard's X^16+X^15+X^2+1 as CRC-16/MODBUS computes it: reflected, begun with FFFF."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def encode(frame: Frame) -> bytes:
    """The bytes of a frame; its own `raw` is not looked at. Raises ValueError when the body is too long or empty."""
    numbering = b"" if frame.packet is None else (frame.packet.total << 12 | frame.packet.number).to_bytes(3)
    body = numbering + frame.body
    if not 1 <= len(body) <= MAX_BODY_BYTES:
        raise ValueError(f"a body has 1 to {MAX_BODY_BYTES} bytes, this one {len(body)}: send it in packets")
    station, centre = bytes.fromhex(frame.station), frame.centre.to_bytes(1)
    data = b"".join(
        (
            START,
            station + centre if frame.downlink else centre + station,
            frame.password.to_bytes(2),
            frame.function.to_bytes(1),
            ((DOWN if frame.downlink else UP) << 12 | len(body)).to_bytes(2),
            bytes((STX if frame.packet is None else SYN,)),
            body,
            bytes((frame.end,)),
        )
    )
    return data + crc16(data).to_bytes(2)


class _Fault(msgspec.Struct, frozen=True):
    """Why no frame begins where one seemed to."""

    code: str
    reason: Words


_NO_FRAME: Final = _Fault(
    "not_sl651",
    Words(
        "这些字节不是 SL 651-2014 报文帧（HEX/BCD 编码，帧起始 7E7E）；若遥测站采用 ASCII 编码（帧起始 01），请改为 HEX/BCD",
        "these bytes are no SL 651-2014 frame (HEX/BCD encoding, beginning 7E7E); "
        "a station set to ASCII encoding (beginning 01) must be set to HEX/BCD",
    ),
)
_TRUNCATED: Final = _Fault(
    "sl651_truncated",
    Words(
        "报文帧不完整：字节数少于帧头所示长度；请检查传输链路是否截断",
        "the frame is cut off: fewer bytes than its header says; see what cuts it on the way",
    ),
)
_WRONG_END: Final = _Fault(
    "sl651_wrong_end",
    Words(
        "帧头所示长度处没有报文结束符；请检查遥测站的报文长度字段",
        "no closing character where the length in the header puts it; see how the station counts the length",
    ),
)


class FrameReader:
    """Bytes in, frames and refusals out, in the order of the stream; how the bytes are cut into pieces changes nothing.

    After something that is no frame it looks for the next start one byte further, so that nothing whole is lost. It
    holds at most one unfinished frame and one piece of refused bytes.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte in the stream
        self._checked = 0
        self._refused = bytearray()
        self._fault: _Fault | None = None

    @property
    def waiting(self) -> bool:
        """Whether bytes are held that may yet become a frame."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Frame | Refused]:
        """What these bytes complete."""
        self._buffer += data
        return list(self._scan(last=False))

    def finish(self) -> list[Frame | Refused]:
        """The end of the stream, or of patience with it: what an unfinished frame held back, and why it is none."""
        return [*self._scan(last=True), *self._refusal()]

    def _scan(self, last: bool) -> Iterator[Frame | Refused]:
        at = 0
        try:
            while True:
                start = self._next(at)
                if start < 0:
                    # Half a start may be followed by its other half.
                    half = not last and self._buffer.endswith(START[:1])
                    yield from self._refuse(at, max(at, len(self._buffer) - half))
                    at = max(at, len(self._buffer) - half)
                    return
                yield from self._refuse(at, start)
                at = start
                found = self._look(start)
                if found is None and not last:
                    return
                if isinstance(found, Frame):
                    yield from self._refusal()
                    yield found
                    at += len(found.raw)
                    continue
                self._fault = self._fault or found or _TRUNCATED
                yield from self._refuse(start, start + 1)
                at = start + 1
        finally:
            del self._buffer[:at]
            self._offset += at

    def _next(self, at: int) -> int:
        """Where the next frame may begin, -1 for nowhere: a header, or what may become one."""
        header = _HEADER.search(self._buffer, at)
        if header is not None:
            return header.start()
        return self._buffer.find(START, max(at, len(self._buffer) - HEADER_BYTES + 1))

    def _look(self, start: int) -> Frame | _Fault | None:
        """The frame that begins at `start`, why there is none, or None: more bytes are needed to tell."""
        size = _size(bytes(self._buffer[start : start + HEADER_BYTES]))
        if not isinstance(size, int):
            return size
        if len(self._buffer) < start + size:
            return None
        raw = bytes(self._buffer[start : start + size])
        if raw[-3] not in _ENDS[raw[11] >> 4]:
            return _WRONG_END
        if self._checked + size > CHECKED_FREE + CHECKED_PER_BYTE * (self._offset + start + size):
            return _NO_FRAME
        self._checked += size
        expected, got = crc16(raw[:-2]), int.from_bytes(raw[-2:])
        return _frame(raw) if expected == got else _wrong_crc(expected, got)

    def _refuse(self, start: int, stop: int) -> Iterator[Refused]:
        """Set bytes of the buffer aside, and hand them out where a piece is full."""
        while start < stop:
            taken = min(stop - start, MAX_REFUSED_BYTES - len(self._refused))
            self._refused += self._buffer[start : start + taken]
            start += taken
            if len(self._refused) == MAX_REFUSED_BYTES:
                yield from self._refusal()

    def _refusal(self) -> Iterator[Refused]:
        if self._refused:
            fault = self._fault or _NO_FRAME
            yield Refused(fault.code, fault.reason, bytes(self._refused))
        self._refused.clear()
        self._fault = None


def _size(head: bytes) -> int | _Fault | None:
    """The bytes of the frame that a header announces; None for a header that is not all there."""
    if len(head) < HEADER_BYTES:
        return None
    direction, length, opening = head[11] >> 4, int.from_bytes(head[11:13]) & 0xFFF, head[13]
    # After SYN the numbering takes three bytes of the length.
    if opening not in (STX, SYN) or direction not in _ENDS or length < (4 if opening == SYN else 1):
        return _NO_FRAME
    return HEADER_BYTES + length + 3


def _frame(raw: bytes) -> Frame:
    downlink = raw[11] >> 4 == DOWN
    centre, station = (raw[7], raw[2:7]) if downlink else (raw[2], raw[3:8])
    body, packet = raw[HEADER_BYTES:-3], None
    if raw[13] == SYN:
        numbering = int.from_bytes(body[:3])
        packet, body = Packet(numbering >> 12, numbering & 0xFFF), body[3:]
    return Frame(
        centre=centre,
        station=station.hex().upper(),
        password=int.from_bytes(raw[8:10]),
        function=raw[10],
        downlink=downlink,
        packet=packet,
        body=body,
        end=raw[-3],
        raw=raw,
    )


def _wrong_crc(expected: int, got: int) -> _Fault:
    return _Fault(
        "sl651_wrong_crc",
        Words(
            f"校验码不符：收到 {got:04X}，应为 {expected:04X}（高位字节在前）；报文在传输中受损",
            f"wrong CRC: {got:04X} received, {expected:04X} computed (high byte first); the frame was damaged on its way",
        ),
    )
