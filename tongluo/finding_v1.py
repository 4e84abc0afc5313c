"""What findings said before their evidence had sentences, in the words they have had since (version 2).

Between built-in values, so that it stays as it is whatever becomes of the types: the log and the store hold both.
"""

from collections.abc import Mapping
from typing import Any, Final

#: Version 1 did not say where its level was given up: at this share of its threshold in the built-in catalogue.
_RELEASE: Final = 0.8
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_UNIT_ZH: Final = {"s": "秒", "m": "分钟", "h": "小时", "d": "天"}
_UNIT_EN: Final = {"s": "s", "m": "min", "h": "h", "d": "d"}
_LEVEL_ZH: Final = {"blue": "蓝色", "yellow": "黄色", "orange": "橙色", "red": "红色"}


def evidence_in_version_2(old: Mapping[str, Any]) -> dict[str, Any]:
    """Evidence of version 1 (rain in mm by window: `{"3h": 52.1}`) as evidence of version 2."""
    sums: Mapping[str, float] = old["indicators_mm"]
    windows = sorted(sums, key=_window_s)
    measures = [_measure(window, sums[window]) for window in windows]
    criterion = old.get("criterion")
    decided: str | None = criterion["window"] if criterion is not None else next(reversed(windows), None)
    amount = sums.get(decided) if decided is not None else None
    figure = {"zh": "", "en": ""} if decided is None or amount is None else _figure(decided, amount)
    new = {
        **{name: old[name] for name in ("rule", "rule_version", "station", "time")},
        "sentence": _sentence(old["station"], figure, criterion),
        "figure": figure,
        "metric": "rain",
        "measures": measures,
    }
    if criterion is not None:
        new["criterion"] = {
            "level": criterion["level"],
            "indicator": f"rain_{criterion['window']}",
            "reach": criterion["reach_mm"],
            "release": round(criterion["reach_mm"] * _RELEASE, 6),
        }
    return new


def _measure(window: str, amount: float) -> dict[str, Any]:
    number, unit = window[:-1], window[-1]
    return {
        "indicator": f"rain_{window}",
        "name": {"zh": f"{number}{_UNIT_ZH[unit]}雨量", "en": f"rain in {number} {_UNIT_EN[unit]}"},
        "value": amount,
        "unit": "mm",
        "window_s": _window_s(window),
    }


def _figure(window: str, amount: float) -> dict[str, str]:
    number, unit = window[:-1], window[-1]
    return {
        "zh": f"{number}{_UNIT_ZH[unit]}雨量 {amount:.1f} 毫米",
        "en": f"{amount:.1f} mm of rain in {number} {_UNIT_EN[unit]}",
    }


def _sentence(station: str, figure: Mapping[str, str], criterion: Mapping[str, Any] | None) -> dict[str, str]:
    zh, en = f"{station}：{figure['zh']}", f"{station}: {figure['en']}"
    if criterion is not None:
        level, reach = criterion["level"], criterion["reach_mm"]
        zh, en = f"{zh}，{_LEVEL_ZH[level]}线 {reach:g} 毫米", f"{en}; {level} from {reach:g} mm"
    return {"zh": zh, "en": en}


def _window_s(window: str) -> float:
    return float(window[:-1]) * _SECONDS[window[-1]]
