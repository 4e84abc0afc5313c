"""What gateways remember over a restart: the newest time each has handed over, and the storms there have been."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from sensors.simulator.field import RECORD, record_start
from tongluo.errors import SettingsError

STORM_ECHO: Final = timedelta(hours=3)  # as long as the shortest rainstorm signal looks back


class Mark(msgspec.Struct):
    """Where a gateway stands: event time of its newest acknowledged reading and the next reading's number."""

    newest: datetime
    seq: int


class _File(msgspec.Struct):
    gateways: dict[str, Mark] = {}
    runs: int = 0
    storms: list[datetime] = []


class Memory:
    """Kept in a file when there is one, written whole and swapped in after each acknowledged message."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises SettingsError when the file is not ours or cannot be written."""
        self._path = path
        self._file = _read(path) if path is not None and path.exists() else _File()
        self._write()

    @property
    def runs(self) -> int:
        """Storms told so far, over all runs."""
        return self._file.runs

    def mark(self, gateway: str) -> Mark | None:
        return self._file.gateways.get(gateway)

    def told_until(self) -> datetime | None:
        """The newest event time any gateway has handed over."""
        return max((mark.newest for mark in self._file.gateways.values()), default=None)

    def fresh(self, anchor: datetime) -> bool:
        """Whether the whole record before T0 is still untold, so that rain may be put into it."""
        until = self.told_until()
        return until is None or until <= anchor - RECORD

    def record_after(self, gateway: str, anchor: datetime) -> datetime:
        """From when on the gateway owes its record."""
        mark = self.mark(gateway)
        return record_start(anchor) if mark is None else max(mark.newest, record_start(anchor))

    def storms_echoing(self, anchor: datetime) -> int:
        """Storms so recent that their rain still counts in the three hours before T0."""
        return sum(storm > anchor - STORM_ECHO for storm in self._file.storms)

    def note_storm(self, anchor: datetime) -> None:
        self._file.runs += 1
        self._file.storms = [*(storm for storm in self._file.storms if storm > anchor - STORM_ECHO), anchor]
        self._write()

    def note_sent(self, gateway: str, newest: datetime, seq: int) -> None:
        self._file.gateways[gateway] = Mark(newest, seq)
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        beside = self._path.with_name(self._path.name + ".new")
        try:
            beside.write_bytes(msgspec.json.encode(self._file))
            os.replace(beside, self._path)
        except OSError as error:
            raise SettingsError(f"--memory {self._path}: {error}; name a file that can be written") from error


def _read(path: Path) -> _File:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"--memory {path}: {error}; delete the file to begin anew") from error
