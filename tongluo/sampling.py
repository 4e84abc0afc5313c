"""Adaptive sampling as it crosses the wire: what a gateway is asked, what it answers, and which interval a level asks for."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from tongluo import duration
from tongluo.finding import Level

LONGEST_INTERVAL: Final = timedelta(days=1)
MOST_ANSWER_BYTES: Final = 4096
MOST_REASON_CHARACTERS: Final = 300


class Command(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="sampling"):
    """To a gateway: let `station` sample every `interval_s` seconds until `until`, an aware time.

    Without `until` it is a release: `interval_s` is then the station's own interval, for good. `id` is the same every
    time the command is sent again.
    """

    id: str
    station: str
    interval_s: Annotated[int, msgspec.Meta(ge=1)]
    until: datetime | None = None


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """From a gateway: whether it does as asked, why not, and the interval (seconds) that is now in force."""

    accepted: bool
    reason: Annotated[str, msgspec.Meta(max_length=MOST_REASON_CHARACTERS)] | None = None
    interval_s: Annotated[int, msgspec.Meta(ge=1, le=31_536_000)] | None = None


_commands: Final = msgspec.json.Decoder(Command)
_answers: Final = msgspec.json.Decoder(Answer)


def encode(message: Command | Answer) -> bytes:
    return msgspec.json.encode(message)


def read_command(payload: bytes) -> Command:
    """Raises ValueError (msgspec's among them) on anything else."""
    found = _commands.decode(payload)
    if found.until is not None and found.until.tzinfo is None:
        raise ValueError("`until` has no zone")
    return found


def read_answer(payload: bytes) -> Answer:
    """Raises ValueError (msgspec's among them) on anything else. A refusal says why, in printable characters."""
    if len(payload) > MOST_ANSWER_BYTES:
        raise ValueError(f"{len(payload)} bytes; an answer has at most {MOST_ANSWER_BYTES}")
    found = _answers.decode(payload)
    if not found.accepted and not found.reason:
        raise ValueError("`accepted` is false without a `reason`")
    if found.reason is None or found.reason.isprintable():
        return found
    printable = "".join(letter if letter.isprintable() else " " for letter in found.reason)
    return msgspec.structs.replace(found, reason=printable)


class DenseIntervals(msgspec.Struct, frozen=True):
    """The interval (seconds) asked for from each level on; empty: nothing is ever asked."""

    by_level: Mapping[Level, int]

    def __str__(self) -> str:
        """As it is written in the settings."""
        return ",".join(f"{level.value}={self.by_level[level]}s" for level in sorted(self.by_level)) or "off"

    def at(self, level: Level | None) -> int | None:
        """The interval that `level` asks for: that of the gravest level named that is not above it."""
        named = [known for known in self.by_level if level is not None and known <= level]
        return self.by_level[max(named)] if named else None


def read_intervals(words: Any) -> DenseIntervals:
    """`yellow=120s,orange=60s`, or `off`. Raises ValueError with what is wrong."""
    if isinstance(words, DenseIntervals):
        return words
    if words == "off":
        return DenseIntervals({})
    found: dict[Level, int] = {}
    for part in str(words).split(","):
        name, _, span = (word.strip() for word in part.partition("="))
        if name not in [level.value for level in Level] or not span:
            raise ValueError("must be 'off' or levels with intervals, such as yellow=120s,orange=60s,red=60s")
        interval = duration.parse(span)
        if not timedelta(seconds=1) <= interval <= LONGEST_INTERVAL:
            raise ValueError(f"{name}: an interval lies between 1s and 1d")
        if Level(name) in found:
            raise ValueError(f"{name} is there twice")
        found[Level(name)] = int(interval.total_seconds())
    by_severity = [found[level] for level in sorted(found)]
    if by_severity != sorted(by_severity, reverse=True):
        raise ValueError("a graver level must not ask for a longer interval")
    return DenseIntervals(found)
