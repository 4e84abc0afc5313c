"""What the reader of a replay must know, in the users' languages."""

from collections.abc import Sequence
from typing import Final

from tongluo.hazards import Words

_NAMED: Final = 5


def strangers(names: Sequence[str], *, all_of_them: bool) -> Words:
    """Stations that are not registered."""
    if all_of_them:
        return Words(
            "没有登记信息：每个测站各算一个隐患点，类型按监测量推定（--site-kind 可指定），按规则自带的阈值判断。",
            "No station is registered: each is a site of its own, of the kind that its metrics "
            "suggest (or --site-kind), judged by the rules' own thresholds.",
        )
    listed = ", ".join(names[:_NAMED]) + ("…" if len(names) > _NAMED else "")
    return Words(
        f"{len(names)} 个测站没有登记（{listed}）：各算一个隐患点，按规则自带的阈值判断。",
        f"{len(names)} stations are not registered ({listed}): each is a site of its own, of the kind that its metrics "
        "suggest (or --site-kind), judged by the rules' own thresholds.",
    )


def unknown_metrics(names: Sequence[str]) -> Words:
    """Metrics that nobody judges."""
    listed = ", ".join(names[:_NAMED])[:200] + ("…" if len(names) > _NAMED else "")
    return Words(
        f"没有规则判断的监测量未用：{listed}。", f"Metrics that are not known were left out: {listed}."
    )


def missing(number: int) -> Words:
    """Rows without a value."""
    return Words(f"{number} 行没有数值。", f"{number} rows had no value.")


def twice(number: int, contradicting: int) -> Words:
    """Readings whose station, metric and time came before."""
    return Words(
        f"{number} 条读数的测站、监测量和时间重复，只算一次；其中 {contradicting} 条数值不同，取最大的。",
        f"{number} readings had a station, metric and time that came before and count once; of {contradicting} of them "
        "with another value the greatest counts.",
    )


FLAGGED: Final = Words(
    "质量标记按历史里记录的使用，没有重新检查。",
    "Quality flags are those of the history; the readings were not inspected anew.",
)
SILENCES: Final = Words(
    "监测中断按读数的时间推算：网关离线和供电情况不在历史里。",
    "Silences follow from when stations were heard: nothing is known of gateways offline or without power.",
)
NO_SILENCES: Final = Words(
    "没有登记测站的上报间隔，未判断监测中断。",
    "Nobody's interval is registered: silences were not judged.",
)
NO_DETECTIONS: Final = Words(
    "没有给出摄像机识别结果，未判断森林火灾。",
    "No detections were given: forest fires were not judged.",
)
