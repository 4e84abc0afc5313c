"""One metric's stations as columns: rows made as stations appear, batches judged, changes of level told."""

import math
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np

from services.rules.catalogue.model import Catalogue
from services.rules.stations import plan as plans
from services.rules.stations import state, sums, told, values
from services.rules.stations.memory import Memory
from services.rules.stations.plan import Plan
from services.rules.stations.state import Batch
from services.rules.stations.told import LIVE, SLOTS, Floats, Ints, Sheet
from tongluo.region import County, Site, Station, StationKind

_DAY_US: Final = state.DAY_US


class Change(msgspec.Struct, frozen=True, gc=False):
    """A judged item's level at a station changed at `time_us`. `nth` is the reading of the batch that showed it."""

    metric: str
    station: str
    doubtful: bool
    judged: int
    time_us: int
    level: int
    line: int
    late: bool
    count: int
    first_us: int
    nth: int
    values: tuple[float, ...]
    reach: float
    release: float


class Packed(msgspec.Struct):
    """A table as a snapshot keeps it. `shape` says of which rules its columns are."""

    shape: str
    stations: list[str]
    doubted: dict[int, int]
    columns: dict[str, bytes]
    memory: dict[str, bytes]


class Table:
    """Rows of stations under one plan. `judge` changes it and returns what changed; no clock, no I/O."""

    def __init__(self, plan: Plan, catalogue: Catalogue, county: County | None) -> None:
        self.plan = plan
        self.rows: dict[str, int] = {}
        self._names: list[str] = []
        # The row that takes a station's suspect readings too, by its own row; None where a row is such a one.
        self._doubted: dict[int, int] = {}
        self._doubts = np.zeros(0, np.int64)
        self._memory = Memory()
        self._layout: Any = plans.sum_layout(plan) if plan.summed else plans.value_layout(plan)
        self._kernel: Any = sums.judge if plan.summed else values.judge
        self._fresh = self._fresh_state()
        self._state = np.zeros((0, SLOTS, len(self._fresh)), np.int64)
        self._told = np.zeros((0, len(plan.judged)), np.int64)
        self._now = np.zeros(len(plan.gauges))
        self._sheet: Sheet = told.sheet(len(plan.gauges))
        self._profiles: dict[tuple[tuple[float, ...], ...], int] = {}
        # Of stations of which no table says anything, by which rules judge their sites.
        self._alike: dict[tuple[bool, ...], int] = {}
        self._profile = np.zeros(0, np.int64)
        self._interval = np.zeros(0, np.int64)
        self._parameter = np.zeros((0, len(plan.parameters)))
        self.register(catalogue, county)

    # -- stations

    def register(self, catalogue: Catalogue, county: County | None) -> None:
        """Take up the thresholds and parameters that stations have now."""
        self._catalogue, self._county = catalogue, county
        self._profiles.clear()
        self._alike.clear()
        self._drawn = False
        for row in range(len(self._names)):
            self._describe(row)

    def row(self, name: str) -> int:
        """The station's row; made when it is heard for the first time."""
        found = self.rows.get(name)
        if found is None:
            found = self.rows[name] = self._new_row(name)
        return found

    def _new_row(self, name: str) -> int:
        row = len(self._names)
        self._names.append(name)
        if row >= len(self._state):
            self._more_rows(max(16, 2 * row))
        self._state[row, :] = self._fresh
        self._describe(row)
        return row

    def _more_rows(self, number: int) -> None:
        """Room for as many rows."""
        self._state, self._told = _longer(self._state, number), _longer(self._told, number)
        self._profile, self._interval = _longer(self._profile, number), _longer(self._interval, number)
        self._parameter, self._doubts = _longer(self._parameter, number), _longer(self._doubts, number, -1)
        self._memory.rows(number)

    def _describe(self, row: int) -> None:
        name = self._names[row]
        county = self._county
        station = (county.stations.get(name) if county is not None else None) or _stranger(name)
        site = county.sites.get(station.site) if county is not None else None
        alike = plans.alike(self.plan, self._catalogue, station, site)
        if alike is not None and alike in self._alike:
            self._profile[row] = self._alike[alike]
        else:
            self._profile[row] = self._new_profile(station, site)
            if alike is not None:
                self._alike[alike] = int(self._profile[row])
        self._interval[row] = station.interval_s * 1_000_000
        if self.plan.parameters:
            self._parameter[row] = plans.parameters(self.plan, self._catalogue, station)

    def _new_profile(self, station: Station, site: Site | None) -> int:
        """Which of the profiles is a station's."""
        lines = plans.profile(self.plan, self._catalogue, station, site)
        # NaN is not itself: by its text two profiles without a line are the same.
        key = tuple(tuple(-math.inf if math.isnan(x) else x for x in line) for line in lines)
        if key not in self._profiles:
            self._profiles[key] = len(self._profiles)
            self._drawn = False
        return self._profiles[key]

    def _draw(self) -> None:
        """The profiles as arrays."""
        drawn = np.array(list(self._profiles), float).reshape(len(self._profiles), len(self.plan.lines), 6)
        drawn[np.isneginf(drawn)] = np.nan
        self._reach, self._release = (
            np.ascontiguousarray(drawn[:, :, :3]),
            np.ascontiguousarray(drawn[:, :, 3:]),
        )
        if not self.plan.summed:
            self._reach, self._release = self._reach[:, :, 1].copy(), self._release[:, :, 1].copy()
        self._drawn = True

    def _fresh_state(self) -> Ints:
        """Of a station that was never heard."""
        lines = len(self.plan.lines)
        if not self.plan.summed:
            fresh = np.zeros(values.LINES + 3 * lines, np.int64)
            fresh[values.LINES :: 3] = told.NOT_HELD
            fresh[values.LINES + 2 :: 3] = told.NOT_HELD
        else:
            at = self._layout.at
            fresh = np.zeros(int(at[state.TRIGGERS]) + lines, np.int64)
            fresh[at[state.TRIGGERS] :] = told.NOT_HELD
            fresh[state.NEXT] = fresh[state.KEPT] = state.LONG_AGO
            fresh[at[state.WINDOWS] + state.LEAVES : at[state.EVENTS] : 3] = told.LAST_TIME
            for nth, day_starts in enumerate(self._layout.day_starts):
                fresh[at[state.SOILS] + 3 * nth] = day_starts - 200_000 * _DAY_US
        fresh[state.NEWEST] = state.LONG_AGO
        return fresh

    # -- judging

    def judge(self, rows: Ints, times: Ints, values_: Floats, backfill: Ints, suspect: Ints) -> list[Change]:
        """Readings in the order in which they came; their own unit. Suspect ones only count with a witness (votes.py)."""
        nth: Ints | None = None
        if suspect.any() or self._doubted:
            rows, nth = self._shared(rows, suspect)
            times, values_, backfill = times[nth], values_[nth], backfill[nth]
        if self.plan.summed:
            values_ = np.rint(values_ * plans.UNITS_PER_MM)
        batch = Batch(rows, times, values_, backfill)
        found: list[Change] = []
        start, why = 0, told.FULL
        while why != told.DONE:
            start, why = self._kernel(
                self._layout, self._columns(), self._memory.rings, batch, start, self._sheet
            )
            found += self._changes(nth)
            if why == told.ROOM:
                self._make_room(int(rows[start]))
        return found

    def _shared(self, rows: Ints, suspect: Ints) -> tuple[Ints, Ints]:
        """Each reading to its station's row, if it is trusted, and to the row of its doubts, if there is one."""
        for row in np.unique(rows[suspect != 0]):
            if self._doubts[row] < 0:
                self._doubt(int(row))
        doubts = self._doubts[rows]
        to = np.stack([np.where(suspect != 0, -1, rows), doubts], axis=1).reshape(-1)
        nth = np.repeat(np.arange(len(rows)), 2)
        return to[to >= 0], nth[to >= 0]

    def _doubt(self, row: int) -> None:
        """A row beside a station's that takes its suspect readings too, beginning as the station is now."""
        name = self._names[row]
        twin = self._new_row(name)
        self._state[twin], self._told[twin] = self._state[row], self._told[row]
        first, tail = self._held(row)
        while self._memory.rings.mask[twin] + 1 < tail - first:
            self._memory.grow(twin, first, first)
        times, amounts = self._memory.entries(row, first, tail)
        rings = self._memory.rings
        at = rings.offset[twin] + (np.arange(first, tail) & rings.mask[twin])
        rings.times[at], rings.values[at] = times, amounts
        self._doubted[row] = twin
        self._doubts[row] = twin

    def _columns(self) -> state.Columns | values.Columns:
        if not self._drawn:
            self._draw()
        if self.plan.summed:
            return state.Columns(
                self._state, self._told, self._profile, self._interval, self._reach, self._release
            )
        return values.Columns(
            self._state, self._told, self._profile, self._parameter, self._reach, self._release, self._now
        )

    def _changes(self, nth: Ints | None) -> Iterator[Change]:
        number = int(self._sheet.number[0])
        self._sheet.number[0] = 0
        twins = set(self._doubted.values()) if number else set()
        for ints, floats in zip(
            self._sheet.ints[:number].tolist(), self._sheet.values[:number].tolist(), strict=True
        ):
            row, of = ints[told.ROW], ints[told.NTH]
            yield Change(
                self.plan.metric,
                self._names[row],
                row in twins,
                ints[told.RULE],
                ints[told.TIME],
                ints[told.LEVEL],
                ints[told.LINE],
                bool(ints[told.LATE]),
                ints[told.COUNT],
                ints[told.FIRST],
                of if nth is None else int(nth[of]),
                tuple(value / gauge.per_unit for value, gauge in zip(floats, self.plan.gauges, strict=False)),
                *self._line_at(row, ints[told.LINE], ints[told.SOIL]),
            )

    def _line_at(self, row: int, line: int, soil: int) -> tuple[float, float]:
        """Reach and release of a line at a station, in the indicator's unit; NaN for no line."""
        if line < 0:
            return np.nan, np.nan
        unit = self.plan.gauges[self.plan.lines[line].gauge].per_unit
        place = (self._profile[row], line, soil) if self.plan.summed else (self._profile[row], line)
        return float(self._reach[place]) / unit, float(self._release[place]) / unit

    def _held(self, row: int) -> tuple[int, int]:
        """Which entries a station still needs: from the first to before the last."""
        older, tail = self._state[row, told.OLDER], int(self._state[row, LIVE, state.TAIL])
        if not self.plan.summed:
            return int(older[values.HEAD]), tail
        heads = older[self._layout.at[state.WINDOWS] : self._layout.at[state.EVENTS] : 3]
        return int(min(older[state.TAIL], *heads)) if len(heads) else int(older[state.TAIL]), tail

    def _make_room(self, row: int) -> None:
        first, tail = self._held(row)
        self._memory.grow(row, first, tail)
        self._memory.tidy()

    def history(self, station: str) -> tuple[Ints, Floats]:
        """The readings held of a station: times (microseconds) and values in the metric's unit."""
        row = self.rows.get(station)
        if row is None:
            return np.zeros(0, np.int64), np.zeros(0)
        times, amounts = self._memory.entries(row, *self._held(row))
        return times, amounts / plans.UNITS_PER_MM if self.plan.summed else amounts

    @property
    def shape(self) -> str:
        """What the columns mean; the same for the same rules."""
        return shape(self.plan)

    def newest(self, row: int) -> int:
        """A station's clock (microseconds)."""
        return int(self._state[row, LIVE, state.NEWEST])

    def told(self, row: int, judged: int) -> int:
        """The level last told of a judged item."""
        return int(self._told[row, judged])

    def hold(self, row: int, judged: int, level: int, since_us: int) -> None:
        """Keep a level that held under other rules, calm since then, if it can be told here and is not reached."""
        lines = [nth for nth, line in enumerate(self.plan.lines) if line.judged == judged]
        most = max((n for n in lines if self.plan.lines[n].level.rank <= level),
                   key=lambda n: self.plan.lines[n].level.rank, default=None)  # fmt: skip
        if most is None or self.plan.lines[most].level.rank <= self.told(row, judged):
            return
        place = int(self._layout.at[state.TRIGGERS]) + most if self.plan.summed else values.LINES + 3 * most
        self._state[row, :, place] = since_us
        self._state[row, :, state.HELD] += 1
        self._told[row, judged] = self.plan.lines[most].level.rank

    # -- keeping

    def pack(self) -> Packed:
        """For a snapshot."""
        number = len(self._names)
        columns = {"state": self._state[:number].tobytes(), "told": self._told[:number].tobytes()}
        return Packed(
            shape(self.plan), list(self._names), dict(self._doubted), columns, self._memory.packed()
        )

    def unpack(self, packed: Packed) -> None:
        """Take over what `pack` gave, of a plan of the same shape."""
        number = len(packed.stations)
        twins = set(packed.doubted.values())
        self._names = list(packed.stations)
        self.rows = {name: row for row, name in enumerate(self._names) if row not in twins}
        self._doubted = dict(packed.doubted)
        self._state = np.frombuffer(packed.columns["state"], np.int64).reshape(number, SLOTS, -1).copy()
        self._told = np.frombuffer(packed.columns["told"], np.int64).reshape(number, -1).copy()
        self._memory.unpack(packed.memory)
        self._profile, self._interval = np.zeros(number, np.int64), np.zeros(number, np.int64)
        self._parameter = np.zeros((number, len(self.plan.parameters)))
        self._doubts = np.full(number, -1, np.int64)
        for row, twin in self._doubted.items():
            self._doubts[row] = twin
        for row in range(number):
            self._describe(row)


def _stranger(name: str) -> Station:
    """A station that is not registered: judged by the rules' own lines."""
    return Station(name, name, StationKind.RAIN_GAUGE, "", "", 0.0, 0.0, ())


def _longer(column: np.ndarray[Any, Any], number: int, fill: int = 0) -> np.ndarray[Any, Any]:
    """With as many rows, the new ones filled."""
    more = np.full((number - len(column), *column.shape[1:]), fill, column.dtype)
    return np.concatenate([column, more])


def shape(plan: Plan) -> str:
    """What the columns of a table mean; the same for the same rules."""
    return "/".join(
        (plan.metric, *(f"{one.rule.version}:{one.item.id}" for one in plan.judged), *map(_line, plan.lines))
    )


def _line(line: plans.Line) -> str:
    return f"{line.gauge}{line.level.value[0]}{line.side.value[0]}"


def bring_over(new: Table, old: Table) -> list[Change]:
    """Fill a table of changed rules with what one of the rules before knows: the readings still held are judged again.

    Levels that hold stay held, where the item is still there and has a line of that level: a change of rules gives no
    all-clear in the middle of a storm. Returns what each station then says, to be told.
    """
    found: list[Change] = []
    index = {(one.rule.id, one.item.id): nth for nth, one in enumerate(new.plan.judged)}
    same = [(before, index.get((one.rule.id, one.item.id), -1)) for before, one in enumerate(old.plan.judged)]
    for name, row in old.rows.items():
        times, values_ = old.history(name)
        newest = old.newest(row)
        if new.plan.summed and (len(times) == 0 or times[-1] < newest):
            times, values_ = np.append(times, newest), np.append(values_, 0.0)
        now = new.row(name)
        none = np.zeros(len(times), np.int64)
        new.judge(np.full(len(times), now, np.int64), times, values_, none, none)
        for before, after in same:
            if after >= 0:
                new.hold(now, after, old.told(row, before), newest)
        found += [
            Change(
                new.plan.metric,
                name,
                False,
                nth,
                newest,
                new.told(now, nth),
                -1,
                False,
                len(times),
                newest,
                0,
                (),
                np.nan,
                np.nan,
            )
            for nth in range(len(new.plan.judged))
        ]
    return found
