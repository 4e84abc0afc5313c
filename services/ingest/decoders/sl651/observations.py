"""Reports to observations: which element is which of our metrics, which rain is counted, and what is refused."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.ingest.decoders.sl651.body import (
    LAST_LEVEL_LIST,
    LEVEL_LIST,
    MANUAL,
    RAIN_LIST,
    VELOCITIES,
    WITH_ELEMENTS,
    Element,
    Report,
)
from services.ingest.decoders.sl651.samples import Sample, head, name, samples
from services.ingest.observation import Observation, Refused
from tongluo.hazards import Words

KEEP_ALIVE, TEST, PICTURE_REPORT = 0x2F, 0x30, 0x36
RESERVOIR: Final = 0x4B  # table A.1
# Table C.1; the unit there is the metric's own. Levels in lists (F5 to FC) are heights over a base of the station's.
METRICS: Final = {
    0x02: "temperature",
    0x0E: "phreatic_depth",
    **dict.fromkeys(range(0x10, 0x18), "soil_moisture"),
    0x18: "humidity",
    0x35: "wind_speed",
    0x38: "battery",
    0x39: "water_level",
    0x3A: "water_level",
    0x3B: "water_level",
    **dict.fromkeys(range(LEVEL_LIST, LAST_LEVEL_LIST + 1), "water_level"),
}
# The water before a dam is the pond's where the station is a reservoir's.
_POND: Final = frozenset((0x3B, LEVEL_LIST))
# Rain that fell within an interval, told once more by every wider one, and by the sums since a morning or a year.
RAIN_INTERVALS: Final = frozenset((0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x21, 0x22, 0x23, 0x24, RAIN_LIST))
RAIN_SUMS: Final = frozenset((0x1F, 0x20, 0x25, 0x26))
FIVE_MINUTES: Final = frozenset((0x22, RAIN_LIST))
LAST_STANDARD: Final = 0x75
PICTURE_BYTES_KEPT: Final = 512


def _own_address(address: str, element: int) -> str:
    return address


def _no_base(address: str, element: int) -> float | None:
    return None


def _five_minutes(address: str) -> frozenset[int]:
    return FIVE_MINUTES


@dataclass(frozen=True)
class Stations:
    """What a registry knows of telemetry stations, asked by their address of ten hexadecimal digits.

    `station_of` names our station for an element (its identifier); `level_base_m` is the height in metres that
    relative levels (F5, F6) stand on, None where nobody has said; `rain_counted` are the identifiers whose rain is
    taken, which must not contain the same rain twice.
    """

    station_of: Callable[[str, int], str] = _own_address
    level_base_m: Callable[[str, int], float | None] = _no_base
    rain_counted: Callable[[str], frozenset[int]] = _five_minutes


def observations(report: Report, stations: Stations) -> Iterator[Observation | Refused]:
    """Everything a report tells, in its order; a bad element does not spoil its neighbours."""
    function = report.frame.function
    if function == KEEP_ALIVE:
        return
    if function == TEST:
        yield _test(report)
    elif function == PICTURE_REPORT:
        yield _picture(report)
    elif function not in WITH_ELEMENTS:
        yield _no_report(report)
    else:
        yield from _Telling(report, stations).run()


class _Telling:
    """One report on its way, with what it has told already."""

    def __init__(self, report: Report, stations: Stations) -> None:
        self._report, self._stations = report, stations
        self._told: dict[tuple[str, str, datetime], tuple[Sample, float]] = {}
        self._clashing: set[tuple[int, str]] = set()
        # By identifier, what the same station will say in its next report too.
        self._unknown: dict[int, bytes] = {}
        self._baseless: dict[int, bytes] = {}
        self._rain: dict[str, dict[int, bytes]] = {}

    def run(self) -> Iterator[Observation | Refused]:
        for element in self._report.elements:
            identifier = element.identifier
            if is_unknown(identifier):
                self._unknown[identifier] = head(element)
            elif _is_relative(identifier) and self._base(element.station, identifier) is None:
                self._baseless[identifier] = head(element)
            elif identifier == MANUAL or _is_rain(identifier) or identifier in METRICS:
                yield from self._element(element)
        for station, found in self._rain.items():
            counted = self._stations.rain_counted(station)
            if not counted & found.keys():
                yield _not_counted(station, found, counted)
        if self._baseless:
            yield _relative(self._baseless)
        if self._unknown:
            yield _unknown(self._unknown)
        if self._report.fault is not None:
            yield self._report.fault

    def _base(self, station: str, identifier: int) -> float | None:
        return self._stations.level_base_m(station, identifier)

    def _element(self, element: Element) -> Iterator[Observation | Refused]:
        if _is_rain(element.identifier):
            # A list of nothing but invalid values has come all the same.
            self._rain.setdefault(element.station, {})[element.identifier] = head(element)
        for sample in samples(self._report, element):
            if isinstance(sample, Refused):
                yield sample
                continue
            if _is_rain(sample.identifier):
                self._rain.setdefault(sample.station, {})[sample.identifier] = sample.of
                if sample.identifier not in self._stations.rain_counted(sample.station):
                    continue
            yield from self._observation(sample)

    def _observation(self, sample: Sample) -> Iterator[Observation | Refused]:
        """Nothing where the report has said the same before."""
        station = self._stations.station_of(sample.station, sample.identifier)
        metric, value = _metric(sample), sample.value
        if _is_relative(sample.identifier):
            # Rounded as fine as a level is given: 10 + 0.49 is not to become 10.490000000000001.
            value = round(value + (self._base(sample.station, sample.identifier) or 0.0), 3)
        report, identity = self._report, (station, metric, sample.time)
        if identity not in self._told:
            self._told[identity] = (sample, value)
            yield Observation(station, metric, sample.time, value, None, report.serial, report.frame.raw)
        elif self._told[identity][1] != value and (sample.identifier, station) not in self._clashing:
            self._clashing.add((sample.identifier, station))  # once is enough for a list of twelve
            yield _clash(self._told[identity][0], sample, metric, station)


def is_unknown(identifier: int) -> bool:
    """Whether table C.1 does not have an element: reserved, or a maker's own."""
    standard = 0x01 <= identifier <= LAST_STANDARD or MANUAL <= identifier <= VELOCITIES
    return not standard


def _is_relative(identifier: int) -> bool:
    return LEVEL_LIST <= identifier <= LAST_LEVEL_LIST


def _is_rain(identifier: int) -> bool:
    return identifier in RAIN_INTERVALS or identifier in RAIN_SUMS


def _metric(sample: Sample) -> str:
    if _is_rain(sample.identifier):
        return "rain"
    if sample.identifier in _POND and sample.category == RESERVOIR:
        return "pond_level"
    return METRICS[sample.identifier]


# -- refusals. Where the same station will give the same cause with every report, only identifiers and definitions are
# kept, so that quarantine shows one entry that counts, not one for each report.


def _names(found: Iterable[int]) -> str:
    return ", ".join(name(identifier) for identifier in sorted(set(found)))


def _not_counted(station: str, found: dict[int, bytes], counted: frozenset[int]) -> Refused:
    here, wanted = _names(found), _names(counted)
    return Refused(
        "sl651_rain_not_counted",
        Words(
            f"遥测站 {station} 的报文只含雨量要素 {here}，而该站计入的是 {wanted}：累计量及其他时段的雨量会重复计算，故不采用；"
            "请在遥测站启用所计入的要素，或改登记计入哪一种",
            f"the report of station {station} gives rain as {here} only, and counted is {wanted}: sums and other intervals "
            "hold the same rain again and are not taken; have the station send what is counted, or register another",
        ),
        b"".join(found[identifier] for identifier in sorted(found)),
    )


def _relative(found: dict[int, bytes]) -> Refused:
    here = _names(found)
    return Refused(
        "sl651_relative_level",
        Words(
            f"要素 {here} 是相对水位，该站的水位基值未登记，无法换算为水位；请登记水位基值",
            f"elements {here} are levels over the station's base, which is not registered; register the base level",
        ),
        b"".join(found[identifier] for identifier in sorted(found)),
    )


def _unknown(found: dict[int, bytes]) -> Refused:
    here = _names(found)
    return Refused(
        "sl651_unknown_element",
        Words(
            f"要素 {here} 不在 SL 651-2014 表 C.1 中（保留或厂家自定义），未采用；其余要素照常接收",
            f"elements {here} are not in table C.1 of SL 651-2014 (reserved, or a maker's own) and not taken; "
            "the others go their way",
        ),
        b"".join(found[identifier] for identifier in sorted(found)),
    )


def _clash(first: Sample, second: Sample, metric: str, station: str) -> Refused:
    both = _names((first.identifier, second.identifier))
    return Refused(
        "sl651_same_place",
        Words(
            f"要素 {both} 同为测站 {station} 在同一时刻的 {metric}，数值不同，只取报文中的第一个；请将它们登记为不同的测站",
            f"elements {both} give {metric} of station {station} at the same time, and differ; the first in the report "
            "is taken: register them as stations of their own",
        ),
        first.of + second.of,
    )


def _test(report: Report) -> Refused:
    said = len(report.elements)
    return Refused(
        "sl651_test_report",
        Words(
            f"收到遥测站 {report.frame.station} 的测试报，流水号 {report.serial}，含 {said} 个要素；按规约测试数据不计入观测值",
            f"a test report of station {report.frame.station} has come, serial {report.serial}, with {said} elements; "
            "by the standard its data are for checking only and are no readings",
        ),
        report.frame.raw,
    )


def _picture(report: Report) -> Refused:
    size = len(report.frame.body)
    return Refused(
        "sl651_picture",
        Words(
            f"遥测站 {report.frame.station} 的图片报（{size} 字节）不予保存；此处只留开头部分。请关闭该站的图片自报",
            f"a picture of {size} bytes from station {report.frame.station} is not kept, its beginning here apart; "
            "switch its pictures off",
        ),
        report.frame.raw[:PICTURE_BYTES_KEPT],
    )


def _no_report(report: Report) -> Refused:
    function = report.frame.function
    return Refused(
        "sl651_not_a_report",
        Words(
            f"功能码 {function:02X} 不是水文信息报（配置、控制或自定义），其内容未采用",
            f"function {function:02X} carries no hydrological data (settings, control, or a maker's own) and is not taken",
        ),
        report.frame.raw,
    )
