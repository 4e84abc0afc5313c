"""The hazards by name, in the users' languages."""

from typing import Final

import msgspec


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The same in the users' languages."""

    zh: str
    en: str


HAZARDS: Final = {
    "rainstorm": Words("暴雨", "rainstorm"),
    "flash_flood": Words("山洪", "flash flood"),
    "flash_flood_upstream": Words("上游来水山洪", "flash flood from upstream"),
    "landslide_rain": Words("地质灾害气象风险", "rain-induced landslide"),
    "landslide": Words("滑坡", "landslide"),
    "landslide_compound": Words("滑坡综合", "landslide (compound)"),
    "tailings": Words("尾矿库", "tailings pond"),
    "forest_fire": Words("森林火灾", "forest fire"),
    "silence": Words("监测中断", "monitoring silence"),
}


def hazard_name(hazard: str) -> Words:
    """The name people use; a hazard without one is called by its id."""
    return HAZARDS.get(hazard, Words(hazard, hazard))
