"""Frames survive noise, splitting and gluing, and whatever else the line does to them; packets too."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.decoders import sl651
from services.ingest.decoders.sl651.acknowledge import acknowledge, request
from services.ingest.decoders.sl651.assembly import MAX_REPORTS, PATIENCE, Assembly, Missing
from services.ingest.decoders.sl651.body import Report
from services.ingest.decoders.sl651.body import read as read_body
from services.ingest.decoders.sl651.frames import (
    ACK,
    EOT,
    ESC,
    ETB,
    ETX,
    MAX_FRAME_BYTES,
    MAX_REFUSED_BYTES,
    NAK,
    Frame,
    FrameReader,
    Packet,
    crc16,
    encode,
)
from services.ingest.decoders.sl651.session import Session
from services.ingest.observation import Observation, Refused
from tests.services.ingest.decoders import sl651_goldens

RECEIVED = datetime(2026, 7, 1, tzinfo=UTC)

NOW = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)

stations = st.binary(min_size=5, max_size=5).map(lambda data: data.hex().upper())
frames = st.builds(
    Frame,
    centre=st.integers(0, 255),
    station=stations,
    password=st.integers(0, 0xFFFF),
    function=st.integers(0, 255),
    downlink=st.just(value=False),
    packet=st.none() | st.builds(Packet, total=st.integers(0, 4095), number=st.integers(0, 4095)),
    # Bodies that look like frames, and are full of closing characters.
    body=st.binary(min_size=1, max_size=40) | st.lists(st.sampled_from(b"\x7e\x03\x17\x02\x16\x00")).map(lambda x: bytes([1, *x])),
    end=st.sampled_from((ETX, ETB)),
    raw=st.just(b""),
)  # fmt: skip


def sealed(frame: Frame) -> Frame:
    """The frame as a reader gives it."""
    raw = encode(frame)
    return Frame(
        frame.centre, frame.station, frame.password, frame.function, frame.downlink, frame.packet, frame.body, frame.end, raw
    )  # fmt: skip


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:stop] for start, stop in pairwise(edges)]


def read(pieces: list[bytes]) -> list[Frame | Refused]:
    reader = FrameReader()
    found = [item for piece in pieces for item in reader.feed(piece)]
    found += reader.finish()
    assert not reader.waiting
    return found


def only_frames(found: list[Frame | Refused]) -> list[Frame]:
    return [item for item in found if isinstance(item, Frame)]


def test_the_checksum_is_the_published_one() -> None:
    assert crc16(b"123456789") == 0x4B37  # CRC-16/MODBUS


@given(st.lists(frames, max_size=5), st.lists(st.integers(0, 10_000), max_size=12))
def test_frames_glued_and_split_anywhere_come_out_as_they_were(
    given_frames: list[Frame], places: list[int]
) -> None:
    whole = [sealed(frame) for frame in given_frames]
    stream = b"".join(frame.raw for frame in whole)
    assert read(cut(stream, places)) == whole


@given(st.lists(st.tuples(st.binary(max_size=60), frames), max_size=4), st.binary(max_size=60))
def test_no_garbage_hides_a_frame_and_none_of_it_is_lost(
    parts: list[tuple[bytes, Frame]], tail: bytes
) -> None:
    whole = [sealed(frame) for _, frame in parts]
    stream = b"".join(garbage + frame.raw for (garbage, _), frame in zip(parts, whole, strict=True)) + tail
    found = read([stream])
    assert [frame for frame in whole if frame in found] == whole
    assert b"".join(item.raw for item in found) == stream


@given(
    st.binary(max_size=400) | st.lists(frames, max_size=3).map(lambda some: b"".join(map(encode, some))[:-1])
)
def test_how_a_stream_is_cut_changes_nothing(stream: bytes) -> None:
    assert read([stream[at : at + 1] for at in range(len(stream))]) == read([stream])


@given(frames, st.data())
def test_a_truncated_frame_is_no_frame_and_does_not_swallow_the_next(
    frame: Frame, data: st.DataObject
) -> None:
    raw = encode(frame)
    whole = sealed(frame)
    short = raw[: data.draw(st.integers(2, len(raw) - 1))]
    found = read([short + raw])
    assert whole in found
    assert [item.code for item in read([short]) if isinstance(item, Refused)] == ["sl651_truncated"]


@given(frames, st.data())
def test_a_frame_with_one_bit_turned_is_refused(frame: Frame, data: st.DataObject) -> None:
    raw = bytearray(encode(frame))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert sealed(frame) not in read([bytes(raw)])


def test_crafted_false_starts_cost_no_more_than_their_bytes_are_worth() -> None:
    reader = FrameReader()
    # Each announces a frame of 737 bytes, with a closing character in its place and a checksum that fails.
    start = bytes.fromhex("7E7E010012345678000032" + "02D0" + "02")
    stream = (start + b"\x03" * 4) * 20_000
    found = reader.feed(stream)
    most = 4 * len(stream) + 16 * MAX_FRAME_BYTES
    assert most / 2 < reader._checked <= most
    assert all(isinstance(item, Refused) and len(item.raw) <= MAX_REFUSED_BYTES for item in found)
    good = sealed(Frame(1, "0012345678", 0, 0x2F, False, None, bytes(8), ETX, b""))
    assert good in [*reader.feed(good.raw * 800), *reader.finish()], "a reader recovers"


@pytest.mark.parametrize("size", [0, 4096])
def test_a_body_no_frame_can_carry_is_not_encoded(size: int) -> None:
    with pytest.raises(ValueError, match="4095"):
        encode(Frame(1, "0012345678", 0, 0x32, False, None, bytes(size), ETX, b""))


# -- packets


def packets(total: int, body: bytes = b"0123456789AB", function: int = 0x31) -> list[Frame]:
    size = -(-len(body) // total)
    parts = [body[at * size : (at + 1) * size] or b"\x00" for at in range(total)]
    return [
        sealed(Frame(5, "0070512301", 1, function, False, Packet(total, number), part, ETX if number == total else ETB, b""))
        for number, part in enumerate(parts, 1)
    ]  # fmt: skip


@given(st.integers(1, 12).flatmap(lambda total: st.permutations(packets(total))))
def test_packets_in_any_order_make_the_report(shuffled: list[Frame]) -> None:
    assembly = Assembly()
    found = [item for frame in shuffled for item in assembly.take(frame, NOW)]
    [report] = only_frames([item for item in found if not isinstance(item, Missing)])
    assert report.body[:12] == b"0123456789AB"
    assert report.packet == Packet(len(shuffled), len(shuffled))
    assert not assembly.waiting


def test_a_missing_packet_is_asked_for_twice_and_then_given_up() -> None:
    first, _, last = packets(3)
    assembly = Assembly()
    assert assembly.take(first, NOW) == []
    [asked] = assembly.take(last, NOW)
    assert isinstance(asked, Missing)
    assert asked.numbers == (2,)
    assert asked.serial == int.from_bytes(b"01")
    assert assembly.take(last, NOW) == [], "the same again asks for nothing"
    assert assembly.overdue(NOW + PATIENCE / 2) == []
    [again] = assembly.overdue(NOW + PATIENCE)
    assert isinstance(again, Missing)
    assert assembly.overdue(NOW + 1.5 * PATIENCE) == [], "asked just now"
    [given_up] = assembly.overdue(NOW + 2 * PATIENCE)
    assert isinstance(given_up, Refused)
    assert given_up.code == "sl651_incomplete"
    assert given_up.raw == first.raw + last.raw
    assert not assembly.waiting


def test_the_packet_asked_for_completes_the_report() -> None:
    first, second, last = packets(3)
    assembly = Assembly()
    for frame in (first, last):
        assembly.take(frame, NOW)
    [report] = assembly.take(second, NOW + timedelta(seconds=5))
    assert isinstance(report, Frame)
    assert report.body == b"0123456789AB"


def test_a_report_begun_anew_does_not_mix_with_the_old_one() -> None:
    old, new = packets(2), packets(2, b"NEW REPORT 2")
    assembly = Assembly()
    assembly.take(old[0], NOW)
    [refused] = assembly.take(new[0], NOW)
    assert isinstance(refused, Refused)
    assert refused.code == "sl651_incomplete"
    [report] = assembly.take(new[1], NOW)
    assert isinstance(report, Frame)
    assert report.body == b"NEW REPORT 2"


def test_what_is_held_is_bounded() -> None:
    assembly = Assembly()
    found = [
        item
        for function in range(MAX_REPORTS + 3)
        for item in assembly.take(packets(2, function=function)[0], NOW)
    ]
    assert [item.code for item in found if isinstance(item, Refused)] == ["sl651_incomplete"] * 3
    large = [
        sealed(Frame(5, "0070512301", 1, 0x36, False, Packet(4095, number), bytes(4000), ETB, b""))
        for number in range(1, 140)
    ]
    found = [item for frame in large for item in Assembly().take(frame, NOW)]
    assert found == []
    assembly = Assembly()
    found = [item for frame in large for item in assembly.take(frame, NOW)]
    assert [item.code for item in found if isinstance(item, Refused)] == ["too_large"]


# -- answers


def report_of(name: str) -> Report:
    session = Session()
    [report] = [i for i in session.take(sl651_goldens.message(name), NOW) if not isinstance(i, Missing)]
    assert isinstance(report, Report)
    return report


def answered(data: bytes) -> list[Frame]:
    found = read([data])
    assert all(isinstance(item, Frame) and item.downlink for item in found)
    return only_frames(found)


@pytest.mark.parametrize("name", [name for name in sl651_goldens.NAMES if name != "keep_alive_2f"])
def test_every_report_is_confirmed_to_its_sender(name: str) -> None:
    report = report_of(name)
    [answer] = answered(acknowledge(report, NOW))
    frame = report.frame
    assert (answer.station, answer.centre, answer.password) == (frame.station, frame.centre, 0xA1B2)
    assert (answer.function, answer.end) == (frame.function, EOT)
    assert answer.packet == frame.packet
    said = read_body(answer)
    assert isinstance(said, Report)
    assert said.serial == report.serial
    assert said.sent == NOW


def test_a_keep_alive_has_no_answer() -> None:
    assert acknowledge(report_of("keep_alive_2f"), NOW) == b""


def test_a_station_may_be_asked_to_stay_or_to_go_on() -> None:
    report = report_of("timed_32")
    assert answered(acknowledge(report, NOW, stay_online=True))[0].end == ESC
    more = Report(sealed(Frame(5, "0070512301", 1, 0x32, False, None, bytes(8), ETB, b"")), 1, NOW)
    assert answered(acknowledge(more, NOW, stay_online=True))[0].end == ACK


def test_each_missing_packet_is_asked_for_by_a_frame_of_its_own() -> None:
    answers = answered(request(Missing(packets(5)[0], 5, (2, 4), 77), NOW))
    assert [(answer.packet, answer.end) for answer in answers] == [(Packet(5, 2), NAK), (Packet(5, 4), NAK)]
    assert {answer.body[:2] for answer in answers} == {b"\x00\x4d"}


# -- whatever comes


@settings(max_examples=300)
@given(st.binary(max_size=500) | st.text("0123456789abcdefABCDEF \n", max_size=500).map(str.encode))
def test_no_bytes_break_the_decoder(payload: bytes) -> None:
    for outcome in sl651.decode(payload, RECEIVED):
        if isinstance(outcome, Refused):
            assert outcome.code
            assert outcome.reason.zh
            assert outcome.reason.en


bodies = st.lists(
    st.sampled_from([sl651_goldens.message(name) for name in sl651_goldens.NAMES]).flatmap(
        lambda raw: st.tuples(st.integers(0, len(raw)), st.integers(0, len(raw))).map(
            lambda edges: raw[min(edges) : max(edges)]
        )
    )
    | st.binary(max_size=12),
    max_size=6,
).map(b"".join)


@settings(max_examples=300)
@given(st.integers(0x2F, 0x3B), bodies)
def test_no_body_under_a_right_checksum_breaks_the_decoder(function: int, body: bytes) -> None:
    message = bytes.fromhex("0011260701103005") + body
    frame = Frame(5, "0070512301", 0, function, False, None, message[:4095], ETX, b"")
    for outcome in sl651.decode(encode(frame), RECEIVED):
        assert outcome.raw
        if isinstance(outcome, Observation):
            assert outcome.time.tzinfo is not None
            assert abs(outcome.value) < 1e62
