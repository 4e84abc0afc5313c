"""Bearings: degrees clockwise from north, in [0, 360)."""

from collections.abc import Iterable

from tongluo.detection import Detection


def wrapped(degrees: float) -> float:
    """The same direction in [0, 360)."""
    turned = degrees % 360.0
    # A tiny negative angle is rounded up to 360 itself.
    return 0.0 if turned >= 360.0 else turned


def between(one: float, other: float) -> float:
    """The angle between two directions, 0 to 180 degrees."""
    apart = abs(one - other) % 360.0
    return min(apart, 360.0 - apart)


def of_box(pose_deg: float, view_deg: float, left: float, right: float) -> tuple[float, float]:
    """Azimuth and cone (degrees) of a box from `left` to `right`, in shares (0..1) of a picture's width.

    azimuth = (pose azimuth + angle of view * (centre - 0.5)) mod 360, cone = angle of view * width (Pyronear,
    pyro-api `services/cones.py`); no lens is corrected. Raises ValueError for a box that is none, or a view that is
    not in (0, 360].
    """
    if not 0.0 <= left < right <= 1.0:
        raise ValueError(f"a box from {left} to {right} is none: 0 <= left < right <= 1")
    if not 0.0 < view_deg <= 360.0:
        raise ValueError(f"an angle of view of {view_deg} degrees is none: 0 < view <= 360")
    return wrapped(pose_deg + view_deg * ((left + right) / 2 - 0.5)), view_deg * (right - left)


def within(azimuth_deg: float, begin_deg: float, end_deg: float) -> bool:
    """Whether a bearing lies in the sector from `begin_deg` clockwise to `end_deg`, both included.

    A sector of 360 degrees is everything, one of none its own bearing only.
    """
    if end_deg - begin_deg >= 360.0:
        return True
    return wrapped(azimuth_deg - begin_deg) <= wrapped(end_deg - begin_deg)


def masked(detection: Detection, masks: Iterable[tuple[float, float]]) -> bool:
    """Whether the middle of what was seen lies in one of a camera's masks (from, to clockwise)."""
    return any(within(detection.azimuth_deg, begin, end) for begin, end in masks)
