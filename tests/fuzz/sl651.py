"""Coverage-guided fuzzing of the SL 651 decoder: `python -m tests.fuzz.sl651 [libFuzzer's arguments]` (docs/formats.md).

Half of the inputs are payloads as they are; of the others the checksum and the length are made right, so that what lies
behind them is reached. Any exception ends the run, and so does a stream that is read otherwise when it is cut.
"""

import sys
from datetime import UTC, datetime

import atheris

RECEIVED = datetime(2026, 7, 1, tzinfo=UTC)

with atheris.instrument_imports():
    from services.ingest.decoders import sl651
    from services.ingest.decoders.sl651.frames import ETX, Frame, FrameReader, encode
    from services.ingest.observation import Observation, Refused


def one_input(data: bytes) -> None:
    if not data:
        return
    payload = data[1:] if data[0] & 1 else _sealed(data[1:])
    outcomes = list(sl651.decode(payload, RECEIVED))
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            if not (outcome.code and outcome.reason.zh and outcome.reason.en):
                raise AssertionError(f"a refusal without its reason: {outcome}")
        elif not isinstance(outcome, Observation) or outcome.time.tzinfo is None:
            raise AssertionError(f"neither refused nor observed: {outcome}")
    middle = data[0] * len(payload) // 256
    whole, halves = FrameReader(), FrameReader()
    if [*whole.feed(payload), *whole.finish()] != [
        *halves.feed(payload[:middle]),
        *halves.feed(payload[middle:]),
        *halves.finish(),
    ]:
        raise AssertionError("cutting a stream changed what it says")


def _sealed(data: bytes) -> bytes:
    """A frame around a body: the first byte chooses the function."""
    function, body = 0x2F + (data[0] % 13 if data else 0), data[1:4095] or b"\x00"
    return encode(Frame(5, "0070512301", 0, function, False, None, body, ETX, b""))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
