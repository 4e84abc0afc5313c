"""How a gateway takes commands: it checks them, keeps the interval asked for until its end, and answers."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Final

from tongluo import sampling
from tongluo.region import Station
from tongluo.sampling import Answer, Command

FIXED: Final = "采样间隔由记录仪固定，不能更改 · the logger's interval is fixed"
# What can stand in the topic of an answer.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,300}")


class Obedience:
    """The intervals a gateway was asked to keep. `fixed` names the stations that cannot change theirs: a fault."""

    def __init__(
        self, stations: Mapping[str, Station], fixed: Collection[str], now: Callable[[], datetime]
    ) -> None:
        self._stations, self._fixed, self._now = stations, fixed, now
        self._asked: dict[str, Command] = {}

    def interval_s(self, station: Station, time: datetime) -> int:
        """What the station keeps at `time`: its own interval again once `until` has passed."""
        asked = self._asked.get(station.id)
        if asked is None or asked.until is None or asked.until <= time:
            return station.interval_s
        return asked.interval_s

    def take(self, payload: bytes) -> tuple[str, Answer] | None:
        """Do as a command says: its id and the answer, or None for what cannot be answered. Twice is harmless."""
        try:
            command = sampling.read_command(payload)
        except ValueError:
            return None
        if not _ID.fullmatch(command.id):
            return None
        return command.id, self._obey(command)

    def _obey(self, command: Command) -> Answer:
        station = self._stations.get(command.station)
        if station is None:
            return Answer(
                accepted=False, reason=f"{command.station[:64]}: 不归本网关 · not a station of mine"
            )
        if command.until is not None and command.until <= self._now():
            return Answer(accepted=False, reason="已过期 · over already", interval_s=station.interval_s)
        if command.station in self._fixed and command.interval_s != station.interval_s:
            return Answer(accepted=False, reason=FIXED, interval_s=station.interval_s)
        self._asked[command.station] = command
        return Answer(accepted=True, interval_s=self.interval_s(station, self._now()))
