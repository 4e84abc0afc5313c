"""One camera's sightings as tracks: what it sees in one direction, from the first sighting until it has been quiet.

Tracks follow from the sightings in order of time, whatever order they came in: those of the last `pair_slack` are kept
and told anew when one comes late.
"""

import math
from typing import Final

import msgspec

from services.rules.catalogue.model import FireRule
from services.rules.fire.bearings import between, masked
from tongluo.detection import Detection
from tongluo.duration import microseconds
from tongluo.readings import microseconds as since_epoch_us

# What one camera can make us remember, however much it says.
MOST_TRACKS: Final = 16
MOST_PENDING: Final = 512
MOST_RECENT: Final = 64
# Three times 0.35 is a little less than 1.05 in binary.
ROUNDING: Final = 1e-9

Key = tuple[int, str, str]


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """A sighting: time (microseconds), what it was taken for, the camera's name for it, azimuth (degrees), confidence.

    `nth` counts the camera's sightings as they came.
    """

    time: int
    kind: str
    name: str
    azimuth_deg: float
    confidence: float
    nth: int

    @property
    def key(self) -> Key:
        """Its identity within the camera, in order of time."""
        return self.time, self.kind, self.name


class Track(msgspec.Struct, array_like=True):
    """Sightings taken for one thing. `id` is the `nth` of the sighting that came first, of whatever time.

    `azimuth_deg`, `confidence` and `last` (microseconds) are of the newest sighting that counted, `confirmed` is the time
    of the one that confirmed it; until then `recent` holds those of the last `within`.
    """

    id: int
    name: str
    first: int
    azimuth_deg: float
    confidence: float
    last: int
    confirmed: int | None = None
    recent: list[Seen] = []


class CameraTracks(msgspec.Struct):
    """What is remembered of one camera: tracks as they are now, and as they were before the sightings in `pending`.

    `pending` are in order of time; `settled_to` is the last sighting before them, `newest` the newest time (microseconds).
    """

    current: list[Track] = []
    settled: list[Track] = []
    pending: list[Seen] = []
    settled_to: Key | None = None
    newest: int = 0
    count: int = 0


class Tracker:
    """Applies a rule's confirmation. No clock, no I/O."""

    def __init__(self, rule: FireRule) -> None:
        self.rule = rule
        self._within = microseconds(rule.within)
        self._quiet = microseconds(rule.quiet)
        self._slack = microseconds(rule.pair_slack)
        self._n = max(1, rule.n)
        self._keep = rule.keep_ratio * rule.confidence - ROUNDING

    def masked(self, detection: Detection) -> bool:
        """Whether a sighting lies in one of its camera's masks."""
        return masked(detection, self.rule.masks.get(detection.camera, ()))

    def take(self, camera: CameraTracks, detection: Detection) -> bool:
        """Whether a sighting counts: not behind a mask, not known, not more than `pair_slack` behind the newest."""
        if self.masked(detection):
            return False
        seen = Seen(
            time=since_epoch_us(detection.time),
            kind=detection.kind.value,
            name=detection.track or "",
            azimuth_deg=detection.azimuth_deg,
            confidence=detection.confidence,
            nth=camera.count,
        )
        late = seen.time < camera.newest - self._slack
        if late or (camera.settled_to is not None and seen.key <= camera.settled_to):
            return False
        if not self._insert(camera, seen):
            return False
        camera.count += 1
        camera.newest = max(camera.newest, seen.time)
        self._settle(camera)
        return True

    def end(self, track: Track) -> int:
        """When it will have been quiet for too long, if nothing more is seen (microseconds)."""
        return track.last + self._quiet

    def alive(self, camera: CameraTracks, now: int) -> list[Track]:
        """The confirmed tracks that have not ended by `now`, nor by the camera's own newest sighting."""
        clock = max(now, camera.newest)
        return [one for one in camera.current if one.confirmed is not None and self.end(one) > clock]

    def _insert(self, camera: CameraTracks, seen: Seen) -> bool:
        """Whether it changed anything. Of two that are said to be the same, the surer one counts."""
        after = len(camera.pending)
        while after and camera.pending[after - 1].key > seen.key:
            after -= 1
        same = camera.pending[after - 1] if after else None
        if same is not None and same.key == seen.key:
            if (-same.confidence, same.azimuth_deg) <= (-seen.confidence, seen.azimuth_deg):
                return False
            camera.pending[after - 1] = msgspec.structs.replace(seen, nth=same.nth)
        else:
            camera.pending.insert(after, seen)
            if after == len(camera.pending) - 1:
                self._follow(camera.current, seen)
                return True
        camera.current = [_copy(one) for one in camera.settled]
        for one in camera.pending:
            self._follow(camera.current, one)
        return True

    def _settle(self, camera: CameraTracks) -> None:
        """What nothing may come before any more need not be told again."""
        over = 0
        while over < len(camera.pending) and (
            camera.pending[over].time < camera.newest - self._slack
            or len(camera.pending) - over > MOST_PENDING
        ):
            self._follow(camera.settled, camera.pending[over])
            camera.settled_to = camera.pending[over].key
            over += 1
        del camera.pending[:over]

    def _follow(self, tracks: list[Track], seen: Seen) -> None:
        """Bring tracks to the next sighting in order of time."""
        tracks[:] = [one for one in tracks if not self._over(one, seen.time)]
        track = self._match(tracks, seen)
        if track is None:
            if len(tracks) >= MOST_TRACKS:
                tracks.pop(min(range(len(tracks)), key=lambda nth: _worth(tracks[nth])))
            track = Track(seen.nth, seen.name, seen.time, seen.azimuth_deg, seen.confidence, seen.time)
            tracks.append(track)
        track.id = min(track.id, seen.nth)
        if track.confirmed is None:
            self._consider(track, seen)
        elif seen.confidence >= self._keep:
            _renew(track, seen)

    def _over(self, track: Track, time: int) -> bool:
        """Whether a sighting at `time` is too late for a track."""
        if track.confirmed is None:
            return track.last + self._within < time
        return self.end(track) <= time

    def _match(self, tracks: list[Track], seen: Seen) -> Track | None:
        """The track of the camera's own name for it, else the nearest one within `overlap_deg`."""
        for one in tracks:
            if seen.name and one.name == seen.name:
                return one
        near = [
            (apart, nth)
            for nth, one in enumerate(tracks)
            if (apart := between(one.azimuth_deg, seen.azimuth_deg)) <= self.rule.overlap_deg
        ]
        return tracks[min(near)[1]] if near else None

    def _consider(self, track: Track, seen: Seen) -> None:
        """Confirm a track when the surest `n` of its sightings within `within` have the mean confidence asked for."""
        _renew(track, seen)
        track.recent.append(seen)
        most = max(MOST_RECENT, self._n)
        track.recent = [one for one in track.recent if one.time >= seen.time - self._within][-most:]
        surest = sorted((one.confidence for one in track.recent), reverse=True)[: self._n]
        if len(surest) < self._n or math.fsum(surest) / self._n < self.rule.confidence - ROUNDING:
            return
        track.confirmed = seen.time
        strong = [one for one in track.recent if one.confidence >= self._keep]
        _renew(track, strong[-1] if strong else seen)
        track.recent = []


def _renew(track: Track, seen: Seen) -> None:
    track.azimuth_deg, track.confidence, track.last = seen.azimuth_deg, seen.confidence, seen.time
    track.name = seen.name or track.name


def _worth(track: Track) -> tuple[bool, int, int]:
    """What is least is forgotten first."""
    return track.confirmed is not None, track.last, track.first


def _copy(track: Track) -> Track:
    """A track of its own; sightings never change and are shared."""
    return msgspec.structs.replace(track, recent=list(track.recent))
