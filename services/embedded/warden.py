"""The judgement of a gate: which of a client's bytes go on to the broker, and what it is told about the others. Pure.

What a refused PUBLISH leads to: in MQTT 5 the reason code 0x87 in PUBACK or PUBREC, and with QoS 0, which has no answer,
a DISCONNECT that says so; in 3.1.1, which has no word for it, the end of the connection. Never a silent success. A
SUBSCRIBE with a filter that is not allowed is refused whole.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from services.access import Rights
from services.embedded import packets
from services.embedded.packets import Refused

# Above what ingest takes (512 KiB), so that an oversized message reaches quarantine instead of a closed socket.
MAX_PACKET_BYTES: Final = 4 * 1024 * 1024
# A gateway has a handful of topics; whoever has more is judged anew for each.
_REMEMBERED: Final = 64

Complain = Callable[[str], None]


class Verdict(msgspec.Struct):
    """What goes on to the broker, what is answered, and, where it ends, with which reason."""

    forward: bytes
    answer: bytes
    end: Refused | None = None


class Warden:
    """Judges what one client sends after its CONNECT, however the bytes are cut."""

    def __init__(self, version: int, rights: Rights, complain: Complain) -> None:
        self._version = version
        self._rights = rights
        self._complain = complain
        self._allowed: set[bytes] = set()
        # The beginning of a packet that cannot be judged yet.
        self._held = b""
        # How much of a judged packet is still to come, and whether it goes on.
        self._rest = 0
        self._rest_passes = True
        # What an alias stands for after a refused PUBLISH that may have set it, the broker does not know.
        self._alias_doubtful = False

    @property
    def held_bytes(self) -> int:
        """How much waits for the rest of a packet; at most a SUBSCRIBE or the head of a PUBLISH."""
        return len(self._held)

    def take(self, data: bytes) -> Verdict:
        """Judge the next bytes."""
        if self._held:
            data, self._held = self._held + data, b""
        out: list[bytes] = []
        answers: list[bytes] = []
        # data[start:at] has been judged and passes.
        start = at = 0
        try:
            while True:
                if self._rest:
                    step = min(self._rest, len(data) - at)
                    self._rest -= step
                    at += step
                    if not self._rest_passes:
                        start = at
                        self._rest_passes = self._rest == 0
                if at == len(data):
                    break
                judged = self._packet(data, at)
                if judged is None:
                    break
                size, refusal = judged
                self._rest = size
                if refusal is not None:
                    out.append(data[start:at])
                    answers.append(refusal)
                    self._rest_passes = False
        except Refused as end:
            out.append(data[start:at])
            return Verdict(b"".join(out), b"".join(answers), end)
        self._held = data[at:]
        forward = data[start:at] if not out else b"".join([*out, data[start:at]])
        return Verdict(forward, b"".join(answers))

    def _packet(self, data: bytes, at: int) -> tuple[int, bytes | None] | None:
        """Size of the packet at `at`, and what is answered if it is refused; None while too little is there."""
        measured = packets.length(data, at + 1)
        if measured is None:
            return None
        body, begins = measured
        if body > MAX_PACKET_BYTES:
            raise Refused(
                packets.TOO_LARGE, f"a packet of {body} bytes; at most {MAX_PACKET_BYTES} are taken"
            )
        size = begins - at + body
        kind = data[at] >> 4
        if kind == packets.PUBLISH:
            return self._publish(data, at, begins, size)
        if kind in packets.PASSED:
            return size, None
        if kind != packets.SUBSCRIBE:
            raise Refused(
                packets.PROTOCOL_ERROR, f"a packet of type {kind}, which a client does not send here"
            )
        if body > packets.MAX_SUBSCRIBE_BYTES:
            raise Refused(packets.TOO_LARGE, f"a SUBSCRIBE of {body} bytes")
        if len(data) < at + size:
            return None
        return size, self._subscribe(data[begins : at + size])

    def _publish(self, data: bytes, at: int, begins: int, size: int) -> tuple[int, bytes | None] | None:
        if len(data) < begins + 2 and size >= begins - at + 2:
            return None
        qos = data[at] >> 1 & 3
        topic_ends = begins + 2 + int.from_bytes(data[begins : begins + 2], "big")
        head_ends = topic_ends + (2 if qos else 0)
        if qos == 3 or head_ends > at + size:
            raise Refused(packets.MALFORMED, "a PUBLISH that ends within its head")
        if topic_ends - begins > packets.MAX_TOPIC_BYTES + 2:
            raise Refused(packets.MALFORMED, f"a topic of more than {packets.MAX_TOPIC_BYTES} bytes")
        if len(data) < head_ends:
            return None
        topic = data[begins + 2 : topic_ends]
        if topic in self._allowed or self._may_publish(topic):
            return size, None
        if self._version == packets.V5 and qos:
            self._alias_doubtful = True
            return size, packets.refused_publish(qos, data[topic_ends:head_ends])
        raise Refused(packets.NOT_AUTHORIZED, f"PUBLISH to {topic[:200]!r}")

    def _may_publish(self, topic: bytes) -> bool:
        if not topic:
            # An alias of MQTT 5: the broker has it from a topic that was allowed, on this connection.
            if self._version != packets.V5 or self._alias_doubtful:
                raise Refused(packets.ALIAS_INVALID, "a topic alias that stands for nothing")
            return True
        if not self._rights.may_publish(packets.decoded(topic)):
            self._complain(f"PUBLISH to {topic[:200]!r}")
            return False
        if len(self._allowed) < _REMEMBERED:
            self._allowed.add(topic)
        return True

    def _subscribe(self, body: bytes) -> bytes | None:
        packet_id, filters = packets.read_subscribe(body, self._version)
        forbidden = [asked for asked in filters if not self._rights.may_subscribe(asked)]
        if not forbidden:
            return None
        self._complain(f"SUBSCRIBE to {forbidden[0][:200]!r}")
        return packets.refused_subscribe(self._version, packet_id, len(filters))


class Boundary:
    """Where packets end in what the broker sends, so that an answer of the gate's own never falls into one."""

    def __init__(self) -> None:
        self._rest = 0
        self._head = b""

    @property
    def between(self) -> bool:
        """Whether the last byte seen ended a packet."""
        return self._rest == 0 and not self._head

    def take(self, data: bytes) -> int | None:
        """The last place in these bytes where one packet ends and another begins; None where there is none."""
        at, last, size = 0, None, len(data)
        if self.between:
            last = 0
        while at < size:
            if self._rest:
                step = min(self._rest, size - at)
                self._rest -= step
                at += step
            else:
                self._head += data[at : at + 1]
                at += 1
                if len(self._head) == 1 or self._head[-1] & 0x80:
                    continue
                self._rest = (packets.length(self._head, 1) or (0, 0))[0]
                self._head = b""
            if not self._rest:
                last = at
        return last
