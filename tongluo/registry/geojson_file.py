"""GeoJSON (RFC 7946): a FeatureCollection whose features are sites, stations and townships, and whatever has no place.

`type` among a feature's properties says what it is; where it is not given, `kind` does. Coordinates come from the
geometry: longitude first. What JSON parsers do not tell, the line of a feature, is found by walking to each of them.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from tongluo.hazards import Words
from tongluo.region import SiteKind, StationKind
from tongluo.registry.kinds import KINDS
from tongluo.registry.rows import MOST_ROWS, Fault, Found, Row, shown

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_BY_KIND: Final = {
    **{kind.value: "site" for kind in SiteKind},
    **{kind.value: "station" for kind in StationKind},
}
_HEAD: Final = "county"


def read(name: str, text: str) -> Found:
    """The rows of a file, or why it is not GeoJSON."""
    found = Found()
    try:
        members, features = _collection(text)
    except json.JSONDecodeError as error:
        words = Words(
            f"不是 JSON：{error.msg}（第 {error.lineno} 行第 {error.colno} 列）",
            f"not JSON: {error.msg} (column {error.colno})",
        )
        found.faults.append(Fault(words, name, error.lineno))
        return found
    except (RecursionError, ValueError) as error:
        found.faults.append(Fault(Words(f"不是 JSON：{error}", f"not JSON: {error}"), name))
        return found
    if members.get("type") != "FeatureCollection" or features is None:
        words = Words("应为 GeoJSON 的 FeatureCollection", "must be a GeoJSON FeatureCollection")
        found.faults.append(Fault(words, name, 1))
        return found
    head = members.get(_HEAD)
    if isinstance(head, dict):
        found.rows.append(Row(_HEAD, head, name, 1))
    for line, feature, source in features[: MOST_ROWS + 1]:
        _add(found, name, line, feature, source)
    return found


Feature = tuple[int, Any, str]


def _collection(text: str) -> tuple[dict[str, Any], list[Feature] | None]:
    """The members of the outermost object, its features apart with their lines and their text."""
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    members: dict[str, Any] = {}
    features: list[Feature] | None = None
    at = _after(text, 0, "{")
    while not _is(text, at, "}"):
        key, at = decoder.raw_decode(text, at)
        at = _after(text, at, ":")
        if key == "features" and _is(text, at, "["):
            features, at = _features(decoder, text, _after(text, at, "["))
        else:
            members[str(key)], at = decoder.raw_decode(text, at)
        at = _next(text, at, "}")
    end = _SPACE.match(text, at + 1)
    if end is not None and end.end() != len(text):
        raise json.JSONDecodeError("extra data", text, end.end())
    return members, features


def _features(decoder: json.JSONDecoder, text: str, at: int) -> tuple[list[Feature], int]:
    found: list[Feature] = []
    line, counted = 1, 0
    while not _is(text, at, "]"):
        line, counted = line + text.count("\n", counted, at), at
        feature, end = decoder.raw_decode(text, at)
        found.append((line, feature, text[at:end]))
        at = _next(text, end, "]")
    return found, _skip(text, at + 1)


def _next(text: str, at: int, closing: str) -> int:
    """After a comma, or at the closing bracket."""
    at = _skip(text, at)
    if text[at : at + 1] == closing:
        return at
    at = _after(text, at, ",")
    if text[at : at + 1] == closing:
        raise json.JSONDecodeError(f"a value is expected before {closing}", text, at)
    return at


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space is not None else at


def _is(text: str, at: int, mark: str) -> bool:
    return text[at : at + 1] == mark


def _after(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"{mark} is expected", text, at)
    return _skip(text, at + 1)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _add(found: Found, name: str, line: int, feature: Any, source: str) -> None:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict) or feature.get("type") != "Feature":
        words = Words("应为带 properties 的 Feature", "must be a Feature with properties")
        found.faults.append(Fault(words, name, line))
        return
    fields = {key: value for key, value in properties.items() if key != "type" and value is not None}
    kind = properties.get("type") or _guessed(fields, feature.get("geometry"))
    if kind not in KINDS or kind == _HEAD:
        names = ", ".join(kind for kind in KINDS if kind != _HEAD)
        words = Words(
            f"看不出是什么：type 应为 {names} 之一", f"cannot tell what it is: `type` must be one of {names}"
        )
        found.faults.append(Fault(words, name, line, field="type"))
        return
    lines = dict(_lines(fields, line, source))
    row = Row(str(kind), fields, name, line, lines, lax=True)
    fault = _place(row, feature.get("geometry"))
    if fault is not None:
        found.faults.append(
            row.fault(fault, str(fields.get("id") or fields.get("code") or ""), ("geometry",))
        )
        return
    found.rows.append(row)


def _guessed(fields: dict[str, Any], geometry: Any) -> str | None:
    if isinstance(geometry, dict) and geometry.get("type") == "Polygon":
        return "township"
    kind = fields.get("kind")
    return _BY_KIND.get(kind) if isinstance(kind, str) else None


def _lines(fields: dict[str, Any], line: int, source: str) -> Iterator[tuple[tuple[str, ...], int]]:
    for key in (*fields, "geometry"):
        place = re.search(f"{re.escape(json.dumps(key, ensure_ascii=False))}\\s*:", source)
        if place is not None:
            yield tuple(key.split(".")), line + source.count("\n", 0, place.start())


def _place(row: Row, geometry: Any) -> Words | None:
    """Take coordinates and outline from the geometry; the fault if it is none of ours."""
    if geometry is None:
        return None
    match geometry:
        case {"type": "Point", "coordinates": [longitude, latitude, *_]}:
            row.fields.update(latitude=latitude, longitude=longitude)
            row.lines.update({(key,): row.line_of(("geometry",)) for key in ("latitude", "longitude")})
        case {"type": "Polygon", "coordinates": [list() as ring]} if row.kind == "township":
            points = [[p[1], p[0]] if isinstance(p, list) and len(p) >= 2 else p for p in ring]
            row.fields["outline"] = points[:-1] if len(points) > 1 and points[0] == points[-1] else points
            row.lines["outline",] = row.line_of(("geometry",))
        case {"type": "Polygon", "coordinates": [_, *_]} if row.kind == "township":
            return Words("只能是没有空洞的一圈", "must be one ring without holes")
        case _:
            kind = shown(geometry.get("type")) if isinstance(geometry, dict) else shown(geometry)
            return Words(
                f"{kind} 不适用：站点和隐患点应为 Point，乡镇应为 Polygon 或 Point",
                f"{kind} does not fit: stations and sites are a Point, townships a Polygon or a Point",
            )
    return None
