"""What reports say: golden messages, rain that counts once, levels with a base, and every refusal with its reason."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.ingest.decoders import sl651
from services.ingest.decoders.sl651.frames import ETX, Frame, Packet, encode
from services.ingest.decoders.sl651.observations import Stations
from services.ingest.mqtt import Message
from services.ingest.observation import Observation, Refused
from services.ingest.pipeline import Context, Limits, read
from services.ingest.places import Places
from tests.services.ingest.decoders import sl651_goldens
from tongluo import testing
from tongluo.reading import Refusal

RECEIVED = datetime(2026, 7, 1, tzinfo=UTC)

ROOT = Path(__file__).parents[4]
STATION = "0070512301"
HEAD = "0011260701103005" + f"F1F1{STATION}48" + "F0F02607011030"
UNREGISTERED = Stations()
NOON = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)


def frame(body: str, function: int = 0x32, packet: Packet | None = None) -> bytes:
    return encode(Frame(5, STATION, 0, function, False, packet, bytes.fromhex(body), ETX, b""))


def told(payload: bytes, stations: Stations = UNREGISTERED) -> list[Any]:
    """Observations as the golden files write them, refusals by their code."""
    found = []
    for outcome in sl651.decoder(stations)(payload, RECEIVED):
        if isinstance(outcome, Refused):
            assert outcome.reason.zh
            assert outcome.reason.en
            found.append({"refused": outcome.code})
        else:
            time = f"{outcome.time:%Y-%m-%dT%H:%M:%SZ}"
            found.append([outcome.station, outcome.metric, time, outcome.value, outcome.seq])
    return found


def refusals(payload: bytes, stations: Stations = UNREGISTERED) -> list[Refused]:
    return [outcome for outcome in sl651.decoder(stations)(payload, RECEIVED) if isinstance(outcome, Refused)]


def values(payload: bytes, stations: Stations = UNREGISTERED) -> list[tuple[str, float]]:
    found = sl651.decoder(stations)(payload, RECEIVED)
    return [(o.metric, o.value) for o in found if isinstance(o, Observation)]


@pytest.mark.parametrize("name", sl651_goldens.NAMES)
def test_a_message_says_what_was_written_down(name: str) -> None:
    message, expected = sl651_goldens.message(name), sl651_goldens.expected(name)
    assert told(message) == expected
    assert told(message.hex(" ").encode()) == expected, "as hexadecimal text"


def test_all_functions_of_the_standard_have_a_golden_message() -> None:
    assert {name[-2:] for name in sl651_goldens.NAMES} == {"2f", "30", "31", "32", "33", "34", "35", "36"}


def test_every_observation_keeps_bytes_that_say_the_same_again() -> None:
    for name in sl651_goldens.NAMES:
        found = list(sl651.decode(sl651_goldens.message(name), RECEIVED))
        for outcome in found:
            if isinstance(outcome, Observation):
                assert list(sl651.decode(outcome.raw, RECEIVED)) == found


def test_several_frames_in_one_message_are_all_read() -> None:
    names = ["timed_32", "packets_31", "hourly_34", "timed_32"]
    glued = b"".join(sl651_goldens.message(name) for name in names)
    assert told(glued) == [said for name in names for said in sl651_goldens.expected(name)]


# -- rain


def test_five_minutes_of_rain_count_and_what_holds_them_again_does_not() -> None:
    assert values(frame(HEAD + "2219000010" + "1A19000120" + "2019000300" + "2619004000")) == [("rain", 1.0)]


def test_a_station_that_sends_only_sums_is_told_so_in_words_that_stay_the_same() -> None:
    first, second = (refusals(frame(HEAD + rain + "38121200")) for rain in ("2619000010", "2619000025"))
    assert [refused.code for refused in first] == ["sl651_rain_not_counted"]
    assert "26" in first[0].reason.zh
    assert first[0].raw == second[0].raw == b"\x26\x19", "one entry in quarantine, that counts"


def test_another_interval_counts_where_it_is_registered() -> None:
    hourly = Stations(rain_counted=lambda address: frozenset((0x1A,)))
    assert values(frame(HEAD + "2219000010" + "1A19000120"), hourly) == [("rain", 12.0)]


def test_a_list_of_invalid_rain_is_silence_and_no_fault() -> None:
    assert told(frame(HEAD[:-4] + "0935" + "F460" + "FF" * 12 + "2619000010", 0x34)) == []


# -- levels


def test_relative_levels_stand_on_the_registered_base() -> None:
    based = Stations(level_base_m=lambda address, element: 10.0)
    found = values(sl651_goldens.message("hourly_34"), based)
    levels = [value for metric, value in found if metric == "water_level"]
    # The last of the list and the level itself are the same moment and the same height: said once.
    assert levels == [10.12, 10.12, 10.12, 10.49, 10.49, 10.5, 10.5, 10.51, 10.51, 10.52, 10.52]


def test_two_elements_at_one_place_are_not_mixed() -> None:
    soil = frame(HEAD + "10110158" + "11110216")
    assert told(soil) == [
        [STATION, "soil_moisture", "2026-07-01T02:30:00Z", 15.8, 17],
        {"refused": "sl651_same_place"},
    ]
    apart = Stations(station_of=lambda address, element: f"{address}-{element:02X}")
    assert [o.station for o in sl651.decoder(apart)(soil, RECEIVED) if isinstance(o, Observation)] == [
        f"{STATION}-10",
        f"{STATION}-11",
    ]


# -- what is refused


@pytest.mark.parametrize(
    ("payload", "codes"),
    [
        (b"", ["not_sl651"]),
        (b"  \n", ["not_sl651"]),
        (b"hello, centre", ["not_sl651"]),
        (b"\x0105007051230112343200080200", ["not_sl651"]),  # ASCII encoding
        (b"7E7", ["not_sl651", "not_sl651"]),
        (frame(HEAD + "38121200")[:-1], ["sl651_truncated"]),
        (frame(HEAD + "38121200")[:9], ["sl651_truncated"]),
        (frame(HEAD + "38121200")[:-1] + b"\x00", ["sl651_wrong_crc"]),
        (frame(HEAD + "38121200")[:-3] + b"\x00\x00\x00", ["sl651_wrong_end"]),
        (frame("0011260701"), ["sl651_unreadable"]),
        (frame(HEAD + "3812"), ["sl651_unreadable"]),
        (frame(HEAD + "3812C0DE"), ["sl651_not_digits"]),
        (frame(HEAD + "3800"), ["sl651_unreadable"]),
        (frame(HEAD + "F1F0" + STATION + "48"), ["sl651_unreadable"]),
        (frame(HEAD[:-10] + "2613011030" + "38121200"), ["wrong_time"]),
        (frame(HEAD[:-10] + "26070A1030" + "38121200"), ["wrong_time"]),
        (frame(HEAD[:-14] + "38121200"), ["missing_field"]),
        (frame(HEAD + "0418000505" + "3812" + "1200", 0x31), ["sl651_unreadable"]),
        (frame(HEAD + "0418000005" + "3812" + "120012", 0x31), ["sl651_unreadable"]),
        (frame(HEAD + "0418310000" + "3808" + "12" * 2, 0x31), ["sl651_list_ahead"]),
        (frame(HEAD + "F460" + "00" * 12, 0x34), ["sl651_list_ahead"]),
        (frame(HEAD + "76110001" + "7F0801"), ["sl651_unknown_element"]),
        (frame(HEAD[:16], 0x45), ["sl651_not_a_report"]),
        (frame(HEAD[:16], 0xE0), ["sl651_not_a_report"]),
        (frame(HEAD, packet=Packet(2, 1)), ["sl651_incomplete"]),
        (frame(HEAD, packet=Packet(2, 3)), ["sl651_wrong_packet"]),
        (frame(HEAD, packet=Packet(2, 0)), ["sl651_wrong_packet"]),
        (frame(HEAD[:16] + "F2F2" + b"TT 2607011000 Z abc".hex(), 0x35), ["sl651_not_understood"]),
        (frame(HEAD[:16] + "F2F2" + b"Z 1.2".hex(), 0x35), ["missing_field"]),
        (frame(HEAD[:16] + "F2F2" + b"TT 26070110 Z".hex(), 0x35), ["wrong_time"]),
        (frame(HEAD[:16] + "F2F2" + "水位".encode().hex(), 0x35), ["sl651_not_understood"]),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_its_reason(payload: bytes, codes: list[str]) -> None:
    found = list(sl651.decode(payload, RECEIVED))
    assert [outcome.code for outcome in found if isinstance(outcome, Refused)] == codes
    assert [o for o in found if isinstance(o, Observation)] == []


def test_a_centres_own_frame_is_not_a_report() -> None:
    command = encode(Frame(5, STATION, 0, 0x37, True, None, bytes(8), 0x05, b""))
    assert [refused.code for refused in refusals(command)] == ["sl651_downlink"]


def test_lists_have_the_length_of_the_standard_whatever_their_definition_says() -> None:
    based = Stations(level_base_m=lambda address, element: 0.0)
    listed = frame(HEAD[:-4] + "0935" + "F55C" + "0AAA" + "FFFF" * 11 + "38121290", 0x34)
    assert values(listed, based) == [("water_level", 27.3), ("battery", 12.9)]


def test_the_next_station_of_a_report_has_a_time_of_its_own() -> None:
    relayed = frame(HEAD + "38121200" + "F1F1007051230250" + "38121100")
    assert told(relayed) == [
        [STATION, "battery", "2026-07-01T02:30:00Z", 12.0, 17],
        {"refused": "missing_field"},
    ]


def test_what_was_read_before_a_broken_group_is_kept() -> None:
    assert told(frame(HEAD + "38121200" + "2219000010" + "3923")) == [
        [STATION, "battery", "2026-07-01T02:30:00Z", 12.0, 17],
        [STATION, "rain", "2026-07-01T02:30:00Z", 1.0, 17],
        {"refused": "sl651_unreadable"},
    ]


def test_the_typed_time_without_its_year_is_the_last_such_time() -> None:
    typed = frame("0011260101000500" + "F2F2" + b"TT 12312350 Z 1.5".hex(), 0x35)
    assert [o[2] for o in told(typed)] == ["2025-12-31T15:50:00Z"]


def test_a_message_of_ten_thousand_values_is_cut() -> None:
    series = frame(
        "0011260701103005" + f"F1F1{STATION}48" + "F0F01001010000" + "0418000001" + "3909" + "12" * 4000, 0x31
    )
    found = list(sl651.decode(series * 4, RECEIVED))
    assert sum(isinstance(outcome, Observation) for outcome in found) == sl651.MAX_READINGS
    assert isinstance(found[-1], Refused)
    assert found[-1].code == "too_many_readings"


def test_a_message_of_faults_does_not_multiply() -> None:
    faults = frame(HEAD + "3908EE" * 1300) * 100
    assert len(list(sl651.decode(faults, RECEIVED))) == sl651.MOST_REFUSALS


def test_the_pipeline_places_what_a_gateway_reports() -> None:
    context = Context(Places(testing.county()), NOON, Limits(timedelta(minutes=10), timedelta(days=60)))
    message = Message("tongluo/v1/G-1/sl651", sl651_goldens.message("timed_32"), NOON)
    [*outcomes] = read(message, context)
    assert {type(outcome) for outcome in outcomes} == {Refusal}
    assert {outcome.code for outcome in outcomes if isinstance(outcome, Refusal)} == {"unknown_station"}


def test_every_code_of_refusal_is_in_the_document() -> None:
    text = (ROOT / "docs/formats.md").read_text("utf-8")
    sources = (ROOT / "services/ingest/decoders/sl651").glob("*.py")
    codes = {
        code for s in sources for code in re.findall(r'"((?:sl651_|not_sl651)[a-z_]*)"', s.read_text("utf-8"))
    }
    assert len(codes) > 10
    assert [code for code in codes if f"`{code}`" not in text] == []
