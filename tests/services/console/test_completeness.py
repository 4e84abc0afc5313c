"""A day's completeness: what is counted in the store is what follows from the readings by definition."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import aiomqtt
import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.app import Running
from services.silence import Silence
from tests.conftest import running, settings
from tests.scenarios.field import officer
from tongluo import completeness, testing
from tongluo.clock import EventClock
from tongluo.completeness import Day
from tongluo.postgres import Listener
from tongluo.quality import Flag
from tongluo.reading import Reading
from tongluo.region import Station
from tongluo.store import completeness as store
from tongluo.store import partitions
from tongluo.store.engine import open_store
from tongluo.store.heard import note
from tongluo.store.readings import by_arrays, by_copy

SHANGHAI = ZoneInfo("Asia/Shanghai")
[DAY] = completeness.days(date(2026, 7, 2), date(2026, 7, 2), SHANGHAI)
MIDNIGHT = datetime(2026, 7, 1, 16, tzinfo=UTC)
STATION = testing.county().stations["R-1"]


def at(seconds: float) -> datetime:
    return MIDNIGHT + timedelta(seconds=seconds)


def reading(
    seconds: float, station: str = "R-1", flags: int = 0, seq: int | None = None, metric: str = "rain"
) -> Reading:
    return Reading(station, metric, at(seconds), 0.0, "S-1", "G-1", flags, seq)


async def fill(
    connection: AsyncConnection, engine: AsyncEngine, readings: list[Reading], late_s: float = 0.0
) -> None:
    """Recorded all at once, the newest of them `late_s` after its time."""
    await partitions.ensure(connection, engine, [one.time for one in readings])
    now = max(one.time for one in readings) + timedelta(seconds=late_s)
    await by_copy(connection, readings, now)
    await note(connection, readings, None)


def test_a_day_is_a_local_one() -> None:
    assert Day(date(2026, 7, 2), MIDNIGHT, MIDNIGHT + timedelta(days=1)) == DAY
    berlin = completeness.days(date(2026, 3, 28), date(2026, 3, 30), ZoneInfo("Europe/Berlin"))
    assert [(day.end - day.begin) // timedelta(hours=1) for day in berlin] == [24, 23, 24]


def line(
    seconds: list[float], since: datetime | None = MIDNIGHT - timedelta(days=9), now: float = 9e6
) -> completeness.Line:
    """By definition: slots around the first reading of the day, and those of them that hold one."""
    wanted = completeness.expected(DAY, 300, since, at(now))
    inside = [second for second in seconds if 0 < second <= 86_400]
    first = at(inside[0]) if inside else None
    low, high = wanted.slots(first)
    slots = {completeness.slot_of(at(s), wanted.anchor(first), wanted.interval) for s in seconds}
    filled = len([slot for slot in slots if low <= slot < high]) if inside else 0
    tally = completeness.Tally(first, len(inside), filled, 0, (0,) * 11) if first is not None else None
    return completeness.line("rain", wanted, tally)


def test_what_is_expected_of_a_day() -> None:
    every = [300.0 * n for n in range(1, 289)]
    assert (line(every).expected, line(every).missing) == (288, 0)
    assert (line([]).expected, line([]).missing) == (288, 288)
    # Another phase, and a clock that trembles by seconds, around midnight too.
    assert line([150 + 300.0 * n for n in range(288)]).missing == 0
    trembling = [300.0 * n + (-1) ** n * 2 for n in range(1, 290)]
    assert (line(trembling).expected, line(trembling).missing) == (288, 0)
    # Twice as often fills no more than is expected.
    assert line([150.0 * n for n in range(1, 577)]).missing == 0
    # From its first reading on; and of today what is over.
    assert (line([43_200.0 + 300 * n for n in range(145)], at(43_200)).expected) == 145
    assert (line(every[:12], now=3700).expected, line(every[:12], now=3700).missing) == (11, 0)
    assert line([], since=None).expected == 0
    assert line([], since=at(90_000)).expected == 0


whole_seconds = st.lists(st.integers(-600, 87_000), max_size=80, unique=True).map(sorted)


@given(whole_seconds, st.integers(-86_400, 100_000), st.integers(-3600, 200_000))
def test_missing_spans_are_what_is_missing(seconds: list[int], since: int, now: int) -> None:
    found = line([float(s) for s in seconds], at(since), now)
    assert found.expected is not None
    assert 0 <= found.missing <= found.expected
    wanted = completeness.expected(DAY, 300, at(since), at(now))
    inside = [at(s) for s in seconds if 0 < s <= 86_400]
    spans = completeness.missing(wanted, inside[0] if inside else None, [at(s) for s in seconds])
    assert sum((end - begin) // timedelta(seconds=300) for begin, end in spans) == found.missing
    assert all(a[1] < b[0] for a, b in pairwise(spans))


@pytest.mark.parametrize("interval_s", [300, 7])
async def test_the_store_counts_what_the_definition_says(dsn: str, interval_s: int) -> None:
    station = msgspec.structs.replace(STATION, interval_s=interval_s)
    async with open_store(dsn) as engine, engine.connect() as connection:
        await partitions.ensure(connection, engine, [MIDNIGHT])

        async def compare(seconds: list[int], since: int, now: int, flagged: int) -> None:
            await connection.execute(text("DELETE FROM reading"))
            readings = [
                reading(s, flags=int(Flag.SPIKE if n < flagged else 0)) for n, s in enumerate(seconds)
            ]
            await by_arrays(connection, readings, at(now))
            wanted = completeness.expected(DAY, interval_s, at(since), at(now))
            tallies = await store.tallies(connection, [station], {"R-1": wanted}, DAY, live=False)
            inside = [s for s in seconds if 0 < s <= 86_400]
            if not inside:
                assert tallies == {}
                return
            found = tallies["R-1", "rain"]
            first = at(inside[0])
            assert (found.first, found.received) == (first, len(inside))
            low, high = wanted.slots(first)
            within = [s for s in seconds if -interval_s / 2 < s <= 86_400 + interval_s / 2]
            slots = {completeness.slot_of(at(s), wanted.anchor(first), wanted.interval) for s in within}
            assert found.filled == len([slot for slot in slots if low <= slot < high])
            spikes = len([s for s in seconds[:flagged] if 0 < s <= 86_400])
            by_flag = dict(zip(completeness.FLAGS, found.flagged[1:], strict=True))
            assert (found.flagged[0], by_flag[Flag.SPIKE], by_flag[Flag.RANGE]) == (spikes, spikes, 0)

        # Whole days whose last reading stands exactly at their end; of one only a part is over, to the very slot.
        whole = [300 * n for n in range(1, 289)]
        examples = [(whole, -90_000, 200_000, 2), (whole, -90_000, 43_350, 0)]

        @hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], database=None)
        @given(whole_seconds, st.integers(-90_000, 90_000), st.integers(0, 200_000), st.integers(0, 5))
        def gather(seconds: list[int], since: int, now: int, flagged: int) -> None:
            examples.append((seconds, since, now, flagged))

        gather()
        for example in examples:
            await compare(*example)
        await connection.rollback()


async def test_what_is_recorded_late_is_late(dsn: str) -> None:
    async with open_store(dsn) as engine, engine.begin() as connection:
        await fill(connection, engine, [reading(300), reading(600, flags=int(Flag.LATE)), reading(900)], 1)
        wanted = completeness.expected(DAY, 300, MIDNIGHT, at(86_400))

        async def late(live: bool, interval_s: int = 300) -> int:
            station = msgspec.structs.replace(STATION, interval_s=interval_s)
            found = await store.tallies(connection, [station], {"R-1": wanted}, DAY, live=live)
            return found["R-1", "rain"].late

        # By ten minutes and a second, by its flag, not at all; and by less than its interval.
        assert (await late(live=True), await late(live=True, interval_s=3600)) == (2, 1)
        assert await late(live=False) == 1


async def numbered(dsn: str, *rows: tuple[str, int, int]) -> dict[tuple[bool, str], store.Numbers]:
    async with open_store(dsn) as engine, engine.begin() as connection:
        await fill(connection, engine, [reading(60 * minute, name, seq=seq) for name, minute, seq in rows])
        stations: list[Station] = [s for s in testing.county().stations.values() if s.gateway == "G-1"]
        return await store.numbers(connection, stations, DAY)


async def test_numbers_missing_are_counted_by_station(dsn: str) -> None:
    found = await numbered(dsn, *(("R-1", n, n) for n in (1, 2, 5, 6)), *(("R-2", n, n) for n in (1, 2, 3)))
    assert found == {
        (False, "R-1"): store.Numbers(2, 0, together=False),
        (False, "R-2"): store.Numbers(0, 0, together=False),
    }


async def test_a_counter_that_begins_anew_misses_nothing(dsn: str) -> None:
    found = await numbered(
        dsn, *(("R-1", n, 5000 + n) for n in range(1, 5)), *(("R-1", n, n) for n in range(6, 9))
    )
    assert found == {(False, "R-1"): store.Numbers(0, 1, together=False)}


async def test_a_little_disorder_is_no_new_beginning(dsn: str) -> None:
    assert await numbered(dsn, ("R-1", 1, 10), ("R-1", 2, 12), ("R-1", 3, 11), ("R-1", 4, 14)) == {
        (False, "R-1"): store.Numbers(1, 0, together=False)
    }


async def test_a_gateway_that_counts_all_its_stations_together_is_recognised(dsn: str) -> None:
    found = await numbered(dsn, ("R-1", 1, 1), ("R-2", 1, 2), ("R-1", 6, 3), ("R-2", 6, 4), ("R-1", 11, 7))
    assert found == {(True, "G-1"): store.Numbers(2, 0, together=True)}


# -- as it is asked for and exported


@pytest.fixture
async def filled(dsn: str, tmp_path: Any) -> Any:
    """A program in replay mode, its day half over: R-1 missed from 03:00 to 04:00 and all of R-3's is missing."""
    minutes = [5 * n for n in range(1, 145) if not 180 < 5 * n <= 240]
    readings = [reading(60 * minute, seq=n) for n, minute in enumerate(minutes)]
    readings += [reading(60 * 30 * n, metric="battery") for n in range(1, 24)]
    readings += [reading(300 * n, "R-2", int(Flag.RANGE if n == 1 else 0)) for n in range(1, 145)]
    async with open_store(dsn) as engine, engine.begin() as connection:
        await fill(connection, engine, readings)
    async with running(settings(tmp_path, store=dsn), testing.county()) as program:
        yield program


async def test_a_day_is_told_by_station_and_in_all(filled: Running) -> None:
    async with officer(filled.http_url) as api:
        told = (await api.get("/completeness", params={"from": "2026-07-01", "to": "2026-07-02"})).json()
    assert (told["timezone"], told["from"], told["to"]) == ("Asia/Shanghai", "2026-07-01", "2026-07-02")
    before, day = told["days"]
    assert (before["expected"], before["received"]) == (0, 0)
    by_id = {station["id"]: station for station in told["stations"]}
    one = by_id["R-1"]["days"][1]
    # Half of the day, less the slot that is not over.
    assert (one["expected"], one["missing"], one["received"]) == (143, 12, 132 + 23)
    assert one["metrics"]["battery"]["expected"] is None
    assert one["numbers"] == {"missing": 0, "resets": 0, "counted_by": "station"}
    assert by_id["R-2"]["days"][1]["flags"] == {"range": 1}
    assert day["missing"] == sum(station["days"][1]["missing"] for station in told["stations"])
    assert day["rate"] == round(1 - day["missing"] / day["expected"], 4)


async def test_one_station_of_one_day_shows_what_is_missing(filled: Running) -> None:
    async with officer(filled.http_url) as api:
        told = (await api.get("/completeness/R-1/2026-07-02")).json()
        assert (await api.get("/completeness/R-9/2026-07-02")).status_code == 404
        assert (await api.get("/completeness/R-1/0001-01-01")).status_code == 422
    [gap] = told["metrics"]["rain"]["gaps"]
    assert datetime.fromisoformat(gap["from"]) == at(182.5 * 60)
    assert datetime.fromisoformat(gap["to"]) == at(242.5 * 60)
    assert len(told["metrics"]["rain"]["readings"]) == 132
    assert told["metrics"]["battery"]["gaps"] == []


async def test_it_is_exported_for_spreadsheets(filled: Running) -> None:
    async with officer(filled.http_url) as api:
        answer = await api.get(
            "/completeness/export.csv",
            params={"from": "2026-07-02", "to": "2026-07-02", "township": "331121101"},
        )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="completeness-2026-07-02-2026-07-02.csv"' in answer.headers["content-disposition"]
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    [rain] = [row for row in rows if row["站号 Station"] == "R-1" and row["指标 Metric"] == "rain"]
    assert (rain["应到 Expected"], rain["实到 Received"], rain["缺报 Missing"]) == ("143", "132", "12")
    assert rain["乡镇 Township"] == "温溪镇"
    assert len(rows) == 3 * 2


@pytest.mark.parametrize("name", ["=1+1", "@SUM(A1)", "-2", "+2"])
async def test_a_name_is_no_formula(dsn: str, tmp_path: Any, name: str) -> None:
    county = testing.county(1)
    county.stations["R-1"] = msgspec.structs.replace(county.stations["R-1"], name=name)
    async with running(settings(tmp_path, store=dsn), county) as program, officer(program.http_url) as api:
        text_ = (await api.get("/completeness/export.csv")).content.decode("utf-8-sig")
    assert {row["站名 Name"] for row in csv.DictReader(io.StringIO(text_))} == {f"'{name}"}


@pytest.mark.parametrize(
    ("params", "status", "words"),
    [
        ({"from": "2026-07-02", "to": "2026-07-01"}, 422, "must not be after"),
        ({"from": "2020-01-01", "to": "2026-07-01"}, 422, "too much at once"),
        ({"station": "R-9"}, 404, "R-9"),
        ({"from": "1066-10-14", "to": "1066-10-14"}, 422, "between"),
        ({"township": "x"}, 422, "township"),
    ],
)
async def test_what_cannot_be_answered_is_told(
    program: Running, params: dict[str, str], status: int, words: str
) -> None:
    async with officer(program.http_url) as api:
        for path in ("/completeness", "/completeness/export.csv"):
            answer = await api.get(path, params=params)
            assert answer.status_code == status
            assert words in answer.json()["detail"]


# -- who speaks now


async def test_one_dead_gateway_is_one_line(program: Running) -> None:
    async with program.engine.begin() as connection:
        await fill(
            connection,
            program.engine,
            [reading(60, "R-1"), reading(60, "R-2"), *(reading(300 * n, "R-3") for n in range(1, 7))],
        )
    judge = Silence(
        program.log,
        program.engine,
        Listener("not waited for here"),
        testing.county,
        EventClock(),
        intervals=3,
        event_time=True,
    )
    assert len(await judge.look() or []) == 2
    async with officer(program.http_url) as api:
        told = (await api.get("/liveness")).json()
        [line_] = told["silences"]
        assert (line_["gateway"], line_["cause"], line_["whole_gateway"]) == ("G-1", "gateway_silent", True)
        assert [station["id"] for station in line_["stations"]] == ["R-1", "R-2"]
        assert (told["silent"], told["stations"], told["never_heard"]) == (2, 3, [])
        assert {g["id"]: (g["silent"], g["stations"], g["online"]) for g in told["gateways"]} == {
            "G-1": (2, 2, None),
            "G-2": (0, 1, None),
        }
        page = (await api.get("/events", params={"limit": 1})).json()
        rest = (await api.get("/events", params={"cursor": page["next"]})).json()
        assert [item["kind"] for item in [*page["items"], *rest["items"]]] == ["silent", "silent"]
        assert (await api.get("/events", params={"cursor": "none"})).status_code == 422
        metrics = (await api.get(f"{program.http_url}/metrics")).text
    assert 'tongluo_stations{state="silent"} 2' in metrics


async def test_an_open_page_hears_of_a_birth(program: Running) -> None:
    async with officer(program.http_url) as api, api.stream("GET", "/stream", timeout=20) as stream:
        lines = stream.aiter_lines()
        async for line_ in lines:
            if line_ == "event: hello":
                break
        async with aiomqtt.Client("127.0.0.1", program.field.gateway_port) as client:
            await client.publish(
                "tongluo/v1/G-1/status", b'{"online":true,"battery":12.4}', qos=1, retain=True
            )
        async for line_ in lines:
            if line_ == "event: liveness":
                break
        told = (await api.get("/liveness")).json()
    assert [(g["online"], g["battery"]) for g in told["gateways"]] == [(True, 12.4), (None, None)]
