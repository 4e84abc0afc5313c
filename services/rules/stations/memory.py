"""The readings that stations' windows hold: rings in one pool, each as large as its station needs."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.rules.stations.compiled import compiled, inlined
from services.rules.stations.told import Floats, Ints

FIRST_ROOM: Final = 16


class Rings(NamedTuple):
    """Times (microseconds) and values of all stations. Entry `n` of a station, counted from its first ever, stands at
    `offset + (n & mask)`; a room is a power of two."""

    times: Ints
    values: Floats
    offset: Ints
    mask: Ints


@inlined
def copy_slot(state: NDArray[np.int64], row: int, of: int, to: int) -> None:
    """One slot of a station's state becomes as another."""
    for word in range(state.shape[2]):
        state[row, to, word] = state[row, of, word]


@inlined
def put(rings: Rings, row: int, nth: int, time: int, value: float) -> None:
    """Write an entry."""
    place = rings.offset[row] + (nth & rings.mask[row])
    rings.times[place] = time
    rings.values[place] = value


@compiled
def place_of(rings: Rings, row: int, first: int, tail: int, time: int) -> int:
    """Where an entry of `time` belongs among those from `first` to before `tail`; -1 if there is one of that time."""
    nth = tail
    while nth > first:
        at = rings.times[rings.offset[row] + ((nth - 1) & rings.mask[row])]
        if at == time:
            return -1
        if at < time:
            break
        nth -= 1
    return nth


@compiled
def insert(rings: Rings, row: int, nth: int, tail: int, time: int, value: float) -> None:
    """Put an entry at `nth`; those from there to `tail` move up. There must be room."""
    base, mask = rings.offset[row], rings.mask[row]
    for later in range(tail, nth, -1):
        to, of = base + (later & mask), base + ((later - 1) & mask)
        rings.times[to] = rings.times[of]
        rings.values[to] = rings.values[of]
    put(rings, row, nth, time, value)


class Memory:
    """Makes room in the pool. `rings` changes when it grows: take it anew after every call."""

    def __init__(self) -> None:
        empty = np.zeros(0, np.int64)
        self.rings = Rings(np.zeros(1024, np.int64), np.zeros(1024), empty, empty.copy())
        self._used = 0
        self._rooms = 0

    def rows(self, number: int) -> None:
        """As many stations; new ones begin with a little room."""
        rings, known = self.rings, len(self.rings.offset)
        fresh = number - known
        offset = np.concatenate([rings.offset, self._used + FIRST_ROOM * np.arange(fresh, dtype=np.int64)])
        mask = np.concatenate([rings.mask, np.full(fresh, FIRST_ROOM - 1, np.int64)])
        self._reserve(FIRST_ROOM * fresh)
        self._rooms += FIRST_ROOM * fresh
        self.rings = self.rings._replace(offset=offset, mask=mask)

    def grow(self, row: int, first: int, tail: int) -> None:
        """Twice the room for one station, whose entries `first` to before `tail` are kept."""
        old = self.rings
        room = int(old.mask[row]) + 1
        nth = np.arange(first, tail)
        times, values = self.entries(row, first, tail)
        start = self._used
        self._reserve(2 * room)
        rings = self.rings
        rings.offset[row], rings.mask[row] = start, 2 * room - 1
        to = start + (nth & (2 * room - 1))
        rings.times[to], rings.values[to] = times, values
        self._rooms += room

    def entries(self, row: int, first: int, tail: int) -> tuple[Ints, Floats]:
        """Copies of a station's entries `first` to before `tail`."""
        rings = self.rings
        at = rings.offset[row] + (np.arange(first, tail) & rings.mask[row])
        return rings.times[at], rings.values[at]

    def tidy(self) -> None:
        """Put the rings side by side again when most of the pool is what they have left behind."""
        if self._used <= 4096 or self._used < 2 * self._rooms:
            return
        rings = self.rings
        rooms = rings.mask + 1
        offset = np.concatenate([[0], np.cumsum(rooms)[:-1]]).astype(np.int64)
        times, values = np.zeros(int(rooms.sum()), np.int64), np.zeros(int(rooms.sum()))
        _move(rings.times, rings.values, rings.offset, rooms, times, values, offset)
        self.rings, self._used = Rings(times, values, offset, rings.mask), len(times)

    def _reserve(self, more: int) -> None:
        self._used += more
        size = len(self.rings.times)
        if self._used <= size:
            return
        while size < self._used:
            size = size + max(size // 2, 1024)
        times, values = np.zeros(size, np.int64), np.zeros(size)
        known = len(self.rings.times)
        times[:known], values[:known] = self.rings.times, self.rings.values
        self.rings = self.rings._replace(times=times, values=values)

    def packed(self) -> dict[str, bytes]:
        """What a snapshot keeps."""
        self.tidy()
        rings = self.rings
        return {
            "times": rings.times[: self._used].tobytes(),
            "values": rings.values[: self._used].tobytes(),
            "offset": rings.offset.tobytes(),
            "mask": rings.mask.tobytes(),
        }

    def unpack(self, packed: dict[str, bytes]) -> None:
        """Take over what `packed` gave."""
        times = np.frombuffer(packed["times"], np.int64).copy()
        self.rings = Rings(
            times,
            np.frombuffer(packed["values"], np.float64).copy(),
            np.frombuffer(packed["offset"], np.int64).copy(),
            np.frombuffer(packed["mask"], np.int64).copy(),
        )
        self._used = len(times)
        self._rooms = int((self.rings.mask + 1).sum())


@compiled
def _move(
    times: Ints, values: Floats, offset: Ints, rooms: Ints, to_times: Ints, to_values: Floats, to: Ints
) -> None:
    for row in range(len(offset)):
        for nth in range(rooms[row]):
            to_times[to[row] + nth] = times[offset[row] + nth]
            to_values[to[row] + nth] = values[offset[row] + nth]
