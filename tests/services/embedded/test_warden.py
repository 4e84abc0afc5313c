"""What goes through the gate and what does not follows from the packets alone, however the bytes are cut."""

from dataclasses import dataclass
from itertools import pairwise

import mqtt5
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services import access
from services.embedded import packets
from services.embedded.packets import V5, V311, Connect, Refused, Will
from services.embedded.warden import Boundary, Warden
from tongluo.errors import SettingsError
from tongluo.region import Gateway

RIGHTS = access.rights_of(Gateway("GW-1", "", "Qingtian/edge-1"))
MINE = "tongluo/v1/GW-1/readings"
NOT_MINE = (
    "tongluo/v1/GW-2/readings",
    "tongluo/v1/GW-1",
    "$SYS/x",
    "tongluo/v1/GW-1/a/b",
    "spBv1.0/x/NDATA/edge-1",
)


def varint(value: int) -> bytes:
    """Written here once more, by the book (MQTT 5, 1.5.5)."""
    if value < 128:
        return bytes([value])
    return bytes([value % 128 + 128]) + varint(value // 128)


def text(words: str) -> bytes:
    return len(words.encode()).to_bytes(2, "big") + words.encode()


@dataclass(frozen=True)
class Sent:
    """A packet, whether it goes on, and what the gate answers."""

    data: bytes
    passes: bool = True
    answer: bytes = b""


def publish(version: int, topic: str, qos: int, number: int, payload: bytes) -> Sent:
    body = text(topic) + (number.to_bytes(2, "big") if qos else b"") + (b"\x00" if version == V5 else b"")
    data = bytes([0x30 | qos << 1]) + varint(len(body) + len(payload)) + body + payload
    if topic == MINE:
        return Sent(data)
    return Sent(data, False, bytes([0x40 if qos == 1 else 0x50, 3]) + number.to_bytes(2, "big") + b"\x87")


def subscribe(version: int, filters: list[str], number: int) -> Sent:
    head = number.to_bytes(2, "big") + (b"\x00" if version == V5 else b"")
    body = head + b"".join(text(asked) + b"\x01" for asked in filters)
    data = b"\x82" + varint(len(body)) + body
    if set(filters) == {"tongluo/v1/GW-1/commands"}:
        return Sent(data)
    answer = head + (b"\x87" if version == V5 else b"\x80") * len(filters)
    return Sent(data, False, b"\x90" + varint(len(answer)) + answer)


@st.composite
def streams(draw: st.DrawFn, version: int) -> list[Sent]:
    """What a client may send without being shown out."""
    numbers = st.integers(1, 65535)
    topics = st.sampled_from([MINE, *NOT_MINE]) if version == V5 else st.just(MINE)
    kinds = st.one_of(
        st.builds(publish, st.just(version), topics, st.integers(1, 2), numbers, st.binary(max_size=300)),
        st.builds(publish, st.just(version), st.just(MINE), st.just(0), numbers, st.binary(max_size=300)),
        st.builds(
            subscribe,
            st.just(version),
            st.lists(st.sampled_from(["tongluo/v1/GW-1/commands", "#", MINE]), min_size=1, max_size=3),
            numbers,
        ),
        st.sampled_from([b"\xc0\x00", b"\x40\x02\x00\x01", b"\x62\x02\x00\x01", b"\xe0\x00"]).map(Sent),
    )
    return draw(st.lists(kinds, max_size=12))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(ends)]


@pytest.mark.parametrize("version", [V311, V5])
@given(data=st.data(), places=st.lists(st.integers(0, 10_000), max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_cut_of_a_stream_is_judged_alike(version: int, data: st.DataObject, places: list[int]) -> None:
    sent = data.draw(streams(version))
    warden = Warden(version, RIGHTS, lambda words: None)
    verdicts = [warden.take(piece) for piece in cut(b"".join(s.data for s in sent), places)]
    assert [v.end for v in verdicts if v.end is not None] == []
    assert b"".join(v.forward for v in verdicts) == b"".join(s.data for s in sent if s.passes)
    assert b"".join(v.answer for v in verdicts) == b"".join(s.answer for s in sent)
    assert warden.held_bytes == 0


# Packets as they should be, with anything in between and after.
nearly = st.lists(
    st.sampled_from(
        [publish(V5, MINE, 1, 7, b"x"), subscribe(V5, ["#"], 8), Sent(b"\x30\x00"), Sent(b"\x32\x80")]
    ).map(lambda sent: sent.data)
    | st.binary(max_size=4),
    max_size=12,
).map(b"".join)


@pytest.mark.parametrize("version", [V311, V5])
@given(data=st.binary(max_size=400) | nearly, places=st.lists(st.integers(0, 400), max_size=20))
@example(b"\x30\x01\x00", [])
@example(b"\x32\x00\x00\x00", [1, 2, 3])
@settings(max_examples=500, deadline=None)
def test_hostile_bytes_end_the_visit_or_wait_within_bounds(
    version: int, data: bytes, places: list[int]
) -> None:
    whole = Warden(version, RIGHTS, lambda words: None).take(data)
    warden = Warden(version, RIGHTS, lambda words: None)
    forward, end = b"", None
    for piece in cut(data, places):
        verdict = warden.take(piece)
        forward += verdict.forward
        if (end := verdict.end) is not None:
            break
    assert (end is None) == (whole.end is None)
    assert len(forward) <= len(whole.forward)
    assert end is not None or forward == whole.forward
    assert warden.held_bytes <= packets.MAX_SUBSCRIBE_BYTES + 5


def test_what_is_announced_too_large_is_not_waited_for() -> None:
    for head in (
        b"\x30\xff\xff\xff\x7f",
        b"\x82\xff\xff\x03",
        b"\x30\xff\xff\xff\xff",
        b"\x30\xff\x7f\x40\x00",
    ):
        verdict = Warden(V5, RIGHTS, lambda words: None).take(head + bytes(6))
        assert verdict.end is not None, head


@pytest.mark.parametrize(("version", "qos"), [(V311, 0), (V311, 1), (V311, 2), (V5, 0)])
def test_where_the_protocol_has_no_word_the_visit_ends(version: int, qos: int) -> None:
    said: list[str] = []
    warden = Warden(version, RIGHTS, said.append)
    good = publish(version, MINE, 1, 1, b"x").data
    verdict = warden.take(good + publish(version, NOT_MINE[0], qos, 2, b"x").data + good)
    assert verdict.forward == good
    assert verdict.end is not None
    assert verdict.end.code == packets.NOT_AUTHORIZED
    assert "GW-2" in said[0]


def test_an_alias_stands_for_what_was_allowed() -> None:
    def aliased(topic: str, payload: bytes) -> bytes:
        body = text(topic) + b"\x00\x01" + b"\x03\x23\x00\x01" + payload
        return b"\x32" + varint(len(body)) + body

    warden = Warden(V5, RIGHTS, lambda words: None)
    assert warden.take(aliased(MINE, b"a")).forward
    assert warden.take(aliased("", b"b")).forward
    # This would have set the alias anew: what comes under it now is meant for another topic.
    assert warden.take(aliased(NOT_MINE[0], b"c")).forward == b""
    ended = warden.take(aliased("", b"d"))
    assert (ended.forward, ended.end is not None) == (b"", True)
    # And 3.1.1 knows no aliases.
    assert Warden(V311, RIGHTS, lambda words: None).take(b"\x30\x02\x00\x00").end is not None


def test_only_what_a_client_sends_is_taken() -> None:
    for kind in (0, 1, 2, 9, 11, 13, 15):
        assert Warden(V5, RIGHTS, lambda words: None).take(bytes([kind << 4, 0])).end is not None


words = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
wills = st.builds(
    lambda qos, retain, topic, payload: Will(qos << 3 | retain << 5, b"\x00", topic, payload),
    st.integers(0, 2),
    st.integers(0, 1),
    words,
    st.binary(max_size=40),
)
connects = st.builds(
    Connect, st.just(V5), st.booleans(), st.integers(0, 65535), st.just(b"\x03\x21\x00\x14"), words,
    st.none() | wills, st.none() | words, st.none() | st.binary(max_size=40),
)  # fmt: skip


@given(connect=connects, rest=st.binary(max_size=20), places=st.lists(st.integers(0, 200), max_size=5))
@settings(max_examples=300, deadline=None)
def test_a_connect_is_read_as_it_was_written(connect: Connect, rest: bytes, places: list[int]) -> None:
    data = packets.write_connect(connect)
    assert packets.read_connect(data + rest) == (connect, len(data))
    for place in places:
        if place < len(data):
            assert packets.read_connect(data[:place]) is None


def test_a_connect_is_read_as_others_write_it() -> None:
    theirs = mqtt5.ConnectPacket(
        "id",
        username="u",
        password=b"p",
        clean_start=True,
        keep_alive=7,
        session_expiry_interval=9,
        will=mqtt5.Will("t", payload=b"gone", qos=mqtt5.QoS.AT_LEAST_ONCE, retain=True),
    ).write()
    read = packets.read_connect(theirs)
    assert read is not None
    connect, _ = read
    assert (connect.version, connect.client_id, connect.user, connect.password) == (V5, "id", "u", b"p")
    assert connect.will is not None
    assert (connect.will.topic, connect.will.payload, connect.will.flags) == ("t", b"gone", 0x28)
    assert packets.write_connect(connect) == theirs


@given(
    data=st.binary(max_size=200),
    head=st.sampled_from([b"", b"\x10", b"\x10\x30\x00\x04MQTT\x04", b"\x10\x30\x00\x04MQTT\x05\xc6"]),
)
@settings(max_examples=500, deadline=None)
def test_hostile_connects_are_refused_or_waited_for(data: bytes, head: bytes) -> None:
    try:
        read = packets.read_connect(head + data)
    except Refused:
        return
    assert read is None or read[1] <= len(head + data)


@given(sizes=st.lists(st.integers(0, 400), max_size=10), places=st.lists(st.integers(0, 5000), max_size=30))
@settings(max_examples=300, deadline=None)
def test_an_answer_falls_between_two_packets(sizes: list[int], places: list[int]) -> None:
    ends, data = {0}, b""
    for size in sizes:
        data += b"\x30" + varint(size) + bytes(size)
        ends.add(len(data))
    boundary, at = Boundary(), 0
    for piece in cut(data, places):
        found = boundary.take(piece)
        within = [end for end in ends if at <= end <= at + len(piece)]
        assert (found is None) == (not within)
        if found is not None:
            assert at + found == max(within)
        at += len(piece)
        assert boundary.between == (at in ends)


@pytest.mark.parametrize(
    ("pattern", "asked", "expected"),
    [
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/+", "a", False),
        ("a/+", "a/#", False),
        ("a/+", "a/+", True),
        ("a/b", "a/+", False),
        ("a/#", "a", True),
        ("a/#", "a/b/#", True),
        ("a/#", "#", False),
        ("+/b", "$SYS/b", False),
        ("#", "$SYS/b", False),
        ("a/+/c", "a//c", True),
    ],
)
def test_a_pattern_covers_what_it_matches(pattern: str, asked: str, expected: bool) -> None:
    assert access.covers(pattern, asked) is expected


def test_a_sparkplug_gateway_speaks_for_its_edge_node_alone() -> None:
    assert RIGHTS.may_publish("spBv1.0/Qingtian/NBIRTH/edge-1")
    assert RIGHTS.may_publish("spBv1.0/Qingtian/DDATA/edge-1/device")
    assert RIGHTS.may_subscribe("spBv1.0/Qingtian/DCMD/edge-1/+")
    for topic in (
        "spBv1.0/Qingtian/NBIRTH/edge-2",
        "spBv1.0/Other/NBIRTH/edge-1",
        "spBv1.0/Qingtian/NCMD/edge-1",
        "spBv1.0/Qingtian/DDATA/edge-1",
        "spBv1.0/STATE/host",
    ):
        assert not RIGHTS.may_publish(topic), topic
    assert not RIGHTS.may_subscribe("spBv1.0/Qingtian/+/edge-1")
    assert not RIGHTS.may_subscribe("$share/g/spBv1.0/#")
    assert RIGHTS.may_subscribe("$share/g/tongluo/v1/GW-1/commands")
    for address in ("+/edge", "group/#", "a/b/c", "/edge", "group/", "STATE/x"):
        with pytest.raises(SettingsError, match="GW-1"):
            access.rights_of(Gateway("GW-1", "", address))
    # An SL 651 station address is none.
    assert len(access.rights_of(Gateway("GW-1", "", "0012345678")).publish) == 2


def test_the_access_list_says_what_was_meant() -> None:
    text = access.acl("head", [("GW-1", RIGHTS), (access.INGEST, access.INTERNAL)])
    assert access.read_acl(text) == {"GW-1": RIGHTS, access.INGEST: access.INTERNAL}
    for line in ("topic readwrite #", "pattern read a", "topic write x"):
        with pytest.raises(ValueError, match="line 1"):
            access.read_acl(line)
