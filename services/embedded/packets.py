"""What an MQTT client may send, 3.1.1 and 5, as far as a gate has to understand it. Pure: bytes in, bytes out.

A gate looks at CONNECT, at the topic of every PUBLISH and at the filters of SUBSCRIBE. Everything else is handed on as
it came; a PUBLISH is judged by its head and never held whole.
"""

from typing import Final

import msgspec

V311, V5 = 4, 5
CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, SUBSCRIBE, SUBACK, DISCONNECT = 1, 2, 3, 4, 5, 8, 9, 14
# PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBSCRIBE, PINGREQ, DISCONNECT: of no concern to a gate.
PASSED: Final = frozenset({4, 5, 6, 7, 10, 12, 14})

MAX_CONNECT_BYTES: Final = 16 * 1024
MAX_SUBSCRIBE_BYTES: Final = 8 * 1024
MAX_TOPIC_BYTES: Final = 1024

# Reason codes of MQTT 5.
MALFORMED, PROTOCOL_ERROR, BAD_PASSWORD, NOT_AUTHORIZED, UNAVAILABLE = 0x81, 0x82, 0x86, 0x87, 0x88
ALIAS_INVALID, TOO_LARGE, ADMINISTRATIVE = 0x94, 0x95, 0x98
# Those of a 3.1.1 CONNACK.
_OF_311: Final = {BAD_PASSWORD: 4, NOT_AUTHORIZED: 5, UNAVAILABLE: 3}


class Refused(ValueError):
    """What cannot go on. `code` is the reason code of MQTT 5; 3.1.1 knows only the end of the connection."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class Will(msgspec.Struct, frozen=True):
    """What the broker is to publish when the client is gone. `flags` are CONNECT's (QoS and retain)."""

    flags: int
    properties: bytes
    topic: str
    payload: bytes


class Connect(msgspec.Struct, frozen=True):
    """A CONNECT packet. `properties` as they came, with their length; empty in 3.1.1."""

    version: int
    clean: bool
    keep_alive_s: int
    properties: bytes
    client_id: str
    will: Will | None
    user: str | None
    password: bytes | None


def length(data: bytes, at: int) -> tuple[int, int] | None:
    """A variable byte integer and where it ends; None while some of it is missing. Raises Refused."""
    value = 0
    for place in range(4):
        if at + place >= len(data):
            return None
        byte = data[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise Refused(MALFORMED, "a length of more than four bytes")


def packet(head: int, body: bytes) -> bytes:
    """A packet with its length."""
    return bytes([head]) + _varint(len(body)) + body


def read_connect(data: bytes) -> tuple[Connect, int] | None:
    """The CONNECT at the beginning and its size; None while some of it is missing. Raises Refused."""
    if not data:
        return None
    if data[0] != CONNECT << 4:
        raise Refused(PROTOCOL_ERROR, "the first packet is not CONNECT")
    measured = length(data, 1)
    if measured is None:
        return None
    size, at = measured
    if size > MAX_CONNECT_BYTES:
        raise Refused(TOO_LARGE, f"a CONNECT of {size} bytes; at most {MAX_CONNECT_BYTES} are taken")
    if len(data) < at + size:
        return None
    return _connect(_Fields(data[at : at + size])), at + size


def write_connect(connect: Connect) -> bytes:
    """Its bytes."""
    will = connect.will
    flags = connect.clean << 1 | (will.flags | 0x04 if will is not None else 0)
    flags |= (connect.user is not None) << 7 | (connect.password is not None) << 6
    parts = [b"\x00\x04MQTT", bytes([connect.version, flags]), connect.keep_alive_s.to_bytes(2, "big")]
    parts += [connect.properties, _text(connect.client_id)]
    if will is not None:
        parts += [will.properties, _text(will.topic), _binary(will.payload)]
    if connect.user is not None:
        parts.append(_text(connect.user))
    if connect.password is not None:
        parts.append(_binary(connect.password))
    return packet(CONNECT << 4, b"".join(parts))


def read_subscribe(body: bytes, version: int) -> tuple[bytes, list[str]]:
    """Packet id and filters of a SUBSCRIBE without its fixed header. Raises Refused."""
    fields = _Fields(body)
    packet_id = fields.take(2)
    if version == V5:
        fields.properties()
    filters: list[str] = []
    while not fields.done:
        filters.append(fields.text())
        fields.take(1)
    if not filters:
        raise Refused(PROTOCOL_ERROR, "a SUBSCRIBE without a filter")
    return packet_id, filters


def connack(version: int, code: int) -> bytes:
    """A refusal of CONNECT."""
    if version == V5:
        return bytes([CONNACK << 4, 3, 0, code, 0])
    return bytes([CONNACK << 4, 2, 0, _OF_311.get(code, 5)])


def disconnect(code: int) -> bytes:
    """The broker's word of farewell, which only MQTT 5 has."""
    return bytes([DISCONNECT << 4, 2, code, 0])


def refused_publish(qos: int, packet_id: bytes) -> bytes:
    """PUBACK or PUBREC of MQTT 5: not authorised."""
    return bytes([(PUBACK if qos == 1 else PUBREC) << 4, 3]) + packet_id + bytes([NOT_AUTHORIZED])


def refused_subscribe(version: int, packet_id: bytes, filters: int) -> bytes:
    """A SUBACK that grants nothing."""
    if version == V5:
        return packet(SUBACK << 4, packet_id + b"\x00" + bytes([NOT_AUTHORIZED]) * filters)
    return packet(SUBACK << 4, packet_id + b"\x80" * filters)


def decoded(text: bytes) -> str:
    """Text as MQTT has it: UTF-8 without the zero character. Raises Refused."""
    try:
        found = text.decode()
    except UnicodeDecodeError:
        raise Refused(MALFORMED, "text that is not UTF-8") from None
    if "\x00" in found:
        raise Refused(MALFORMED, "text with a zero character")
    return found


def _connect(fields: "_Fields") -> Connect:
    if (name := fields.binary()) not in (b"MQTT", b"MQIsdp"):
        raise Refused(PROTOCOL_ERROR, "a protocol that is not MQTT")
    version, flags = fields.take(2)
    if name != b"MQTT" or version not in (V311, V5):
        raise Refused(0x84, "a version of MQTT other than 3.1.1 and 5")
    keep_alive_s = int.from_bytes(fields.take(2), "big")
    properties = fields.properties() if version == V5 else b""
    client_id = fields.text()
    will = None
    if flags & 0x04:
        will = Will(
            flags & 0x38,
            fields.properties() if version == V5 else b"",
            fields.text(),
            fields.binary(),
        )
    user = fields.text() if flags & 0x80 else None
    password = fields.binary() if flags & 0x40 else None
    if not fields.done or flags & 0x01 or flags & 0x18 == 0x18 or (will is None and flags & 0x38):
        raise Refused(MALFORMED, "a CONNECT whose flags do not fit what it holds")
    return Connect(version, bool(flags & 0x02), keep_alive_s, properties, client_id, will, user, password)


class _Fields:
    """Reads one field after another. Raises Refused when there is less than a field says."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at == len(self._data)

    def take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        if len(found) != size:
            raise Refused(MALFORMED, "a packet that ends within a field")
        self._at += size
        return found

    def binary(self) -> bytes:
        return self.take(int.from_bytes(self.take(2), "big"))

    def text(self) -> str:
        return decoded(self.binary())

    def properties(self) -> bytes:
        """As they are, with their length."""
        began = self._at
        measured = length(self._data, self._at)
        if measured is None:
            raise Refused(MALFORMED, "a packet that ends within a length")
        size, self._at = measured
        self.take(size)
        return self._data[began : self._at]


def _varint(value: int) -> bytes:
    found = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        found.append(low | (0x80 if value else 0))
        if not value:
            return bytes(found)


def _binary(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _text(text: str) -> bytes:
    return _binary(text.encode())
