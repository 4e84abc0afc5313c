"""Who reads which topic and keeps its place in the store: what the lag, a settled program and trimming go by."""

from typing import Final

from services.ingest import recorder
from services.ingest.downlink import demand
from services.notify import desk
from tongluo.topics import DETECTIONS, FINDINGS, QUARANTINE, READINGS, SHADOW, STATUS, Topic

IN_THE_STORE: Final[tuple[tuple[str, Topic], ...]] = (
    (recorder.GROUP, READINGS),
    (recorder.GROUP, DETECTIONS),
    (recorder.GROUP, SHADOW),
    (recorder.GROUP, QUARANTINE),
    (recorder.GROUP, STATUS),
    (desk.GROUP, FINDINGS),
    (demand.GROUP, FINDINGS),
)
