"""What the loudspeaker asks people to do, by hazard and level. Plain Mandarin; the county's own wording may replace it."""

import enum
from typing import Final

from tongluo.finding import Level


class Danger(enum.Enum):
    """Hazards that ask for the same."""

    WATER = "water"
    SLOPE = "slope"
    POND = "pond"
    FIRE = "fire"
    SILENCE = "silence"


_DANGER: Final = {
    "rainstorm": Danger.WATER,
    "flash_flood": Danger.WATER,
    "landslide_rain": Danger.SLOPE,
    "landslide": Danger.SLOPE,
    "landslide_compound": Danger.SLOPE,
    "tailings": Danger.POND,
    "forest_fire": Danger.FIRE,
    "silence": Danger.SILENCE,
}

_TO_THE_DUTY_ROOM: Final = "请值班人员核查设备和通信，必要时派人到现场查看。"

_ADVICE: Final = {
    Danger.WATER: {
        Level.RED: "请立即转移到安全地点，远离山边、河边和低洼处。",
        Level.ORANGE: "请做好转移准备，远离山边、河边和低洼处，听从村干部安排。",
        Level.YELLOW: "请减少外出，留意山边、河边和低洼处的险情。",
        Level.BLUE: "请关注天气变化。",
    },
    Danger.SLOPE: {
        Level.RED: "请山坡下和沟口的群众立即转移到安全地点，不要返回取物，不要进入危险区。",
        Level.ORANGE: "请山坡下和沟口的群众做好转移准备，夜间不要留宿，听从村干部安排。",
        Level.YELLOW: "请留意山坡裂缝、掉块和井水泉水的变化，发现异常立即报告。",
        Level.BLUE: "请留意山坡变化。",
    },
    Danger.POND: {
        Level.RED: "请尾矿库下游的群众立即向两侧高处转移，不要沿沟谷向下走，不要进入库区。",
        Level.ORANGE: "请尾矿库下游的群众做好转移准备，远离沟谷和库区，听从村干部安排。",
        Level.YELLOW: "请尾矿库下游的群众留意通知，不要进入库区和沟谷。",
        Level.BLUE: "请尾矿库下游的群众留意通知。",
    },
    Danger.FIRE: {
        Level.RED: "请周边群众立即撤离到开阔安全地带，逆风绕开火头，未经组织不要上山扑火。",
        Level.ORANGE: "请周边群众做好撤离准备，不要上山，未经组织不要扑火，听从村干部安排。",
        Level.YELLOW: "请不要进入林区，发现烟火立即报告。",
        Level.BLUE: "请注意林区用火安全。",
    },
    Danger.SILENCE: dict.fromkeys(Level, _TO_THE_DUTY_ROOM),
}

_OF_ANY: Final = {
    Level.RED: "请立即转移到安全地点，听从村干部安排。",
    Level.ORANGE: "请做好转移准备，听从村干部安排。",
    Level.YELLOW: "请减少外出，留意险情。",
    Level.BLUE: "请留意通知。",
}


def advice(hazard: str, level: Level) -> str:
    """What to do, in one or two sentences; for a hazard that is not known here, what is right in any."""
    danger = _DANGER.get(hazard)
    return (_ADVICE[danger] if danger is not None else _OF_ANY)[level]
