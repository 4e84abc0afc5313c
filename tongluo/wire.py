"""Structs to bytes and back, versioned: what stands in the log can be read by the next release and by a person."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec

from tongluo.detection import Detection
from tongluo.errors import WireError
from tongluo.finding import Finding, Level
from tongluo.finding_v1 import evidence_in_version_2
from tongluo.gateway import GatewayStatus
from tongluo.hazards import Words
from tongluo.liveness import StationEvent
from tongluo.quality import Flag
from tongluo.reading import Reading, Refusal
from tongluo.readings import Readings, gathered
from tongluo.signal import Signal, Spoke, time_of

T = TypeVar("T")


class _Envelope(msgspec.Struct, Generic[T], frozen=True):
    v: int
    d: T


class Codec(Generic[T]):
    """JSON of one type inside `{"v":1,"d":…}`. Raises WireError on bytes of another kind or version.

    `older` reads what an earlier version of the same type wrote; it raises MsgspecError on anything else. `fault` says
    what the type alone cannot: why a value of it is none all the same. `name` is what a union is called.
    """

    def __init__(
        self,
        kind: type[T],
        version: int = 1,
        older: Callable[[bytes], T] | None = None,
        fault: Callable[[T], str | None] | None = None,
        name: str | None = None,
    ) -> None:
        self._name = name or kind.__name__
        self._version = version
        self._older = older
        self._fault = fault
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(_Envelope[kind])  # type: ignore[valid-type]

    def encode(self, value: T) -> bytes:
        return self._encoder.encode(_Envelope(self._version, value))

    def decode(self, data: bytes) -> T:
        try:
            envelope = self._decoder.decode(data)
        except msgspec.MsgspecError as error:
            return self._decode_older(data, error)
        if envelope.v == self._version:
            wrong = self._fault(envelope.d) if self._fault else None
            if wrong is not None:
                raise WireError(f"not a {self._name}: {wrong}")
            return envelope.d
        fault = f"a {self._name} of version {envelope.v}; this program reads version {self._version}"
        if envelope.v > self._version:
            raise WireError(fault)
        return self._decode_older(data, ValueError(fault))

    def _decode_older(self, data: bytes, fault: Exception) -> T:
        if self._older is not None:
            with suppress(msgspec.MsgspecError):
                return self._older(data)
        raise WireError(f"not a {self._name}: {fault}") from fault


class _RefusalV1(msgspec.Struct, frozen=True):
    """A refusal when its reason was one text, the languages set apart by ` · `."""

    gateway: str
    topic: str
    received: datetime
    code: str
    reason: str
    payload: bytes


_refusal_v1: Final = msgspec.json.Decoder(_Envelope[_RefusalV1])


def _refusal_of_v1(data: bytes) -> Refusal:
    old = _refusal_v1.decode(data).d
    zh, _, en = old.reason.partition(" · ")
    return Refusal(old.gateway, old.topic, old.received, old.code, Words(zh, en or zh), old.payload)


class _ReadingV1(msgspec.Struct, frozen=True):
    """One reading by itself, when a word said all that was known against it."""

    station: str
    metric: str
    time: datetime
    value: float
    site: str
    gateway: str
    quality: str = "good"
    seq: int | None = None


_reading_v1: Final = msgspec.json.Decoder(_Envelope[_ReadingV1])


def _readings_of_v1(data: bytes) -> Readings:
    old = _reading_v1.decode(data).d
    flags = 0 if old.quality == "good" else int(Flag.RANGE)
    one = Reading(old.station, old.metric, old.time, old.value, old.site, old.gateway, flags, old.seq)
    return gathered([one])


def _signal_fault(signal: Signal) -> str | None:
    times = [time_of(signal)]
    if isinstance(signal, Spoke) and signal.event.last is not None:
        times.append(signal.event.last)
    return "a time without an offset" if any(time.tzinfo is None for time in times) else None


class _CriterionV1(msgspec.Struct, frozen=True):
    level: Level
    window: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,9}[smhd]$")]
    reach_mm: float


class _EvidenceV1(msgspec.Struct, frozen=True):
    """Evidence when there were rolling rain sums alone: mm by window."""

    rule: str
    rule_version: str
    station: str
    time: datetime
    indicators_mm: dict[Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,9}[smhd]$")], float]
    criterion: _CriterionV1 | None = None


class _FindingV1(msgspec.Struct, frozen=True):
    rule: str
    hazard: str
    site: str
    time: datetime
    level: Level | None
    evidence: _EvidenceV1


_finding_v1: Final = msgspec.json.Decoder(_Envelope[_FindingV1])


def _finding_of_v1(data: bytes) -> Finding:
    old: dict[str, Any] = msgspec.to_builtins(_finding_v1.decode(data).d)
    return msgspec.convert({**old, "evidence": evidence_in_version_2(old["evidence"])}, Finding)


READINGS: Final = Codec(Readings, version=2, older=_readings_of_v1, fault=Readings.fault)
REFUSAL: Final = Codec(Refusal, version=2, older=_refusal_of_v1)
FINDING: Final = Codec(Finding, version=2, older=_finding_of_v1)
DETECTION: Final = Codec(Detection)
STATUS: Final = Codec(GatewayStatus)
EVENT: Final = Codec(StationEvent)
SIGNAL: Final[Codec[Signal]] = Codec(Signal, fault=_signal_fault, name="Signal")  # type: ignore[arg-type]


def iso(moment: datetime | None) -> str | None:
    """RFC 3339 text of an aware time, for JSON that leaves the program."""
    return moment.isoformat() if moment is not None else None
