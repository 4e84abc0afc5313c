"""What the judgements are called where they read the log; apart, so that saying it does not load them."""

from typing import Final

STATIONS: Final = "rules"
COUNTY: Final = "county rules"
SHADOW: Final = "shadow rules"
