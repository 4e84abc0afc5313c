"""Where the state of a partition lies: in the compacted topic, at a place told by the committed position itself.

A snapshot is written as records of bounded size in the transaction that commits the position, and the position's
metadata say which offsets they have. So whoever reads a position knows its state, both or neither, and finds it without
a search.
"""

import re
from typing import Final

import msgspec

# Kafka takes a batch of a megabyte by default on every hop.
CHUNK_BYTES: Final = 512 * 1024
_FORM: Final = re.compile(r"state:([0-9]+)-([0-9]+)@([0-9]+)")


class StatePlace(msgspec.Struct, frozen=True):
    """The records `first` to `last` of the state topic hold the state after every entry below `at`."""

    first: int
    last: int
    at: int

    def metadata(self) -> str:
        return f"state:{self.first}-{self.last}@{self.at}"

    @classmethod
    def read(cls, metadata: str | None) -> "StatePlace | None":
        """The place that a position's metadata tell; None if they tell none, as after a reset by hand."""
        found = _FORM.fullmatch(metadata or "")
        return cls(*(int(number) for number in found.groups())) if found else None


def chunks(value: bytes) -> list[bytes]:
    """At least one, so that an empty state is one too."""
    return [value[start : start + CHUNK_BYTES] for start in range(0, len(value), CHUNK_BYTES)] or [b""]
