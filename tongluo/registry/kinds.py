"""What can be registered, kind by kind: its type, its fields, what people call them and what they must be."""

import functools
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tongluo.finding import Level
from tongluo.hazards import Words
from tongluo.quality import Limits
from tongluo.reading import METRICS
from tongluo.region import (
    Division,
    DivisionKind,
    Gateway,
    Head,
    Place,
    Purpose,
    Responder,
    Site,
    SiteKind,
    Station,
    StationKind,
)


class Kind(msgspec.Struct, frozen=True):
    """One kind of entry. `key` is the field that identifies it, `plural` its file and its field in County."""

    name: str
    plural: str
    words: Words
    type: type[msgspec.Struct]
    key: str
    in_county: str
    #: Fields no other kind has: a spreadsheet with one of them in its header lists this kind.
    own: frozenset[str] = frozenset()

    @property
    def fields(self) -> Mapping[str, msgspec.structs.FieldInfo]:
        return fields_of(self.type)


@functools.cache
def fields_of(type_: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """A type's fields by name. Kept: finding them out takes longer than reading a row."""
    return {field.name: field for field in msgspec.structs.fields(type_)}


_OWN_STATION: Final = frozenset(
    {
        "site",
        "gateway",
        "metrics",
        "interval_s",
        "limits",
        "thresholds",
        "base_level_m",
        "rain_elements",
        "purpose",
    }
)

#: In the order in which they refer to each other.
KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("county", "county", Words("县", "county"), Head, "code", "", frozenset({"name_en", "note"})),
        Kind(
            "division",
            "divisions",
            Words("行政区划", "division"),
            Division,
            "code",
            "divisions",
            frozenset({"parent"}),
        ),
        Kind(
            "township",
            "townships",
            Words("乡镇位置", "township"),
            Place,
            "code",
            "places",
            frozenset({"outline"}),
        ),
        Kind("gateway", "gateways", Words("网关", "gateway"), Gateway, "id", "gateways"),
        Kind("site", "sites", Words("隐患点", "site"), Site, "id", "sites"),
        Kind("station", "stations", Words("站点", "station"), Station, "id", "stations", _OWN_STATION),
        Kind(
            "responder",
            "responders",
            Words("责任人", "responder"),
            Responder,
            "id",
            "responders",
            frozenset({"areas", "duty", "phone"}),
        ),
    )
}

#: What a spreadsheet of a county office may call a column.
CHINESE: Final = {
    "编号": "id",
    "编码": "id",
    "代码": "code",
    "名称": "name",
    "姓名": "name",
    "类型": "kind",
    "上级": "parent",
    "隐患点": "site",
    "网关": "gateway",
    "纬度": "latitude",
    "经度": "longitude",
    "监测项": "metrics",
    "上报间隔": "interval_s",
    "区划": "division",
    "区划代码": "division",
    "地址": "address",
    "范围": "areas",
    "职责": "duty",
    "电话": "phone",
    "备注": "note",
    "用途": "purpose",
}

_ID = Words("只能用字母、数字、- 和 _，1 至 64 个", "must be 1 to 64 letters, digits, - and _")
_CODE = Words(
    "应为 6、9 或 12 位数字的区划代码（表格软件请设为文本格式）",
    "must be a division code of 6, 9 or 12 digits (in a spreadsheet, format the column as text)",
)
_NUMBER = Words("应为数字", "must be a number")
_POSITIVE = Words("应为大于 0 的数字", "must be a number above 0")
_ADDRESS = Words(
    "应为 1 至 255 个不含空格的英文字符", "must be 1 to 255 printable ASCII characters without spaces"
)


def _choice(kinds: Any) -> Words:
    names = ", ".join(kind.value for kind in kinds)
    return Words(f"只能是 {names}", f"must be one of {names}")


_MUST: Final[dict[str, Words]] = {
    "id": _ID,
    "site": _ID,
    "gateway": _ID,
    "code": _CODE,
    "parent": _CODE,
    "division": _CODE,
    "address": _ADDRESS,
    "name": Words("应为 1 至 100 个字符的文字", "must be text of 1 to 100 characters"),
    "name_en": Words("应为 1 至 100 个字符的文字", "must be text of 1 to 100 characters"),
    "note": Words("应为文字", "must be text"),
    "duty": Words("应为文字", "must be text"),
    "latitude": Words("应为 -90 至 90 的十进制度", "must be decimal degrees from -90 to 90"),
    "longitude": Words("应为 -180 至 180 的十进制度", "must be decimal degrees from -180 to 180"),
    "outline": Words("应为一圈 [纬度, 经度] 的点", "must be a ring of [latitude, longitude] points"),
    "metrics": Words("应为监测项名称的列表", "must be a list of metrics"),
    "interval_s": Words("应为大于 0 的整数秒", "must be a whole number of seconds above 0"),
    "areas": Words("应为区划代码的列表", "must be a list of division codes"),
    "phone": Words("应为 5 至 20 位数字，可以 + 开头", "must be 5 to 20 digits, a + before them if needed"),
    "base_level_m": Words("应为以米计的数字", "must be a number of metres"),
    "rain_elements": Words(
        "应为两位十六进制要素标识符的列表", "must be a list of SL 651 elements of two hexadecimal digits"
    ),
    "purpose": _choice(Purpose),
    "limits": Words("应按监测项列出限值", "must be limits by metric"),
    "thresholds": Words("应按指标和等级列出阈值", "must be thresholds by indicator and level"),
}
_CHOICES: Final = {
    "division": _choice(DivisionKind),
    "site": _choice(SiteKind),
    "station": _choice(StationKind),
}
_FREE: Final = frozenset({"lowest", "highest", "warn_below"})


def must(kind: str, path: tuple[str, ...]) -> Words:
    """What a field must be, for who has to mend it."""
    if len(path) == 1:
        return _CHOICES[kind] if path[0] == "kind" else _MUST.get(path[0], Words("不可用", "is not usable"))
    match path:
        case ("limits", _):
            names = ", ".join(Limits.__struct_fields__)
            return Words(f"应列出 {names} 中的限值", f"must hold some of {names}")
        case ("limits", _, name):
            return _NUMBER if name in _FREE else _POSITIVE
        case ("thresholds", _):
            return _choice(Level)
        case _:
            return _NUMBER


#: Where less is worse, thresholds fall as the level rises.
FALLING: Final = frozenset({"dry_beach", "freeboard", "phreatic_depth", "battery"})


#: Indicators that the field does not call by their metric.
DERIVED: Final = dict.fromkeys(("velocity", "acceleration", "tangent_angle", "v0_ratio"), "displacement")
_BEGINNINGS: Final = {**{name: name for name in METRICS}, **DERIVED}


def metric_of(indicator: str) -> str | None:
    """The metric an indicator is derived from: `rain_3h` is of `rain`, `velocity` of `displacement`; None where it is of
    none that is known."""
    found = [name for name in _BEGINNINGS if indicator == name or indicator.startswith(f"{name}_")]
    return _BEGINNINGS[max(found, key=len)] if found else None
