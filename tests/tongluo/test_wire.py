from datetime import UTC, datetime

import pytest

from tongluo import wire
from tongluo.errors import WireError
from tongluo.reading import Quality, Reading, Refusal

READING = Reading("R-1", "rain", datetime(2026, 7, 1, tzinfo=UTC), 0.5, "S-1", "G-1", Quality.OUT_OF_RANGE, 7)


def test_what_is_written_is_read() -> None:
    assert wire.READING.decode(wire.READING.encode(READING)) == READING


def test_any_bytes_survive_quarantine() -> None:
    refusal = Refusal("G-1", "t", datetime(2026, 7, 1, tzinfo=UTC), "not_json", "warum", bytes(range(256)))
    assert wire.REFUSAL.decode(wire.REFUSAL.encode(refusal)) == refusal


@pytest.mark.parametrize("data", [b"", b"{", b'{"v":1,"d":{}}', b"[1]", b"\xff"])
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        wire.READING.decode(data)


def test_a_newer_version_is_named() -> None:
    with pytest.raises(WireError, match="version 2"):
        wire.READING.decode(wire.READING.encode(READING).replace(b'"v":1', b'"v":2', 1))
