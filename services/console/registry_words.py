"""Parts of the registry as the API says them."""

import hashlib
from typing import Any

import msgspec

from services.console.problems import Problem
from tongluo.registry import Change, Fault
from tongluo.store.registry import Version
from tongluo.wire import iso


def moved(no: int) -> Problem:
    """The registry is no longer the one that was looked at."""
    return Problem(409, f"the registry has changed since version {no}: compare anew, then apply")


def refused(status: int, found: list[Fault]) -> Problem:
    """The first faults in words, all of them as members."""
    wrong = [fault for fault in found if not fault.warning]
    return Problem(status, "; ".join(map(str, wrong[:5])), faults=faults(found))


def faults(found: list[Fault]) -> list[dict[str, Any]]:
    return [
        {name: msgspec.to_builtins(getattr(fault, name)) for name in fault.__struct_fields__}
        for fault in found
    ]


def changes(found: list[Change]) -> list[dict[str, Any]]:
    return list(msgspec.to_builtins(found))


def version(found: Version) -> dict[str, Any]:
    return {**msgspec.to_builtins(found), "at": iso(found.at)}


def etag(found: msgspec.Struct) -> str:
    """The same for entries that say the same."""
    content = msgspec.json.encode(msgspec.to_builtins(found, str_keys=True), order="sorted")
    return f'"{hashlib.sha256(content).hexdigest()[:24]}"'
