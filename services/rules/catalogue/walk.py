"""From what a TOML file says to one of the types of shape.py, with every fault on the way and not only the first.

What cannot be read is told and replaced by something empty, so that the rest can be looked at further.
"""

import difflib
import enum
import functools
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from services.rules.catalogue.faults import Page, nearest, shown
from services.rules.catalogue.lines import Path
from services.rules.catalogue.shape import MOST, Id, Name, Span

_DEEPEST: Final = 24
_FORMS: Final = {
    get_args(Name)[1].pattern: (
        "应为小写字母开头的字母、数字、下划线，至多 32 个",
        "must be lower-case letters, digits and _, a letter first, 32 at most",
    ),
    get_args(Id)[1].pattern: (
        "只能用字母、数字、- 和 _，1 至 64 个",
        "must be 1 to 64 letters, digits, - and _",
    ),
    get_args(Span)[1].pattern: (
        "应为时长，如 30s、15m、3h、1d",
        "must be a duration such as 30s, 15m, 3h or 1d",
    ),
}


@functools.cache
def fields_of(type_: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """A type's fields by name."""
    return {field.name: field for field in msgspec.structs.fields(type_)}


def struct(page: Page, type_: type[msgspec.Struct], raw: Mapping[str, Any], path: Path = ()) -> Any:
    """The value of `type_` that a table says; faults go to `page`."""
    fields, values = fields_of(type_), {}
    misspelt = set()
    for name in raw:
        if name not in fields:
            misspelt |= set(difflib.get_close_matches(name[:60], fields, 1))
            near = nearest(name, fields)
            page.fault((*path, name), f"没有这一项{near[0]}", f"there is no such entry{near[1]}")
    for name, field in fields.items():
        if name in raw:
            before = len(page.faults)
            value = _value(page, field.type, raw[name], (*path, name))
            if field.required or len(page.faults) == before or value != _nothing(field.type):
                values[name] = value
        elif field.required:
            if name not in misspelt:
                page.fault((*path, name), "缺少这一项", "is missing")
            values[name] = _nothing(field.type)
    return type_(**values)


def _value(page: Page, type_: Any, raw: Any, path: Path) -> Any:
    bare = _chosen(type_, raw)
    if len(path) > _DEEPEST:
        page.fault(path, "嵌套过深", "is nested too deeply")
    elif isinstance(raw, dict) and isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return struct(page, bare, raw, path)
    elif isinstance(raw, dict) and get_origin(bare) is dict:
        return _mapping(page, type_, raw, path)
    elif isinstance(raw, list) and get_origin(bare) is list:
        inner = get_args(bare)[0]
        if _sized(page, type_, raw, path):
            return [_value(page, inner, each, (*path, n)) for n, each in enumerate(raw)]
    elif isinstance(raw, list) and get_origin(bare) is tuple and len(raw) == len(get_args(bare)):
        parts = zip(get_args(bare), raw, strict=True)
        return tuple(_value(page, inner, each, (*path, n)) for n, (inner, each) in enumerate(parts))
    else:
        return _leaf(page, type_, raw, path)
    return _nothing(type_)


def _members(type_: Any) -> list[Any]:
    """The types of a union, without the one that stands for 'not given'."""
    while get_origin(type_) is Annotated:
        type_ = get_args(type_)[0]
    if get_origin(type_) not in (Union, types.UnionType):
        return [type_]
    return [each for part in get_args(type_) if part is not msgspec.UnsetType for each in _members(part)]


def _chosen(type_: Any, raw: Any) -> Any:
    """The member of a union that `raw` looks like: a table's, else the first other one."""
    members = _members(type_)
    tables = [each for each in members if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    others = [each for each in members if each not in tables]
    return (tables or others)[0] if isinstance(raw, dict) else (others or tables)[0]


def _meta(type_: Any) -> dict[str, Any]:
    """The bounds that stand at a type."""
    if get_origin(type_) is Annotated:
        base, *notes = get_args(type_)
        found = _meta(base)
        for note in notes:
            found |= {name: getattr(note, name) for name in _BOUNDS if getattr(note, name) is not None}
        return found
    if get_origin(type_) in (Union, types.UnionType):
        return {name: value for part in get_args(type_) for name, value in _meta(part).items()}
    return {}


_BOUNDS: Final = ("ge", "gt", "le", "lt", "pattern", "min_length", "max_length")


def _mapping(page: Page, type_: Any, raw: dict[str, Any], path: Path) -> dict[Any, Any]:
    if not _sized(page, type_, raw, path):
        return {}
    keys, values = get_args(_members(type_)[0])
    found = {}
    for name, inner in raw.items():
        key = _leaf(page, keys, name, (*path, name))
        if getattr(key, "value", key) == name:
            found[key] = _value(page, values, inner, (*path, name))
    return found


def _sized(page: Page, type_: Any, raw: Any, path: Path) -> bool:
    meta = _meta(type_)
    least, most = meta.get("min_length", 0), meta.get("max_length", 1000)
    if least <= len(raw) <= most:
        return True
    page.fault(
        path, f"有 {len(raw)} 个，应为 {least} 至 {most} 个", f"has {len(raw)} entries, not {least} to {most}"
    )
    return False


def _leaf(page: Page, type_: Any, raw: Any, path: Path) -> Any:
    try:
        value = msgspec.convert(raw, type_)
    except (msgspec.ValidationError, OverflowError, RecursionError):
        zh, en = _expected(type_)
        near = (
            difflib.get_close_matches(raw[:60], _choices(_members(type_)[0]), 1)
            if isinstance(raw, str)
            else []
        )
        hint = (f"；是否指 {near[0]}？", f"; is it {near[0]}?") if near else ("", "")
        page.fault(path, f"“{shown(raw)}”不对，{zh}{hint[0]}", f"“{shown(raw)}” {en}{hint[1]}")
        return _nothing(type_)
    if isinstance(raw, str) and not raw.replace("\n", "").isprintable():
        page.fault(path, "含不可显示的字符", "holds characters that cannot be shown")
        return _nothing(type_)
    return value


def _expected(type_: Any) -> tuple[str, str]:
    """What a value must be, in both languages."""
    found = [_expected_of(member, _meta(type_)) for member in _members(type_)]
    return "，或".join(zh for zh, _ in found), ", or ".join(en for _, en in found)


def _expected_of(bare: Any, meta: Mapping[str, Any]) -> tuple[str, str]:
    if choices := _choices(bare):
        listed = ", ".join(choices)
        return f"应为 {listed} 之一", f"must be one of {listed}"
    match bare:
        case type() if bare in (float, int):
            zh, en = _range(meta)
            whole = ("整数", "whole number") if bare is int else ("数", "number")
            expected = (f"应为{whole[0]}{zh}", f"must be a {whole[1]}{en}")
        case type() if bare is bool:
            expected = ("应为 true 或 false", "must be true or false")
        case type() if bare is str:
            expected = _FORMS.get(meta.get("pattern", ""), _text(meta))
        case type() if issubclass(bare, msgspec.Struct):
            names = ", ".join(fields_of(bare))
            expected = (f"应为含 {names} 的表", f"must be a table of {names}")
        case _:
            count = len(get_args(bare)) if get_origin(bare) is tuple else 0
            listed_of: dict[Any, tuple[str, str]] = {
                tuple: (f"{count} 个值的列表", f"a list of {count} values"),
                list: ("列表", "a list"),
            }
            what = listed_of.get(get_origin(bare) or bare, ("表", "a table"))
            expected = (f"应为{what[0]}", f"must be {what[1]}")
    return expected


def _choices(bare: Any) -> list[str]:
    if get_origin(bare) is Literal:
        return [str(each) for each in get_args(bare)]
    return [each.value for each in bare] if isinstance(bare, type) and issubclass(bare, enum.Enum) else []


def _range(meta: Mapping[str, Any]) -> tuple[str, str]:
    signs = (("ge", "≥", "at least"), ("gt", ">", "above"), ("le", "≤", "at most"), ("lt", "<", "below"))
    told = [
        (sign, words, f"{meta[name]:g}") for name, sign, words in signs if abs(meta.get(name, MOST)) < MOST
    ]
    return (
        "".join(f" {sign} {value}" for sign, _, value in told),
        " and".join(f" {words} {value}" for _, words, value in told),
    )


def _text(meta: Mapping[str, Any]) -> tuple[str, str]:
    least, most = meta.get("min_length", 0), meta.get("max_length", 1000)
    return f"应为 {least} 至 {most} 个字符的文字", f"must be text of {least} to {most} characters"


def _nothing(type_: Any) -> Any:
    """Something empty in place of what could not be read."""
    if get_origin(type_) in (Union, types.UnionType) and msgspec.UnsetType in get_args(type_):
        return msgspec.UNSET
    bare = _members(type_)[0]
    if get_origin(bare) is Literal:
        return get_args(bare)[0]
    if get_origin(bare) is tuple:
        return tuple(_nothing(each) for each in get_args(bare))
    if issubclass(bare, enum.Enum):
        return next(iter(bare))
    if issubclass(bare, msgspec.Struct):
        return bare(**{name: _nothing(each.type) for name, each in fields_of(bare).items() if each.required})
    return (get_origin(bare) or bare)()
