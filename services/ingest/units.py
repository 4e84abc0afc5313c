"""Units gateways may send, and how they become the metric's own unit: own = sent x factor + offset."""

from typing import Final

_LENGTHS_M: Final = {"m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0, "in": 0.0254, "ft": 0.3048}

_FACTORS: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "mm": {unit: (metres * 1000.0, 0.0) for unit, metres in _LENGTHS_M.items()},
    "m": {unit: (metres, 0.0) for unit, metres in _LENGTHS_M.items()},
    "deg": {
        "deg": (1.0, 0.0),
        "°": (1.0, 0.0),
        "rad": (57.29577951308232, 0.0),
        "mrad": (0.05729577951308232, 0.0),
    },
    "kPa": {
        "kPa": (1.0, 0.0),
        "Pa": (0.001, 0.0),
        "MPa": (1000.0, 0.0),
        "hPa": (0.1, 0.0),
        "bar": (100.0, 0.0),
    },
    "l/s": {
        "l/s": (1.0, 0.0),
        "L/s": (1.0, 0.0),
        "m3/s": (1000.0, 0.0),
        "m3/h": (1 / 3.6, 0.0),
        "l/min": (1 / 60, 0.0),
    },
    "%": {"%": (1.0, 0.0), "%RH": (1.0, 0.0), "1": (100.0, 0.0), "/": (100.0, 0.0)},
    "m/s": {"m/s": (1.0, 0.0), "km/h": (1 / 3.6, 0.0), "kn": (0.514444, 0.0)},
    "°C": {
        "°C": (1.0, 0.0),
        "C": (1.0, 0.0),
        "Cel": (1.0, 0.0),
        "K": (1.0, -273.15),
        "°F": (5 / 9, -160 / 9),
        "degF": (5 / 9, -160 / 9),
    },
    "V": {"V": (1.0, 0.0), "mV": (0.001, 0.0)},
}


def known(own: str) -> tuple[str, ...]:
    """The units that can be converted into `own`."""
    return tuple(_FACTORS[own])


def convert(value: float, sent: str, own: str) -> float | None:
    """`value` in the metric's own unit, or None when `sent` is not known for it."""
    if sent == own:
        return value
    found = _FACTORS[own].get(sent)
    return None if found is None else value * found[0] + found[1]
