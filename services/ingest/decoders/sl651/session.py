"""One conversation with a telemetry station, or one message of it: bytes in, reports and refusals out."""

from datetime import datetime

from services.ingest.decoders.sl651 import body
from services.ingest.decoders.sl651.assembly import Assembly, Missing
from services.ingest.decoders.sl651.body import Report
from services.ingest.decoders.sl651.frames import Frame, FrameReader
from services.ingest.observation import Refused
from tongluo.hazards import Words

Item = Report | Missing | Refused


class Session:
    """Frames read, packets put together, bodies taken apart. `now` is when the bytes arrived."""

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._assembly = Assembly()

    @property
    def waiting(self) -> bool:
        """Whether something unfinished is held: a part of a frame, or of a report in packets."""
        return self._reader.waiting or self._assembly.waiting

    def take(self, data: bytes, now: datetime) -> list[Item]:
        """What these bytes complete, and what has been waited for long enough."""
        return [*self._items(self._reader.feed(data), now), *self._assembly.overdue(now)]

    def stalled(self, now: datetime) -> list[Item]:
        """Nothing has come for a while: a frame that is not finished by now will not be, packets are asked for again."""
        return [*self._items(self._reader.finish(), now), *self._assembly.overdue(now)]

    def finish(self, now: datetime) -> list[Item]:
        """Nothing more will come."""
        return [*self._items(self._reader.finish(), now), *self._assembly.finish()]

    def _items(self, frames: list[Frame | Refused], now: datetime) -> list[Item]:
        items: list[Item] = []
        for frame in frames:
            if isinstance(frame, Refused):
                items.append(frame)
            elif frame.downlink:
                items.append(_downlink(frame))
            else:
                whole = self._assembly.take(frame, now)
                items += [body.read(found) if isinstance(found, Frame) else found for found in whole]
        return items


def _downlink(frame: Frame) -> Refused:
    return Refused(
        "sl651_downlink",
        Words(
            f"这是中心站 {frame.centre} 发给遥测站 {frame.station} 的下行帧，不是遥测站的报文",
            f"this is a frame of centre {frame.centre} to station {frame.station}, not a report of the station",
        ),
        frame.raw,
    )
