"""Durations as people write them: 30s, 15m, 3h, 1d."""

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FORM: Final = re.compile(r"^([0-9]{1,6})([smhd])$")


def parse(words: str) -> timedelta:
    """Raises ValueError with the forms that are understood."""
    found = _FORM.match(words)
    if found is None:
        raise ValueError(f"{words!r} is not a duration; write 30s, 15m, 3h or 1d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
