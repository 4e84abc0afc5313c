"""Sparkplug B: a session heard from its birth to its death, and whatever else an edge node may send."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.decoders import native, sparkplug
from services.ingest.decoders.sparkplug import Address, EdgeNode, Outcome
from services.ingest.decoders.sparkplug_b_pb2 import Metric, Payload
from services.ingest.observation import Observation, Refused
from tests.services.ingest.decoders import golden

NOW = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)
NODE = Address("g", "NBIRTH", "e")
DATA = Address("g", "NDATA", "e")


def payload(seq: int | None, *metrics: Metric) -> bytes:
    return Payload(timestamp=1782843300000, seq=seq, metrics=metrics).SerializeToString()


def born(*metrics: Metric) -> EdgeNode:
    outcome = sparkplug.take(NODE, payload(0, *metrics), None)
    assert outcome.node is not None
    return outcome.node


def test_a_session_of_another_encoder_is_heard_as_it_was_said() -> None:
    node: EdgeNode | None = None
    for message in json.loads((golden.FOLDER / "sparkplug" / "session.json").read_text("utf-8")):
        who = sparkplug.address(message["topic"])
        assert who is not None
        outcome = sparkplug.take(who, bytes.fromhex(message["hex"]), node)
        assert golden.summary(list(outcome.found)) == message["found"]
        assert (outcome.missed, outcome.rebirth) == (message["missed"], message["rebirth"])
        node = outcome.node
    assert node is None


def test_what_is_handed_on_needs_no_birth() -> None:
    outcome = sparkplug.take(NODE, payload(0, Metric(name="R-1/rain", datatype=10, double_value=0.5)), None)
    [found] = outcome.found
    assert golden.summary(list(native.decode(found.raw, NOW))) == [
        ["R-1", "rain", "2026-06-30T18:15:00+00:00", 0.5, None]
    ]


def test_the_count_goes_round() -> None:
    node = born(Metric(name="R-1/rain", alias=1, datatype=10))
    for number in range(1, 600):
        outcome = sparkplug.take(DATA, payload(number % 256, Metric(alias=1, double_value=1)), node)
        assert (outcome.missed, outcome.rebirth, len(outcome.found)) == (0, False, 1)
        assert outcome.node is not None
        node = outcome.node


def test_a_gap_is_counted_where_the_count_goes_round() -> None:
    node = born(GOOD)
    for seq, missed in ((254, 253), (2, 3), (2, 255)):
        outcome = sparkplug.take(DATA, payload(seq, Metric(alias=1, double_value=1)), node)
        assert (outcome.missed, outcome.rebirth, len(outcome.found)) == (missed, True, 1)
        assert outcome.node is not None
        node = outcome.node


def test_state_goes_in_and_out_and_is_never_changed() -> None:
    node = born(Metric(name="R-1/rain", alias=1, datatype=10))
    before = (dict(node.metrics), dict(node.aliases), node.devices, node.seq)
    device = Address("g", "DBIRTH", "e", "R-2")
    outcome = sparkplug.take(device, payload(1, Metric(name="rain", alias=2, datatype=10)), node)
    assert (dict(node.metrics), dict(node.aliases), node.devices, node.seq) == before
    assert outcome.node is not None
    assert outcome.node.devices == {"R-2"}


def test_a_device_born_again_forgets_its_old_aliases() -> None:
    device, data = Address("g", "DBIRTH", "e", "R-2"), Address("g", "DDATA", "e", "R-2")
    first = sparkplug.take(device, payload(1, Metric(name="crack", alias=2, datatype=10)), born())
    second = sparkplug.take(device, payload(2, Metric(name="rain", alias=3, datatype=10)), first.node)
    old = (Metric(alias=2, double_value=1), Metric(name="crack", double_value=1))
    outcome = sparkplug.take(data, payload(3, *old), second.node)
    assert golden.summary(list(outcome.found)) == [["refused", "not_in_birth"]] * 2


@pytest.mark.parametrize(
    ("datatype", "sent", "value"),
    [
        (1, {"int_value": 0xFB}, -5),
        (1, {"int_value": 0xFFFFFFFB}, -5),
        (2, {"int_value": 0x8000}, -32768),
        (3, {"int_value": 2**31 - 1}, 2**31 - 1),
        (4, {"long_value": 2**64 - 1}, -1),
        (5, {"int_value": 255}, 255),
        (8, {"long_value": 2**40}, 2**40),
        (9, {"float_value": 0.5}, 0.5),
        (10, {"double_value": -0.1}, -0.1),
    ],
)
def test_numbers_by_their_datatype(datatype: int, sent: dict[str, Any], value: float) -> None:
    outcome = sparkplug.take(NODE, payload(0, Metric(name="R-1/rain", datatype=datatype, **sent)), None)
    [found] = outcome.found
    assert isinstance(found, Observation)
    assert found.value == value


GOOD = Metric(name="R-1/rain", alias=1, datatype=10, double_value=1)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff", "not_protobuf"),
        (b"\x12\x04\x0a\x02\xff\xfe", "not_protobuf"),  # a name that is no UTF-8
        (payload(None, GOOD), "wrong_sequence"),
        (payload(256, GOOD), "wrong_sequence"),
        (b"\x12\x00" * (sparkplug.MAX_METRICS + 1), "too_many_metrics"),
        (payload(0, GOOD, Metric(name="R-2/rain", alias=1)), "wrong_birth"),  # an alias twice
        (payload(0, GOOD, Metric(name="R-1/rain", datatype=3)), "wrong_birth"),  # a metric twice
        (payload(0, Metric(alias=1)), "wrong_birth"),  # without a name
        (payload(0, Metric(name="n" * 256)), "wrong_birth"),
        (payload(0, Metric(name="rain", datatype=10, double_value=1)), "wrong_name"),
        (payload(0, Metric(name="a/b/rain", datatype=10, double_value=1)), "wrong_name"),
        (payload(0, Metric(name="R-1/rain", datatype=12, string_value="wet")), "not_a_number"),
        (payload(0, Metric(name="R-1/rain", datatype=16, dataset_value=b"x")), "not_a_number"),
        (payload(0, Metric(name="R-1/rain", datatype=13, long_value=1)), "not_a_number"),
        (payload(0, Metric(name="R-1/rain", datatype=10, double_value=float("nan"))), "not_finite"),
        (payload(0, Metric(name="R-1/rain", datatype=10, double_value=1, timestamp=2**64 - 1)), "wrong_time"),
        (Payload(seq=0, metrics=[GOOD]).SerializeToString(), "wrong_time"),
    ],
)
def test_what_is_refused_and_why(data: bytes, code: str) -> None:
    [refused] = sparkplug.take(NODE, data, None).found
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert refused.reason.zh
    assert refused.reason.en


def test_a_birth_that_cannot_be_trusted_leaves_no_node() -> None:
    """Values must never go to the wrong station: what follows such a birth asks for another."""
    before = born(GOOD)
    outcome = sparkplug.take(NODE, payload(0, GOOD, GOOD), before)
    assert outcome.node is None
    assert sparkplug.take(DATA, payload(1, Metric(alias=1, double_value=1)), outcome.node).rebirth


def test_metrics_of_a_node_are_bounded() -> None:
    node = born()
    for number in range(4):
        device = Address("g", "DBIRTH", "e", f"R-{number}")
        many = [Metric(name=f"m{n}") for n in range(2000)]
        outcome = sparkplug.take(device, payload(number + 1, *many), node)
        assert outcome.node is not None
        node = outcome.node
        assert len(node.metrics) <= sparkplug.MAX_METRICS
    assert golden.summary(list(outcome.found)) == [["refused", "too_many_metrics"]]


@pytest.mark.parametrize(
    ("topic", "who"),
    [
        ("spBv1.0/g/NDATA/e", Address("g", "NDATA", "e")),
        ("spBv1.0/g/DDATA/e/d", Address("g", "DDATA", "e", "d")),
        ("spBv1.0/g/DDATA/e", None),
        ("spBv1.0/g/NDATA/e/d", None),
        ("spBv1.0/g/NCMD/e", None),
        ("spBv1.0/STATE/host", None),
        ("spAv1.0/g/NDATA/e", None),
        ("spBv1.0/g/NDATA/", None),
    ],
)
def test_topics(topic: str, who: Address | None) -> None:
    assert sparkplug.address(topic) == who


def test_the_command_for_a_rebirth() -> None:
    topic, data = sparkplug.rebirth(Address("g", "DDATA", "e", "d"), NOW)
    [metric] = Payload.FromString(data).metrics
    assert topic == "spBv1.0/g/NCMD/e"
    assert (metric.name, metric.boolean_value, metric.datatype) == ("Node Control/Rebirth", True, 11)


def check(outcome: Outcome) -> None:
    for item in outcome.found:
        if isinstance(item, Refused):
            assert item.code
            assert item.reason.zh
            assert item.reason.en
        else:
            assert abs(item.value) < float("inf")
            assert item.time.tzinfo is UTC


@given(st.binary(max_size=200), st.sampled_from(["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"]))
def test_no_bytes_break_it(data: bytes, kind: Any) -> None:
    who = Address("g", kind, "e", "d" if kind[0] == "D" else "")
    for node in (None, born(GOOD)):
        check(sparkplug.take(who, data, node))


u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
metrics = st.builds(
    lambda fields, value: Metric(**fields, **value),
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["R-1/rain", "rain", "bdSeq", "Node Control/x"]) | st.text(max_size=4),
            "alias": st.integers(0, 3),
            "timestamp": u64 | st.just(1782843300000),
            "datatype": st.integers(0, 35),
            "is_null": st.booleans(),
        },
    ),
    st.one_of(
        st.just({}),
        u32.map(lambda v: {"int_value": v}),
        u64.map(lambda v: {"long_value": v}),
        st.floats().map(lambda v: {"double_value": v}),
        st.floats(width=32).map(lambda v: {"float_value": v}),
        st.binary(max_size=3).map(lambda v: {"template_value": v}),
        st.text(max_size=3).map(lambda v: {"string_value": v}),
    ),
)
messages = st.tuples(
    st.sampled_from(["NBIRTH", "NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"]),
    st.sampled_from(["d", "R-2"]),
    st.none() | st.integers(0, 300),
    st.lists(metrics, max_size=4),
)


@given(st.lists(messages, max_size=8))
def test_no_session_breaks_it(session: list[Any]) -> None:
    node: EdgeNode | None = None
    for kind, device, seq, said in session:
        who = Address("g", kind, "e", device if kind[0] == "D" else "")
        outcome = sparkplug.take(who, payload(seq, *said), node)
        check(outcome)
        node = outcome.node
        if node is not None:
            assert {known.device for known in node.metrics.values()} <= node.devices | {""}
            assert set(node.aliases.values()) <= set(node.metrics.values())


def test_the_compiled_schema_is_that_of_the_proto_file(tmp_path: Path) -> None:
    root = Path(sparkplug.__file__).parents[3]
    schema = "services/ingest/decoders/sparkplug_b.proto"
    protoc = shutil.which("protoc", path=str(Path(sys.executable).parent))
    assert protoc is not None, "protoc comes with the development tools: make install-dev"
    subprocess.run(
        [protoc, f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", schema], cwd=root, check=True
    )
    for suffix in ("_pb2.py", "_pb2.pyi"):
        name = schema.replace(".proto", suffix)
        assert (tmp_path / name).read_text() == (root / name).read_text(), (
            f"run protoc again: {schema} says how"
        )
