"""What the centre answers: M2 confirms a report, M3 confirms its packets or asks for one again (tables 21 and 23).

M1 expects no answer and cannot be told from M2 on the wire; such a station does not listen. M4 answers questions, and
we ask none.
"""

from datetime import datetime
from typing import Final

import msgspec

from services.ingest.decoders.sl651.assembly import Missing
from services.ingest.decoders.sl651.body import BEIJING, Report
from services.ingest.decoders.sl651.frames import ACK, EOT, ESC, ETB, NAK, Frame, Packet, encode
from services.ingest.decoders.sl651.observations import KEEP_ALIVE

# A station that lost more than this had better send its report anew.
MOST_ASKED: Final = 32


def acknowledge(report: Report, now: datetime, stay_online: bool = False) -> bytes:
    """The frame that tells a station its report is safe; empty for a keep-alive, which has no answer (6.6.4.2).

    ETB announces more, and is answered ACK. After ETX the station may hang up (EOT), or with `stay_online` is to be
    ready for commands another ten minutes (ESC). The serial number is the report's own; `now` is aware.
    """
    frame = report.frame
    if frame.function == KEEP_ALIVE:
        return b""
    end = ACK if frame.end == ETB else ESC if stay_online else EOT
    return _answer(frame, frame.packet, report.serial, end, now)


def request(missing: Missing, now: datetime) -> bytes:
    """One NAK frame for each packet that is missing."""
    return b"".join(
        _answer(missing.like, Packet(missing.total, number), missing.serial, NAK, now)
        for number in missing.numbers[:MOST_ASKED]
    )


def _answer(frame: Frame, packet: Packet | None, serial: int, end: int, now: datetime) -> bytes:
    sent = bytes.fromhex(f"{now.astimezone(BEIJING):%y%m%d%H%M%S}")
    answer = msgspec.structs.replace(
        frame, downlink=True, packet=packet, body=serial.to_bytes(2) + sent, end=end, raw=b""
    )
    return encode(answer)
