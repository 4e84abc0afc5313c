"""What a rule file may hold, as it is written: the types behind the reader and behind docs/rules.schema.json."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.rules.catalogue.model import Votes
from tongluo.finding import Level, Side
from tongluo.region import SiteKind

#: More than any measured value or sensible threshold, in any unit.
MOST: Final = 1e9

Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]{0,31}$",
        description="小写字母、数字、下划线 · lower-case letters, digits, _",
    ),
]
Span = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,6}[smhd]$",
        description="时长 · a duration: 30s, 15m, 3h, 1d",
        examples=["30s", "15m", "3h", "1d"],
    ),
]
# Every number has bounds: they refuse nan and inf, too, which TOML can say.
Number = Annotated[float, Meta(ge=-MOST, le=MOST)]
Positive = Annotated[float, Meta(gt=0.0, le=MOST)]
NotNegative = Annotated[float, Meta(ge=0.0, le=MOST)]
Share = Annotated[float, Meta(gt=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=1, le=1000)]
Degrees = Annotated[float, Meta(ge=0.0, le=360.0)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
LongText = Annotated[str, Meta(min_length=1, max_length=2000)]
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Kinds = Annotated[
    list[SiteKind],
    Meta(max_length=10, description="判断哪几类隐患点 · the kinds of sites it judges"),
]
Some = Meta(min_length=1, max_length=50)


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of a rule file; every key is known."""


class Called(Written, frozen=True):
    """名称 · What people call it."""

    zh: Text
    en: Text


class Event(Written, frozen=True):
    """雨强-历时阈值 I = c + a D^-b · An intensity-duration threshold, mm/h, D in hours; `dry` without rain ends an event."""

    a: Positive
    b: Annotated[float, Meta(ge=0.0, le=10.0)]
    c: Annotated[float, Meta(ge=0.0, le=1000.0)] = 0.0
    dry: Span = "3h"
    shortest: Span = "1h"
    longest: Span = "500h"


class IndicatorWritten(Written, frozen=True):
    """指标 · A number derived of readings: exactly one of last, sum, … weights says how."""

    last: Annotated[bool, Meta(description="最新值 · the newest value: last = true")] | UnsetType = UNSET
    sum: Annotated[Span, Meta(description="累计 · sum over (t - span, t]")] | UnsetType = UNSET
    max: Annotated[Span, Meta(description="最大值 · highest over the span")] | UnsetType = UNSET
    mean: Annotated[Span, Meta(description="平均值 · mean over the span")] | UnsetType = UNSET
    count: Annotated[Span, Meta(description="个数 · how many readings in the span")] | UnsetType = UNSET
    change: Annotated[Span, Meta(description="变化量 · newest less oldest in the span")] | UnsetType = UNSET
    rate: Annotated[Span, Meta(description="变化率 · change by time, per hour")] | UnsetType = UNSET
    slope: Annotated[Span, Meta(description="拟合速率 · least-squares slope, per hour")] | UnsetType = UNSET
    acceleration: (
        Annotated[
            Span, Meta(description="加速度 · slope of the later half less the earlier's, per hour and hour")
        ]
        | UnsetType
    ) = UNSET
    since: (
        Annotated[Span, Meta(description="距上次非零值 · hours since the newest value other than zero")]
        | UnsetType
    ) = UNSET
    event: (
        Annotated[
            Event, Meta(description="本场雨量与阈值之比 · rain of the event by what the threshold allows")
        ]
        | UnsetType
    ) = UNSET
    weights: (
        Annotated[
            dict[Name, Number],
            Meta(min_length=1, max_length=20, description="加权和 · weighted sum of other sums of the item"),
        ]
        | UnsetType
    ) = UNSET
    name: Called | UnsetType = UNSET
    unit: Annotated[str, Meta(max_length=20)] | UnsetType = UNSET
    scale: Annotated[Number, Meta(description="乘数 · times this")] = 1.0
    divide_by: (
        Annotated[Name, Meta(description="除以测点参数 · a parameter of parameters.csv")] | UnsetType
    ) = UNSET
    angle: Annotated[bool, Meta(description="取反正切（度）· the arctangent of the quotient, in degrees")] = (
        False
    )


class LevelWritten(Written, frozen=True):
    """One level by soil state (dry, normal, wet), by a curve (by, points) or as a share of another level (of, times)."""

    dry: Number | UnsetType = UNSET
    normal: Number | UnsetType = UNSET
    wet: Number | UnsetType = UNSET
    by: Annotated[Name, Meta(description="参数名 · a parameter of parameters.csv")] | UnsetType = UNSET
    points: (
        Annotated[
            list[tuple[Number, Number]],
            Meta(min_length=2, max_length=50, description="[参数值, 阈值] · [parameter, threshold]"),
        ]
        | UnsetType
    ) = UNSET
    of: Level | UnsetType = UNSET
    times: Positive | UnsetType = UNSET


LevelValue = Number | LevelWritten


class LevelsWritten(Written, frozen=True):
    """各级阈值；未写的只由表给出 · Thresholds by level. One that is not here has none unless a table gives it."""

    blue: LevelValue | UnsetType = UNSET
    yellow: LevelValue | UnsetType = UNSET
    orange: LevelValue | UnsetType = UNSET
    red: LevelValue | UnsetType = UNSET
    side: Side | UnsetType = UNSET
    release_ratio: Positive | UnsetType = UNSET
    release_by: NotNegative | UnsetType = UNSET


class ConfirmWritten(Written, frozen=True):
    """确认：最近 m 次中 n 次越线，且持续 hold · Crossed in n of the last m readings, and for `hold` without a break."""

    n: Annotated[int, Meta(ge=1, le=100)] = 1
    m: Annotated[int, Meta(ge=1, le=100)] = 1
    hold: Span = "0s"


class SoilWritten(Written, frozen=True):
    """前期影响雨量 Pa(t+1) = k (Pa(t) + P(t)) · Antecedent rain, at most capacity_mm, day by day."""

    k: Share = 0.9
    capacity_mm: Positive = 100.0
    normal_from: Share = 0.5
    wet_from: Share = 0.8
    day_starts: Span = "8h"


class ItemWritten(Written, frozen=True, kw_only=True):
    """监测项 · One kind of measurement and what is made of it."""

    id: Name
    metric: str
    name: Called | UnsetType = UNSET
    indicators: Annotated[
        dict[Name, Literal["last"] | IndicatorWritten],
        Meta(min_length=1, max_length=50, description='指标 · indicators by name: rain_3h = { sum = "3h" }'),
    ]
    levels: Annotated[
        dict[Name, LevelsWritten],
        Meta(
            max_length=50,
            description="阈值 · thresholds by indicator: rain_3h = { orange = 50.0, red = 100.0 }",
        ),
    ] = {}
    side: Annotated[Side, Meta(description="危险在哪一侧 · on which side of a threshold lies the danger")] = (
        Side.ABOVE
    )
    release_ratio: (
        Annotated[Positive, Meta(description="解除线与阈值之比 · release line as a share of the threshold")]
        | UnsetType
    ) = UNSET
    release_by: (
        Annotated[NotNegative, Meta(description="解除线与阈值之差 · or its distance, in the unit")]
        | UnsetType
    ) = UNSET
    release_after: Annotated[
        Span, Meta(description="越过解除线多久才解除 · how long beyond the release line")
    ] = "1h"
    confirm: ConfirmWritten = ConfirmWritten()
    soil: SoilWritten | UnsetType = UNSET
    forecast: Annotated[bool, Meta(description="预报失稳时间 · forecast the time of failure")] = False


class FileHead(Written, frozen=True):
    """What every rule file begins with."""

    id: Name
    hazard: Annotated[Name, Meta(description="灾种 · rainstorm, flash_flood, landslide, …")]
    name: Called
    source: Annotated[LongText, Meta(description="依据 · where the numbers come from")]


class StationFile(FileHead, frozen=True, kw_only=True):
    """测站规则 · A rule of readings."""

    kind: Literal["stations"] = "stations"
    item: Annotated[list[ItemWritten], Some]
    late: Annotated[
        Span, Meta(description="迟到多久仍判 · how late a reading may be and still be judged")
    ] = "1h"
    votes: Annotated[Votes, Meta(description="测点如何定隐患点等级 · how stations make a site's level")] = (
        Votes.HIGHEST
    )
    k_of_n: Annotated[
        dict[Level, Count], Meta(description="votes = k_of_n: how many stations, by level")
    ] = {}
    kinds: Kinds = []
    tell: Annotated[bool, Meta(description="否则只供组合规则 · otherwise only a vote for compound rules")] = (
        True
    )


class FireFile(FileHead, frozen=True, kw_only=True):
    """林火 · Forest fire by cameras; what each number means is in docs/rules.md."""

    kind: Literal["fire"]
    n: Count = 3
    within: Span = "5m"
    overlap_deg: Annotated[float, Meta(gt=0.0, le=180.0)] = 4.0
    confidence: Share = 0.35
    keep_ratio: Share = 0.8
    quiet: Span = "120m"
    single: Level = Level.YELLOW
    crossed: Level = Level.ORANGE
    least_angle_deg: Annotated[float, Meta(gt=0.0, le=90.0)] = 10.0
    least_base_m: NotNegative = 100.0
    bearing_sigma_deg: Annotated[float, Meta(gt=0.0, le=45.0)] = 1.0
    pair_slack: Span = "30m"
    reach_km: Annotated[float, Meta(gt=0.0, le=500.0)] = 35.0
    merge_km: Annotated[float, Meta(gt=0.0, le=500.0)] = 2.0
    weather_up: NotNegative = 20.0
    weather_down: NotNegative = 5.0
    weather_start: tuple[NotNegative, NotNegative, NotNegative] = (85.0, 6.0, 15.0)
    masks: Annotated[
        dict[Id, list[tuple[Degrees, Degrees]]],
        Meta(max_length=1000, description="按摄像机屏蔽的方位 · by camera, bearings [from, to], clockwise"),
    ] = {}


class SilenceFile(FileHead, frozen=True, kw_only=True):
    """监测中断 · Stations that should speak and do not."""

    kind: Literal["silence"]
    alone: Literal["none", "blue", "yellow", "orange", "red"] = "blue"
    grave: Annotated[
        list[Name], Meta(max_length=50, description="险情规则 · rules that make a silence grave")
    ] = []
    grave_from: Level = Level.BLUE
    within_km: Annotated[float, Meta(ge=0.0, le=500.0)] = 20.0
    worse_after: Span = "24h"


class When(Written, frozen=True):
    """条件或组合 · A condition (rule, level, where, how long), or all, any, or at least so many `of` several."""

    rule: Name | UnsetType = UNSET
    level: Level | UnsetType = UNSET
    near_km: Annotated[float, Meta(gt=0.0, le=500.0, description="附近 · at sites within")] | UnsetType = (
        UNSET
    )
    related: (
        Annotated[Name, Meta(description="关系 · a relation of relations.csv, such as upstream")] | UnsetType
    ) = UNSET
    sites: Annotated[list[Id], Some] | UnsetType = UNSET
    count: Annotated[Count, Meta(description="至少几个 · at least so many of those sites")] | UnsetType = (
        UNSET
    )
    hold: Annotated[Span, Meta(description="持续 · for so long at least")] | UnsetType = UNSET
    all: Annotated[list["When"], Some] | UnsetType = UNSET
    any: Annotated[list["When"], Some] | UnsetType = UNSET
    least: Count | UnsetType = UNSET
    of: Annotated[list["When"], Some] | UnsetType = UNSET


class LineWritten(Written, frozen=True):
    """等级与条件 · `when` holds: `level`."""

    level: Level
    when: When


class CompoundFile(FileHead, frozen=True, kw_only=True):
    """组合规则 · Levels of other rules, here and elsewhere, combined."""

    kind: Literal["compound"]
    kinds: Kinds = []
    sites: Annotated[list[Id], Meta(max_length=10_000)] = []
    line: Annotated[list[LineWritten], Some]
    release_after: Span = "1h"
    tell: bool = True


FILES: Final[dict[str, type[FileHead]]] = {
    "stations": StationFile,
    "fire": FireFile,
    "silence": SilenceFile,
    "compound": CompoundFile,
}
