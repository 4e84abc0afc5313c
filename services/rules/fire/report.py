"""What is said of a site's fires: evidence for a duty officer, in Chinese and English."""

from datetime import datetime
from typing import Final

import msgspec

from services.rules.fire.scene import Danger, Scene
from services.rules.fire.state import Fire, Member
from services.rules.fire.tracks import Track
from tongluo.finding import Evidence, Fix, Measure, Vote
from tongluo.hazards import Words
from tongluo.region import County

# What a finding carries at most, and what a sentence names at most.
MOST_VOTES: Final = 32
MOST_NAMED: Final = 4
_NUMERALS: Final = ("零", "一", "两", "三", "四", "五", "六", "七", "八", "九", "十")


class Telling(msgspec.Struct, frozen=True):
    """Which site is spoken of, at what time (microseconds); `late`: by a sighting that came after newer ones.

    `moved`: its fire has turned out to be this one, which is told at another site.
    """

    site: str
    time: int
    late: bool = False
    moved: Fire | None = None


def evidence(scene: Scene, fires: list[Fire], telling: Telling, time: datetime) -> Evidence:
    """The worst of a site's fires as evidence, with a vote of every track of all of them; none burning: why not."""
    rule = scene.rule
    if not fires:
        sentence, figure = _ended(scene, telling)
        return Evidence(
            rule.id, rule.version, telling.site, time, sentence, figure, source=rule.source, late=telling.late
        )
    worst = max(fires, key=lambda fire: (scene.level(fire), fire.fix is not None, -fire.id))
    tracks = _by_camera(scene.tracks(worst))
    danger = scene.danger(worst)
    return Evidence(
        rule=rule.id,
        rule_version=rule.version,
        station=next(iter(tracks)) if len(tracks) == 1 else telling.site,
        time=time,
        sentence=_sentence(scene.county, tracks, worst.fix, danger),
        figure=_figure(len(tracks), worst.fix),
        source=rule.source,
        measures=_measures(scene.county, tracks, danger),
        votes=_votes(scene, fires),
        late=telling.late,
        fix=worst.fix,
    )


def _by_camera(tracks: list[tuple[Member, Track]]) -> dict[str, Track]:
    """The newest track of each camera, in the order in which the cameras joined."""
    found: dict[str, Track] = {}
    for member, track in tracks:
        if member.camera not in found or track.last > found[member.camera].last:
            found[member.camera] = track
    return found


def _votes(scene: Scene, fires: list[Fire]) -> tuple[Vote, ...]:
    """What each camera says for itself: a fire at `single`, in this direction. Several fires are numbered."""
    votes = [
        Vote(
            member.camera,
            scene.rule.single,
            f"{track.azimuth_deg:.1f}°" if len(fires) == 1 else f"#{fire.id} {track.azimuth_deg:.1f}°",
        )
        for fire in fires
        for member, track in scene.tracks(fire)
    ]
    return tuple(votes[:MOST_VOTES])


def _measures(county: County, tracks: dict[str, Track], danger: Danger | None) -> tuple[Measure, ...]:
    found: list[Measure] = []
    for camera, track in list(tracks.items())[:MOST_VOTES]:
        name = _name(county, camera)
        azimuth, surely = (
            Words(f"{name}方位", f"azimuth from {name}"),
            Words(f"{name}置信度", f"confidence of {name}"),
        )
        found.append(Measure(f"azimuth:{camera}", azimuth, round(track.azimuth_deg, 1), "°"))
        found.append(Measure(f"confidence:{camera}", surely, round(track.confidence, 3), ""))
    if danger is not None:
        words = Words("火险天气指数", "fire weather index")
        found.append(Measure("fwi", words, round(danger.fwi, 1), ""))
    return tuple(found)


def _sentence(county: County, tracks: dict[str, Track], fix: Fix | None, danger: Danger | None) -> Words:
    named = [
        (_name(county, camera), track.azimuth_deg) for camera, track in list(tracks.items())[:MOST_NAMED]
    ]
    more = len(tracks) - len(named)
    zh = f"{_count(len(tracks))}台摄像机发现烟火：" + "、".join(
        f"{name}方位{deg:.0f}°" for name, deg in named
    )
    zh += "等" if more else ""
    cameras = "camera sees" if len(tracks) == 1 else "cameras see"
    en = f"{len(tracks)} {cameras} smoke or fire: " + ", ".join(
        f"{name} at {deg:.0f}°" for name, deg in named
    )
    en += f" and {more} more" if more else ""
    place = _place(fix) if fix is not None else Words("，尚未交会定位", ", position not known yet")
    weather = _weather(danger)
    return Words(f"{zh}{place.zh}{weather.zh}。", f"{en}{place.en}{weather.en}.")


def _place(fix: Fix) -> Words:
    north, south = ("北纬", "N") if fix.latitude >= 0 else ("南纬", "S")
    east, west = ("东经", "E") if fix.longitude >= 0 else ("西经", "W")
    latitude, longitude = abs(fix.latitude), abs(fix.longitude)
    return Words(
        f"，交会于{north}{latitude:.4f}°、{east}{longitude:.4f}°（误差约{fix.major_m:.0f}米）",
        f", crossing at {latitude:.4f}°{south} {longitude:.4f}°{west} (error about {fix.major_m:.0f} m)",
    )


def _weather(danger: Danger | None) -> Words:
    if danger is None:
        return Words("", "")
    zh = {1: "，预警上调一级", 0: "", -1: "，预警下调一级"}[danger.shift]
    en = {1: ", one level up", 0: "", -1: ", one level down"}[danger.shift]
    return Words(f"；火险天气指数{danger.fwi:.0f}{zh}", f"; fire weather index {danger.fwi:.0f}{en}")


def _figure(cameras: int, fix: Fix | None) -> Words:
    if fix is not None:
        return Words(f"{_count(len(fix.cameras))}台摄像机交会", f"{len(fix.cameras)} bearings cross")
    return Words(f"{_count(cameras)}台摄像机", "1 camera" if cameras == 1 else f"{cameras} cameras")


def _ended(scene: Scene, telling: Telling) -> tuple[Words, Words]:
    if telling.moved is not None:
        zh = en = telling.moved.site
        if telling.moved.site in scene.county.sites:
            zh = en = scene.county.sites[telling.moved.site].name
        return (
            Words(
                f"与{zh}的火情为同一处，并入该处预警，火情未解除。",
                f"One fire with that of {en}, told there; it still burns.",
            ),
            Words("并入他处", "told elsewhere"),
        )
    minutes = round(scene.rule.quiet.total_seconds() / 60)
    return (
        Words(
            f"各摄像机已{minutes}分钟未再发现烟火。",
            f"No camera has seen smoke or fire for {minutes} minutes.",
        ),
        Words("未再发现烟火", "nothing seen"),
    )


def _count(number: int) -> str:
    return _NUMERALS[number] if number < len(_NUMERALS) else str(number)


def _name(county: County, camera: str) -> str:
    station = county.stations.get(camera)
    return station.name if station is not None else camera
