"""The topics of the event log: their names, what flows in them, and how many partitions they start with."""

import zlib
from typing import Final

import msgspec


class Topic(msgspec.Struct, frozen=True):
    """`key` says what keeps its order; `keep_days` how long records stay for replay."""

    name: str
    key: str
    partitions: int
    keep_days: int

    def partition_of(self, key: str) -> int:
        """The partition of a key: CRC-32, so that it is the same in every process and release."""
        return zlib.crc32(key.encode()) % self.partitions


READINGS: Final = Topic("readings", key="site", partitions=12, keep_days=7)
FINDINGS: Final = Topic("findings", key="site", partitions=12, keep_days=30)
SHADOW: Final = Topic("shadow", key="site", partitions=12, keep_days=30)
DETECTIONS: Final = Topic("detections", key="site", partitions=12, keep_days=30)
QUARANTINE: Final = Topic("quarantine", key="gateway", partitions=1, keep_days=7)
STATUS: Final = Topic("status", key="gateway", partitions=1, keep_days=7)
EVENTS: Final = Topic("events", key="site", partitions=12, keep_days=30)
# One partition: who judges the whole county at once sees one order, the same after every restart.
# What all signals have as their key: they keep one order.
COUNTY_KEY: Final = "county"
SIGNALS: Final = Topic("signals", key="county", partitions=1, keep_days=30)

TOPICS: Final = (READINGS, DETECTIONS, FINDINGS, SHADOW, QUARANTINE, STATUS, EVENTS, SIGNALS)
