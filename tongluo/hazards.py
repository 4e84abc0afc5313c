"""The hazards by name, in the users' languages."""

from typing import Final

import msgspec


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same in the users' languages."""

    zh: str
    en: str


HAZARDS: Final = {"rainstorm": Words("暴雨", "rainstorm")}


def hazard_name(hazard: str) -> Words:
    """The name people use; a hazard without one is called by its id."""
    return HAZARDS.get(hazard, Words(hazard, hazard))
