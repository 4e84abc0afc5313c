"""The national geohazard IoT platform's payload: device, sensor `<class>_<method>_<number>`, time, fields.

    {"17165802": {"L1_GP_1": {"2026-03-14T06:00:00.000Z": {"gpsTotalZ": 3.2}}}}

Several times are back-fill. Gateways in the field send it bare, after one control byte, or in a frame of type (1 byte)
and length (2 bytes, big endian); the encrypted envelope is refused, as nobody has given us its keys. What the classes,
methods and fields mean to us is a table; all of it is to be confirmed by the county's own bureau.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from services.ingest.decoders.parts import MAX_READINGS, from_epoch, number, refuse, shown, too_many, written
from services.ingest.observation import Observation, Refused


class Taken(msgspec.Struct, frozen=True):
    """A field that becomes a reading. `apart` gives the sensor a station of its own, `{device}-{method}-{number}`.

    Apart is what would otherwise be one station's metric twice: surface and deep displacement of one device.
    """

    metric: str
    unit: str
    apart: bool = False


Table = Mapping[tuple[str, str], Taken | None]

# (class_method, field): a reading; or None, what is known and not taken: raw satellite data, the state of the device,
# and physical quantities that no rule uses yet. Whatever is not here is refused, so that nothing is lost unseen.
FIELDS: Final[Table] = {
    ("L1_LF", "value"): Taken("crack", "mm"),
    ("L1_GP", "gpsTotalX"): Taken("displacement_x", "mm"),
    ("L1_GP", "gpsTotalY"): Taken("displacement_y", "mm"),
    ("L1_GP", "gpsTotalZ"): Taken("displacement_z", "mm"),
    ("L1_GP", "gpsInitial"): None,
    ("L1_SW", "dispsX"): Taken("displacement_x", "mm", apart=True),
    ("L1_SW", "dispsY"): Taken("displacement_y", "mm", apart=True),
    ("L1_QJ", "angle"): Taken("tilt", "deg"),
    ("L1_QJ", "X"): None,
    ("L1_QJ", "Y"): None,
    ("L1_QJ", "Z"): None,
    ("L1_QJ", "AZI"): None,
    ("L1_JS", "gX"): None,
    ("L1_JS", "gY"): None,
    ("L1_JS", "gZ"): None,
    ("L1_ZD", "PLX"): None,
    ("L1_ZD", "PLY"): None,
    ("L1_ZD", "PLZ"): None,
    ("L1_ZD", "value"): None,
    # The names of class L3 and what `value` counts (the fall since the last report) are unconfirmed.
    ("L3_YL", "value"): Taken("rain", "mm"),
    ("L3_YL", "totalValue"): None,
    ("L3_QW", "value"): Taken("temperature", "°C"),
    ("L3_HS", "value"): Taken("soil_moisture", "%"),
    ("S1_ZT", "ext_power_volt"): Taken("battery", "V"),
    ("S1_ZT", "solar_volt"): None,
    ("S1_ZT", "battery_dump_energy"): None,
    ("S1_ZT", "signal_4g"): None,
    ("S1_ZT", "sensor_state"): None,
    ("S1_ZT", "temp"): None,  # inside the device's case
    ("S1_ZT", "humidity"): None,
    ("S1_ZT", "lon"): None,
    ("S1_ZT", "lat"): None,
}

# Device, sensor, time, field, and a state that is an object itself.
MAX_DEPTH: Final = 6

_SENSOR: Final = re.compile(r"([A-Z][0-9]_[A-Z]{1,8})_([0-9]{1,4})", re.ASCII)
# Field devices also write numbers as text.
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_MILLISECONDS: Final = re.compile(r"[0-9]{13}", re.ASCII)
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ].{1,30}", re.ASCII)

Found = Iterator[Observation | Refused]


class _Seen(msgspec.Struct, frozen=True):
    """Where and when a field was measured, and the bytes that say it alone."""

    device: str
    sensor: re.Match[str]
    time: datetime
    raw: bytes


def decode(payload: bytes, received: datetime, fields: Table = FIELDS) -> Found:
    """Every reading of a payload, or why it is not taken; a bad one does not spoil its neighbours.

    Values without a time are stamped with `received`.
    """
    devices = _open(payload)
    if isinstance(devices, Refused):
        yield devices
        return
    count = sum(_size(sensor) for sensors in devices.values() for sensor in _values(sensors))
    if count > MAX_READINGS:
        yield too_many(count, payload)
        return
    for device, sensors in devices.items():
        if not isinstance(sensors, dict):
            yield refuse(
                "not_a_payload",
                f"设备 {shown(device)} 之下应为传感器对象，得到 {shown(sensors)}",
                f"below device {shown(device)} an object of sensors is expected, got {shown(sensors)}",
                written({device: sensors}),
            )
            continue
        for sensor, times in sensors.items():
            yield from _sensor(device, sensor, times, received, fields)


def _open(payload: bytes) -> dict[str, Any] | Refused:
    """The JSON inside whatever it came in."""
    body = _unframed(payload)
    if isinstance(body, Refused):
        return body
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return refuse(
            "not_json", f"报文不是有效的 JSON：{error}", f"the message is not valid JSON: {error}", payload
        )
    if not isinstance(value, dict) or _deeper(value, MAX_DEPTH):
        return refuse(
            "not_a_payload",
            f"应为 {MAX_DEPTH} 层以内的设备对象，得到 {shown(value)}",
            f"expected an object of devices, nested no deeper than {MAX_DEPTH}, got {shown(value)}",
            payload,
        )
    if "bodies" in value or "header" in value:
        header = value.get("header")
        app = shown(header.get("appId")) if isinstance(header, dict) else "?"
        return refuse(
            "encrypted",
            f"报文已加密（appId {app}），本系统没有密钥；请让网关发送明文，由 TLS 保护",
            f"the message is encrypted (appId {app}) and its key is not known here: "
            "let the gateway send it plain, protected by TLS",
            payload,
        )
    return value


def _unframed(payload: bytes) -> bytes | Refused:
    if payload[3:4] == b"{" and payload[:1] < b" ":
        length, body = int.from_bytes(payload[1:3], "big"), payload[3:]
        if payload[1:2] != b"{" and length != len(body):
            return refuse(
                "wrong_length",
                f"数据帧声明 {length} 字节，实有 {len(body)} 字节",
                f"the frame says {length} bytes, {len(body)} came",
                payload,
            )
        if length == len(body):
            return body
    return payload[1:] if payload[:1] < b" " and payload[1:2] == b"{" else payload


def _deeper(value: Any, levels: int) -> bool:
    """Whether objects and arrays are nested deeper than `levels`."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is not None and (levels == 0 or any(_deeper(item, levels - 1) for item in inner))


def _values(sensors: Any) -> list[Any]:
    return list(sensors.values()) if isinstance(sensors, dict) else [sensors]


def _size(times: Any) -> int:
    """How many fields a sensor's object holds."""
    if not isinstance(times, dict):
        return 1
    return max(1, sum(len(fields) if isinstance(fields, dict) else 1 for fields in times.values()))


def _sensor(device: str, sensor: str, times: Any, received: datetime, fields: Table) -> Found:
    """All of one sensor's times and fields; a bare value is the field `value`, and without a time it is of now."""
    match = _SENSOR.fullmatch(sensor)
    if match is None:
        yield refuse(
            "unknown_sensor",
            f"传感器 {shown(sensor)} 应写作「类_方法_序号」，如 L1_GP_1",
            f"sensor {shown(sensor)} must be class_method_number such as L1_GP_1",
            written({device: {sensor: times}}),
        )
        return
    timed = isinstance(times, dict) and bool(times) and all(key[:1].isdigit() for key in times)
    for stamp, found in (times if timed else {received.isoformat(): times}).items():
        time = _time(stamp)
        for field, value in (found if isinstance(found, dict) else {"value": found}).items():
            raw = written({device: {sensor: {stamp: {field: value}}}})
            if time is None:
                yield refuse(
                    "wrong_time",
                    f"时间 {shown(stamp)} 应带时区，如 2026-03-14T06:00:00.000Z",
                    f"time {shown(stamp)} must have its zone, such as 2026-03-14T06:00:00.000Z",
                    raw,
                )
            else:
                yield from _field(_Seen(device, match, time, raw), field, value, fields)


def _field(seen: _Seen, field: str, value: Any, fields: Table) -> Found:
    sensor, raw = seen.sensor, seen.raw
    kind, nth = sensor[1], int(sensor[2])
    if (kind, field) not in fields:
        yield refuse(
            "unknown_field",
            f"不认识 {sensor[0]} 的字段 {shown(field)}",
            f"field {shown(field)} of {sensor[0]} is not known",
            raw,
        )
        return
    taken = fields[kind, field]
    if taken is None:
        return
    amount = float(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else number(value)
    if amount is None:
        yield refuse(
            "wrong_type",
            f"{sensor[0]} 的 {field} 应为有限数字，得到 {shown(value)}",
            f"{field} of {sensor[0]} must be a finite number, got {shown(value)}",
            raw,
        )
        return
    own = taken.apart or nth != 1
    station = f"{seen.device}-{kind.partition('_')[2]}-{nth}" if own else seen.device
    yield Observation(station, taken.metric, seen.time, amount, taken.unit, None, raw)


def _time(stamp: str) -> datetime | None:
    """A time with its zone, or milliseconds since 1970; None for anything else."""
    if _MILLISECONDS.fullmatch(stamp):
        return from_epoch(int(stamp) / 1000)
    if not _TIME.fullmatch(stamp):
        return None
    try:
        time = datetime.fromisoformat(stamp)
        return time.astimezone(UTC) if time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
