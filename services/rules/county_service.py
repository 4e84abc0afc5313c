"""The county-wide rules role: signals from the log, findings to the log, and the ticks by which time stands in it."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.rules import groups
from services.rules.catalogue.model import Catalogue
from services.rules.county.judge import CountyJudge, CountyState
from services.rules.runner import ADVANCE_EVERY_S, PATIENCE_S, SNAPSHOT_EVERY, Place, Runner
from tongluo import wire
from tongluo.clock import Clock
from tongluo.errors import WireError
from tongluo.log.port import Entry, Log, Stored
from tongluo.region import County
from tongluo.signal import Tick
from tongluo.supervise import Pulse
from tongluo.topics import COUNTY_KEY, FINDINGS, SIGNALS

logger = logging.getLogger(__name__)

GROUP: Final = groups.COUNTY
# Also when nothing waits for time: what comes of the field is held against the newest tick (CountyJudge).
TICK_EVERY: Final = timedelta(minutes=1)
# A tick that was appended is on its way back to us: not asked for again at once.
ON_ITS_WAY_S: Final = 0.2

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(CountyState)


class CountyWork:
    """The judgement as the runner runs it; made anew when catalogue or county have changed."""

    def __init__(self, catalogue: Callable[[], Catalogue], county: Callable[[], County]) -> None:
        self._catalogue = catalogue
        self._county = county
        self._made_of = (catalogue(), county())
        self._made = CountyJudge(*self._made_of)

    def judgement(self) -> CountyJudge:
        """By the catalogue and the county as they are now."""
        catalogue, county = self._catalogue(), self._county()
        if catalogue is not self._made_of[0] or county is not self._made_of[1]:
            self._made_of = (catalogue, county)
            self._made = CountyJudge(catalogue, county)
        return self._made

    def restore(self, snapshot: bytes | None) -> CountyState:
        if snapshot is None:
            return CountyState()
        try:
            return _decoder.decode(snapshot)
        except msgspec.DecodeError as error:
            raise WireError(str(error)) from error

    def encode(self, state: CountyState) -> bytes:
        return _encoder.encode(state)

    def judge(self, state: CountyState, entry: Stored) -> tuple[list[Entry], int]:
        try:
            signal = wire.SIGNAL.decode(entry.value)
        except WireError as error:
            logger.error("entry %d of the signals is not judged: %s", entry.offset, error)
            return [], 0
        found = self.judgement().judge(state, signal)
        return [Entry(FINDINGS, one.site, wire.FINDING.encode(one), one.time) for one in found], 1


class CountyRules:
    """Judges until cancelled, and lets time pass: while the partition is ours, a Tick is appended when something is due.

    `ticks` is False in replay mode, where others say what time it is. So time stands in the log, and whoever judges it
    again finds the same.
    """

    def __init__(
        self,
        log: Log,
        work: CountyWork,
        clock: Clock,
        *,
        ticks: bool,
        snapshot_every: int = SNAPSHOT_EVERY,
        advance_every_s: float = ADVANCE_EVERY_S,
    ) -> None:
        self._log = log
        self._work = work
        self._clock = clock
        self._ticked: datetime | None = None
        self._runner = Runner(
            log,
            Place(GROUP, SIGNALS, "signals"),
            work,
            tend=self._tick if ticks else None,
            snapshot_every=snapshot_every,
            advance_every_s=advance_every_s,
        )

    async def run(self, pulse: Pulse) -> None:
        self._ticked = None
        await self._runner.run(pulse)

    async def _tick(self, states: Sequence[CountyState]) -> float:
        """Append a Tick if something waits for one; returns in how many seconds to look again."""
        if not states:
            return PATIENCE_S
        now = self._clock.now()
        dues = [self._work.judgement().due(state) for state in states]
        due = min((time for time in dues if time is not None), default=None)
        regular = self._ticked + TICK_EVERY if self._ticked is not None else now
        wanted = regular if due is None or self._is_coming(due) else min(due, regular)
        if wanted > now:
            return (wanted - now).total_seconds()
        await self._log.append([Entry(SIGNALS, COUNTY_KEY, wire.SIGNAL.encode(Tick(now)), now)])
        self._ticked = now
        return ON_ITS_WAY_S

    def _is_coming(self, due: datetime) -> bool:
        """Whether a tick of ours that brings it is already in the log."""
        return self._ticked is not None and due <= self._ticked
