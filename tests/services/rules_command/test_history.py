"""History from files: in order of time whatever their order, every bad row named by its line, once what comes twice."""

import contextlib
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules_command.files import Given, load
from services.rules_command.history import HistoryError, opened, readings
from tongluo.readings import Series

START = datetime(2026, 7, 1, tzinfo=UTC)
HEADER = "time,station,metric,value\n"
NOTHING = Given()


def lines(number: int = 50) -> list[str]:
    return [
        f"{(START + timedelta(minutes=5 * nth)).isoformat()},R-{nth % 3},rain,{nth / 10}\n"
        for nth in range(number)
    ]


def rows(*paths: Path, given: Given = NOTHING, size: int = 7) -> list[tuple[str, str, int, float, int]]:
    """Everything that a history of these files gives, in its order."""
    with opened() as history:
        load(history, paths, given)
        history.arrange(None)
        found = []
        for batch in history.batches(size):
            for nth, time, value, flags in zip(
                batch.which.tolist(),
                batch.time_us.tolist(),
                batch.value.tolist(),
                batch.flags.tolist(),
                strict=True,
            ):
                series = history.series[nth]
                found.append((series.station, series.metric, time, value, flags))
        return found


def faults(path: Path, given: Given = NOTHING) -> list[str]:
    with pytest.raises(HistoryError) as told:
        rows(path, given=given)
    return str(told.value).splitlines()


def written(folder: Path, text: str | bytes, name: str = "history.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_shuffled_rows_change_nothing(tmp_path: Path) -> None:
    """Also where one station's reading comes twice, with another value."""
    several = [*lines(), *lines(10), f"{START.isoformat()},R-0,rain,99\n"]
    expected = rows(written(tmp_path, HEADER + "".join(several)))
    assert expected[0][3] == 99.0
    assert len(expected) == 50
    assert [one[2] for one in expected] == sorted(one[2] for one in expected)
    for seed in range(4):
        random.Random(seed).shuffle(several)  # noqa: S311 - nothing secret
        assert rows(written(tmp_path, HEADER + "".join(several)), size=seed + 1) == expected


def test_what_comes_twice_counts_once_and_contradictions_are_counted(tmp_path: Path) -> None:
    several = [
        *lines(6),
        lines(6)[2],
        f"{START.isoformat()},R-0,rain,99\n",
        f"{START.isoformat()},R-0,rain,98\n",
    ]
    with opened() as history:
        load(history, [written(tmp_path, HEADER + "".join(several))], NOTHING)
        history.arrange(None)
        assert sum(len(batch) for batch in history.batches(2)) == 6
        assert (history.twice, history.contradicting) == (3, 2)


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + "".join(lines()))
    stamped, worded = tmp_path / "stamped.parquet", tmp_path / "worded.parquet"
    duckdb.execute(
        f"COPY (SELECT CAST(time AS TIMESTAMPTZ) AS time, station, metric, value FROM '{path}') TO '{stamped}'"
    )
    duckdb.execute(f"COPY (SELECT * FROM read_csv('{path}', all_varchar=true)) TO '{worded}'")
    assert rows(stamped) == rows(worded) == rows(path)


def test_parquet_without_zone_needs_one_said(tmp_path: Path) -> None:
    naive = tmp_path / "naive.parquet"
    duckdb.execute(
        f"COPY (SELECT TIMESTAMP '2026-07-01 08:00:00' AS time, 'a' AS station, 'rain' AS metric, 1.5 AS value) TO '{naive}'"
    )
    assert "--zone" in faults(naive)[1]
    [(station, metric, time, value, flags)] = rows(naive, given=Given(zone="+08:00"))
    assert (station, metric, value, flags) == ("a", "rain", 1.5, 0)
    assert time == START.timestamp() * 1e6


def test_a_bad_row_of_parquet_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "bad.parquet"
    duckdb.execute(
        f"COPY (SELECT * FROM (VALUES ('2026-07-01T00:00:00Z', 'a', 'rain', '1'), ('soon', 'a', 'rain', '1'), "
        f"('2026-07-01T00:00:00Z', 'a', 'rain', 'much')) AS t(time, station, metric, value)) TO '{path}'"
    )
    told = faults(path)
    assert "row 2" in told[1]
    assert "soon" in told[1]
    assert "row 3" in told[2]


def test_columns_that_are_missing_are_given(tmp_path: Path) -> None:
    path = written(
        tmp_path, "when;time;rain_mm\nx;2026-07-01T08:00:00+08:00;1.5\nx;2026-07-01T09:00:00+08:00;\n"
    )
    found = rows(path, given=Given("gauge 1", "rain"))
    assert [(one[0], one[1], one[3]) for one in found] == [("gauge 1", "rain", 1.5)]
    assert "--station" in faults(path)[1]
    assert "--metric" in faults(path, Given("gauge 1"))[1]
    assert "unknown" in faults(path, Given("gauge 1", "snow"))[0]


def test_flags_of_a_history_stay(tmp_path: Path) -> None:
    path = written(tmp_path, "time,station,metric,value,flags\n2026-07-01T00:00:00Z,a,rain,400,1\n")
    assert rows(path)[0][4] == 1


BAD = [
    "2026-07-01T00:00:00,a,rain,1",
    "2026-07-01,a,rain,1",
    "1899-12-31T00:00:00Z,a,rain,1",
    "2026-02-30T00:00:00Z,a,rain,1",
    "2026-07-01T00:00:00Z,,rain,1",
    "2026-07-01T00:00:00Z,a,rain,much",
    "2026-07-01T00:00:00Z,a,rain,1e999",
    "2026-07-01T00:00:00Z,a,rain,inf",
    "2026-07-01T00:00:00Z,a,rain",
    "2026-07-01T00:00:00Z,a,rain,1,2",
    f"2026-07-01T00:00:00Z,{'x' * 201},rain,1",
]


def test_every_bad_row_is_named_by_its_line(tmp_path: Path) -> None:
    text = HEADER + "".join(f"{bad}\n\n{good}" for bad, good in zip(BAD, lines(), strict=False))
    told = faults(written(tmp_path, text))
    assert [line.split(":")[1] for line in told[1:]] == [str(2 + 3 * nth) for nth in range(len(BAD))]
    assert "--zone +08:00" in told[1]


def test_the_first_twenty_bad_rows_are_told_and_how_many_there_are(tmp_path: Path) -> None:
    told = faults(written(tmp_path, HEADER + "soon,a,rain,1\n" * 300))
    assert len(told) == 22
    assert "300 rows in all" in told[-1]


def test_faults_of_all_files_are_told_together(tmp_path: Path) -> None:
    one = written(tmp_path, HEADER + "soon,a,rain,1\n", "one.csv")
    two = written(tmp_path, "a,b\n1,2\n", "two.csv")
    with pytest.raises(HistoryError) as told:
        rows(one, two, tmp_path / "three.csv")
    assert [name in str(told.value) for name in ("one.csv:2", "two.csv", "three.csv")] == [True] * 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\xfe",
        b"PAR1 is no file",
        b'time,station,metric,value\n"open',
        HEADER.encode(),
        b"\xff" * 9000,
    ],
)
def test_what_is_no_history_is_refused_with_words(tmp_path: Path, content: bytes) -> None:
    assert all(faults(written(tmp_path, content)))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=8))
def test_whatever_stands_in_a_file_is_read_or_refused_with_words(
    tmp_path_factory: pytest.TempPathFactory, text: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    # Anything else that is raised fails the test.
    with contextlib.suppress(HistoryError):
        rows(written(folder, HEADER + lines(1)[0] + "\n".join(text)))


def test_a_name_of_a_file_is_never_a_pattern(tmp_path: Path) -> None:
    for name in ("a*.csv", "[b].csv", "c'; DROP TABLE loaded; --.csv"):
        assert len(rows(written(tmp_path, HEADER + "".join(lines(5)), name))) == 5


def test_presence_and_windows(tmp_path: Path) -> None:
    heard = [0, 5, 10, 60, 65, 200]
    text = "".join(f"{(START + timedelta(minutes=m)).isoformat()},a,rain,{m}\n" for m in heard)
    with opened() as history:
        load(history, [written(tmp_path, HEADER + text + f"{START.isoformat()},b,rain,1\n")], NOTHING)
        history.arrange(None)
        found = history.presence(["a", "b", "never"])
        first_us = history.first_us
        assert [(one - first_us) // 60_000_000 for one in found["a"].began] == [10, 65]
        assert [(one - first_us) // 60_000_000 for one in found["a"].ended] == [60, 200]
        assert (found["a"].last - first_us) // 60_000_000 == 200
        assert len(found["b"].began) == 0
        assert set(found) == {"a", "b"}
        times, values = history.window("a", "rain", first_us, first_us + 60 * 60_000_000)
        assert values.tolist() == [5.0, 10.0, 60.0]
        assert np.all(np.diff(times) > 0)
        assert history.series[0].interval_us == 5 * 60_000_000


def test_readings_name_only_the_series_that_occur(tmp_path: Path) -> None:
    with opened() as history:
        load(history, [written(tmp_path, HEADER + "".join(lines(9)))], NOTHING)
        history.arrange(None)
        series = [Series(one.station, one.metric, "S", "G") for one in history.series]
        entry = readings(next(history.batches(2)), series)
        assert [one.station for one in entry.series] == ["R-0", "R-1"]
        assert entry.fault() is None
