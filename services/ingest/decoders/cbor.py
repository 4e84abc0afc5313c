"""CBOR (RFC 8949) from outside: the structure is walked and bounded first, only then does the library build it.

What a small message may cost is decided here: no tags (a tag is how CBOR asks for big numbers, regular expressions,
shared references), few fields in a map, little depth. A walk needs no memory beyond its depth.
"""

from typing import Any, Final

import cbor2

MAX_DEPTH: Final = 8
MAX_FIELDS: Final = 64
# Keys, values and containers of a whole message: the walk takes a few microseconds for each.
MAX_ITEMS: Final = 200_000

_ARRAY, _TAG = 4, 6
_BREAK: Final = b"\xff"
_ENDLESS: Final = -1


class CborFaultError(ValueError):
    """Why bytes are not taken as CBOR, in the users' languages."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


def load(data: bytes) -> Any:
    """The one item that `data` is. Raises CborFaultError."""
    _walk(data)
    try:
        return cbor2.loads(data, max_depth=MAX_DEPTH, allow_duplicate_keys=False)
    except (cbor2.CBORError, ValueError, RecursionError) as error:
        raise CborFaultError(f"CBOR 无法解读（{error}）", f"the CBOR cannot be read ({error})") from error


def _walk(data: bytes) -> None:
    """Look at every head of `data`. Raises CborFaultError where it breaks a bound or ends early."""
    position = 0
    items = 0
    left = [1]  # how many items are still to come, at each depth; _ENDLESS until a break
    while left:
        if left[-1] == 0:
            left.pop()
        elif left[-1] == _ENDLESS and data[position : position + 1] == _BREAK:
            position += 1
            left.pop()
        else:
            items += 1
            if items > MAX_ITEMS:
                raise CborFaultError(
                    f"CBOR 含超过 {MAX_ITEMS} 项；请分批发送",
                    f"the CBOR has over {MAX_ITEMS} items: send it in parts",
                )
            position = _item(data, position, left)
    if position != len(data):
        rest = len(data) - position
        raise CborFaultError(f"CBOR 之后还有 {rest} 个字节", f"{rest} bytes follow the CBOR item")


def _item(data: bytes, position: int, left: list[int]) -> int:
    """Where the next item's head, or its text, ends; what it holds is added to `left`."""
    if left[-1] != _ENDLESS:
        left[-1] -= 1
    major, argument, position = _head(data, position)
    match major:
        case 2 | 3:
            position += argument
        case 4:
            left.append(argument)
        case 5:
            left.append(_items_of_map(argument))
    if position > len(data):
        raise _early()
    if len(left) > MAX_DEPTH:
        raise CborFaultError(f"CBOR 嵌套超过 {MAX_DEPTH} 层", f"the CBOR is nested deeper than {MAX_DEPTH}")
    return position


def _head(data: bytes, position: int) -> tuple[int, int, int]:
    """Major type, argument (_ENDLESS for an array without length), and where the head ends."""
    if position >= len(data):
        raise _early()
    major, info = data[position] >> 5, data[position] & 0x1F
    position += 1
    if major == _TAG:
        raise CborFaultError(
            "CBOR 含标签（大整数、日期等），SenML 不用标签",
            "the CBOR has a tag (a big number, a date): SenML has none",
        )
    if info < 24:
        return major, info, position
    if info == 31 and major == _ARRAY:
        return major, _ENDLESS, position
    if info > 27:
        raise CborFaultError(
            f"CBOR 首字节 0x{data[position - 1]:02x} 不支持",
            f"CBOR head 0x{data[position - 1]:02x} is not taken",
        )
    size = 1 << (info - 24)
    if position + size > len(data):
        raise _early()
    return major, int.from_bytes(data[position : position + size], "big"), position + size


def _items_of_map(fields: int) -> int:
    if fields > MAX_FIELDS:
        raise CborFaultError(
            f"CBOR 映射含 {fields} 个字段，上限 {MAX_FIELDS}",
            f"a CBOR map has {fields} fields, at most {MAX_FIELDS} are taken",
        )
    return 2 * fields


def _early() -> CborFaultError:
    return CborFaultError("CBOR 不完整，中途结束", "the CBOR ends early: send it whole")
