"""A registry written out. What is written reads back as the same registry, in each of the forms."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from tongluo.region import County, Head, Place
from tongluo.registry.kinds import KINDS, Kind, fields_of

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
#: A zip archive of the same registry has the same bytes, whenever it is written.
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


def to_toml(county: County) -> str:
    """One file with everything; `TONGLUO_COUNTY` takes a folder with it as `county.toml`."""
    parts = [_toml_table("[county]", msgspec.to_builtins(_head(county)))]
    for kind in _tables():
        parts += [
            _toml_table(f"[[{kind.name}]]", _short(entry))
            for entry in getattr(county, kind.in_county).values()
        ]
    return "\n".join(parts)


def to_csv(county: County) -> dict[str, str]:
    """A file for each kind by its name, empty kinds included."""
    files = {"county.csv": _csv(KINDS["county"], [_head(county)])}
    for kind in _tables():
        files[f"{kind.plural}.csv"] = _csv(kind, getattr(county, kind.in_county).values())
    return files


def to_zip(files: Mapping[str, str]) -> bytes:
    """The files in an archive; UTF-8 with its mark, by which spreadsheets know it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, _ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content.encode("utf-8-sig"))
    return buffer.getvalue()


def to_geojson(county: County) -> str:
    """A FeatureCollection, one feature a line; what has no place has no geometry."""
    lines = [
        json.dumps(_feature(kind, entry), ensure_ascii=False, allow_nan=False)
        for kind in _tables()
        for entry in getattr(county, kind.in_county).values()
    ]
    head = json.dumps(msgspec.to_builtins(_head(county)), ensure_ascii=False)
    features = ",\n".join(lines)
    return f'{{"type": "FeatureCollection", "county": {head}, "features": [\n{features}\n]}}\n'


def _tables() -> Iterable[Kind]:
    return (kind for kind in KINDS.values() if kind.in_county)


def _head(county: County) -> Head:
    return Head(county.code, county.name, county.name_en, county.note)


def _short(entry: msgspec.Struct) -> dict[str, Any]:
    """The fields that are not at their default."""
    fields = fields_of(type(entry)).values()
    raw = msgspec.to_builtins({name: getattr(entry, name) for name in entry.__struct_fields__})
    return {
        field.name: raw[field.name]
        for field in fields
        if field.required
        or (raw[field.name] is not None and raw[field.name] not in ("", {}, (), field.default))
    }


def _toml_table(header: str, fields: Mapping[str, Any]) -> str:
    lines = [f"{_toml_key(name)} = {_toml_value(value)}" for name, value in fields.items()]
    return "\n".join([header, *lines, ""])


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _toml_value(name)


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{_toml_key(name)} = {_toml_value(each)}" for name, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml_value(each) for each in value)}]"
    # A JSON string, number or boolean is a TOML one; DEL alone is written otherwise.
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")


def _csv(kind: Kind, entries: Iterable[msgspec.Struct]) -> str:
    """Every field is a column; limits and thresholds have one for each that is set anywhere."""
    rows = [_flat(entry) for entry in entries]
    columns: dict[str, None] = {}
    for name in kind.fields:
        dotted = sorted({key for row in rows for key in row if key.startswith(f"{name}.")})
        columns.update(dict.fromkeys(dotted if dotted or name in ("limits", "thresholds") else [name]))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat(entry: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{name}.{key}", inner)
        elif isinstance(value, list | tuple):
            found[name] = ";".join(
                " ".join(map(repr, p)) if isinstance(p, list | tuple) else str(p) for p in value
            )
        elif value is not None:
            found[name] = value

    for name, value in _short(entry).items():
        walk(name, value)
    return found


def _feature(kind: Kind, entry: msgspec.Struct) -> dict[str, Any]:
    fields = _short(entry)
    geometry: dict[str, Any] | None = None
    if isinstance(entry, Place) and entry.outline:
        ring = [[longitude, latitude] for latitude, longitude in (*entry.outline, entry.outline[0])]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        # The centre is not in the ring: it stays among the properties.
        fields.pop("outline")
    elif "latitude" in fields:
        latitude, longitude = fields.pop("latitude"), fields.pop("longitude")
        geometry = {"type": "Point", "coordinates": [longitude, latitude]}
    return {"type": "Feature", "geometry": geometry, "properties": {"type": kind.name, **fields}}
