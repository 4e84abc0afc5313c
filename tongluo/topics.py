"""The topics of the event log: their names, what flows in them, and how many partitions they start with."""

from typing import Final

import msgspec


class Topic(msgspec.Struct, frozen=True):
    """`key` says what keeps its order; `keep_days` how long records stay for replay."""

    name: str
    key: str
    partitions: int
    keep_days: int


READINGS: Final = Topic("readings", key="site", partitions=4, keep_days=7)
FINDINGS: Final = Topic("findings", key="site", partitions=4, keep_days=30)
QUARANTINE: Final = Topic("quarantine", key="gateway", partitions=1, keep_days=7)

TOPICS: Final = (READINGS, FINDINGS, QUARANTINE)
