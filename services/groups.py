"""Who reads which topic: what the lag, a settled program and trimming go by."""

from typing import Final

from services.ingest import recorder
from services.ingest.downlink import demand
from services.notify import desk
from services.rules import groups as rules
from tongluo.topics import DETECTIONS, FINDINGS, QUARANTINE, READINGS, SHADOW, SIGNALS, STATUS, Topic

# In the order in which a reading meets them.
IN_THE_LOG: Final[tuple[tuple[str, Topic], ...]] = ((rules.STATIONS, READINGS), (rules.COUNTY, SIGNALS))
IN_THE_STORE: Final[tuple[tuple[str, Topic], ...]] = (
    (recorder.GROUP, READINGS),
    (recorder.GROUP, DETECTIONS),
    (recorder.GROUP, SHADOW),
    (recorder.GROUP, QUARANTINE),
    (recorder.GROUP, STATUS),
    (desk.GROUP, FINDINGS),
    (demand.GROUP, FINDINGS),
)
