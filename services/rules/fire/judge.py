"""Forest fire levels of a county's sites, from sightings and weather: pure judgement, one signal at a time."""

from datetime import datetime

from services.rules.catalogue.model import FireRule
from services.rules.fire.report import Telling, evidence
from services.rules.fire.scene import Scene, newcomers, placed
from services.rules.fire.state import Fire, FireState, SiteTold
from services.rules.fire.tracks import CameraTracks, Tracker
from services.rules.fire.weather import FRESH_US, passed_noon
from tongluo.detection import Detection
from tongluo.finding import Finding
from tongluo.readings import microseconds as since_epoch_us
from tongluo.readings import moment
from tongluo.region import County
from tongluo.signal import Sighting, Signal, Weather

__all__ = ["FireJudge", "FireState"]


class FireJudge:
    """Applies one rule to one county. `judge` and `pass_time` change the state they are given; no clock, no I/O.

    Time passes by `pass_time` only: one camera's clock, or its back-fill, ends nothing that another sees.
    """

    def __init__(self, rule: FireRule, county: County) -> None:
        self.rule = rule
        self.county = county
        self._tracker = Tracker(rule)

    def judge(self, state: FireState, signal: Signal) -> list[Finding]:
        """The changes of level a sighting or a noon's weather brings; other signals bring none.

        What a camera's own sighting shows to have ended before it, is given up first and at its own time.
        """
        match signal:
            case Sighting(detection):
                return self._seen(state, detection)
            case Weather():
                return self._noon(state, signal)
            case _:
                return []

    def pass_time(self, state: FireState, now: datetime) -> list[Finding]:
        """What ran out by `now`, each at its own event time: fires that nobody sees any more, weather that is old."""
        until = since_epoch_us(now)
        found: list[Finding] = []
        while (at := self._due(state)) is not None and at <= until:
            state.passed = at
            found += self._look(state, at)
        state.passed = max(state.passed, until)
        return found

    def due(self, state: FireState) -> datetime | None:
        """When `pass_time` would next change something, if nothing comes before."""
        at = self._due(state)
        return moment(at) if at is not None else None

    @staticmethod
    def _due(state: FireState) -> int | None:
        if not state.fires:
            return None
        ends = [fire.ends for fire in state.fires]
        old = [noon.time + FRESH_US for noon in state.weather.values() if noon.time + FRESH_US > state.passed]
        return min(ends + old)

    def _seen(self, state: FireState, detection: Detection) -> list[Finding]:
        if placed(self.county, detection.camera) is None or self._tracker.masked(detection):
            return []
        camera = state.cameras.setdefault(detection.camera, CameraTracks())
        time = since_epoch_us(detection.time)
        late = time < camera.newest
        found = self._ended_before(state, detection.camera, time)
        if self._tracker.take(camera, detection):
            found += self._look(state, time, detection.camera, late)
        return found

    def _ended_before(self, state: FireState, name: str, time: int) -> list[Finding]:
        """What a camera's own clock has ended by `time`, each at its own moment."""
        its = {one.ends for one in state.fires if any(member.camera == name for member in one.members)}
        found: list[Finding] = []
        for end in sorted(end for end in its if end <= time):
            state.cameras[name].newest = max(state.cameras[name].newest, end)
            found += self._look(state, end)
        return found

    def _noon(self, state: FireState, weather: Weather) -> list[Finding]:
        if placed(self.county, weather.station) is None:
            return []
        noon = passed_noon(state.weather.get(weather.station), weather, self.rule.weather_start)
        if noon is None:
            return []
        state.weather[weather.station] = noon
        return self._look(state, noon.time)

    def _look(self, state: FireState, time: int, camera: str = "", late: bool = False) -> list[Finding]:
        """Bring fires to the tracks as they are, and tell what changed at `time`; `camera` is the one that saw something."""
        scene = Scene(self._tracker, self.county, state)
        state.fires = [fire for fire in state.fires if scene.tracks(fire)]
        for member in newcomers(scene, state.fires):
            state.count += 1
            site = self.county.stations[member.camera].site
            state.fires.append(Fire(state.count, site, [member]))
        moved = _unite(state, scene, camera) if camera else {}
        for fire in state.fires:
            tracks = scene.tracks(fire)
            fire.members = [member for member, _ in tracks]
            fire.ends = max(self._tracker.end(track) for _, track in tracks)
            if any(member.camera == camera for member in fire.members):
                fire.fix = scene.position(fire) or fire.fix
        return [
            finding
            for site in sorted({fire.site for fire in state.fires} | state.sites.keys())
            for finding in self._tell(state, scene, Telling(site, time, late, moved.get(site)))
        ]

    def _tell(self, state: FireState, scene: Scene, telling: Telling) -> list[Finding]:
        """The finding of a site whose level is not the one last told. Findings of one site follow each other in time."""
        site = state.sites.setdefault(telling.site, SiteTold())
        fires = [fire for fire in state.fires if fire.site == telling.site]
        level = max((scene.level(fire) for fire in fires), default=None)
        if level is site.level:
            return []
        site.told, site.level = max(telling.time, site.told + 1), level
        time = moment(site.told)
        said = evidence(scene, fires, telling, time)
        return [Finding(self.rule.id, self.rule.hazard, telling.site, time, level, said)]


def _unite(state: FireState, scene: Scene, camera: str) -> dict[str, Fire]:
    """Make one of those fires that the camera's bearings show to be one; the older goes on, and takes the other's tracks.

    Where a fire could be one with several, it is with the one first seen at nearly the same time: two cameras that see
    two fires have four crossings. Returns the fires that go on, by the site of those that do not.
    """
    moved: dict[str, Fire] = {}
    while True:
        pairs = [
            (scene.apart_in_time(one, other), min(one.id, other.id), max(one.id, other.id))
            for one in state.fires
            if any(member.camera == camera for member, _ in scene.tracks(one))
            for other in state.fires
            if one.id != other.id and scene.one_fire(one, other)
        ]
        if not pairs:
            return moved
        _, older, newer = min(pairs)
        [first] = [fire for fire in state.fires if fire.id == older]
        [second] = [fire for fire in state.fires if fire.id == newer]
        first.members += second.members
        first.fix = scene.position(first) or first.fix or second.fix
        state.fires.remove(second)
        moved = {site: first if fire is second else fire for site, fire in moved.items()}
        if first.site != second.site:
            moved[second.site] = first
