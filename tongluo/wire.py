"""Structs to bytes and back, versioned: what stands in the log can be read by the next release and by a person."""

from datetime import datetime
from typing import Final, Generic, TypeVar

import msgspec

from tongluo.errors import WireError
from tongluo.finding import Finding
from tongluo.reading import Reading, Refusal

T = TypeVar("T")

VERSION: Final = 1


class _Envelope(msgspec.Struct, Generic[T], frozen=True):
    v: int
    d: T


class Codec(Generic[T]):
    """JSON of one type inside `{"v":1,"d":…}`. Raises WireError on bytes of another kind or version."""

    def __init__(self, kind: type[T]) -> None:
        self._name = kind.__name__
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(_Envelope[kind])  # type: ignore[valid-type]

    def encode(self, value: T) -> bytes:
        return self._encoder.encode(_Envelope(VERSION, value))

    def decode(self, data: bytes) -> T:
        try:
            envelope = self._decoder.decode(data)
        except msgspec.MsgspecError as error:
            raise WireError(f"not a {self._name}: {error}") from error
        if envelope.v != VERSION:
            raise WireError(f"a {self._name} of version {envelope.v}; this program reads version {VERSION}")
        return envelope.d


READING: Final = Codec(Reading)
REFUSAL: Final = Codec(Refusal)
FINDING: Final = Codec(Finding)


def iso(moment: datetime | None) -> str | None:
    """RFC 3339 text of an aware time, for JSON that leaves the program."""
    return moment.isoformat() if moment is not None else None
