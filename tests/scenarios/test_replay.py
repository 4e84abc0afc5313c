"""`tongluo replay` as people run it."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import signals_alone, until
from tests.scenarios.command import command
from tests.scenarios.field import alerts, officer

REAL_YEAR = Path(__file__).parents[3] / "shared" / "data" / "rain_dwd_01300_2006.csv"


async def replay(*arguments: str, **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services", "replay", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "TONGLUO_RULES": str(signals_alone()), **environment},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def cloudburst(file: Path, station: str = "") -> Path:
    """Hourly rain through ten days of 2006, 60 mm in three hours among them."""
    begin = datetime(2006, 9, 10, tzinfo=UTC)
    rows = ["time,rain_mm" if not station else "time,station,value"]
    for hour in range(240):
        mm = 20.0 if 100 <= hour < 103 else 0.0
        time = (begin + timedelta(hours=hour)).isoformat()
        rows.append(f"{time},{station},{mm}" if station else f"{time},{mm}")
    file.write_text("\n".join(rows) + "\n")
    return file


@pytest.mark.skipif(
    not REAL_YEAR.exists(), reason=f"the real rain record {REAL_YEAR.name} is not on this machine"
)
async def test_the_real_year_2006_raises_orange_at_its_cloudburst_and_no_red() -> None:
    code, out, err = await replay(
        str(REAL_YEAR), "--station", "DWD-01300", "--metric", "rain", "--speed", "max", "--json"
    )
    assert code == 0, err
    found = [json.loads(line) for line in out.splitlines()]
    assert [alert["peak"] for alert in found] == ["orange"]
    assert found[0]["onset"].startswith("2006-09-17")
    rain = {one["window_s"]: one["value"] for one in found[0]["evidence"]["measures"]}
    assert rain[3 * 3600] == 54.2
    assert found[0]["course"] == ["raised orange", "eased yellow", "eased blue", "cleared"]


async def test_a_recorded_storm_is_told_with_its_own_times(tmp_path: Path) -> None:
    code, out, err = await replay(str(cloudburst(tmp_path / "r.csv")), "--station", "X-1", "--json")
    assert code == 0, err
    [found] = [json.loads(line) for line in out.splitlines()]
    assert (found["peak"], found["onset"]) == ("orange", "2006-09-14T06:00:00+00:00")
    assert found["cleared"] is not None


async def test_a_private_instance_never_touches_a_real_store(tmp_path: Path) -> None:
    real = {"TONGLUO_STORE": "postgresql://nobody@127.0.0.1:1/x", "TONGLUO_MQTT": "mqtt://127.0.0.1:1"}
    code, out, err = await replay(str(cloudburst(tmp_path / "r.csv")), "--station", "站一", "--json", **real)
    assert code == 0, err
    assert json.loads(out)["peak"] == "orange"


async def test_at_a_speed_hours_pass_in_moments(tmp_path: Path) -> None:
    code, out, _ = await replay(
        str(cloudburst(tmp_path / "r.csv", "QT-R-001")), "--speed", "500000", "--json"
    )
    assert code == 0
    assert json.loads(out)["site"] == "QT-SC-001"


async def test_a_running_live_instance_is_fed_with_shifted_times(tmp_path: Path) -> None:
    with command(tmp_path / "data", "demo", TONGLUO_CLOCK="wall") as program:
        await program.started()
        file = tmp_path / "r.csv"
        begin = datetime(2006, 9, 10, tzinfo=UTC)
        rows = [
            f"{(begin + timedelta(minutes=5 * n)).isoformat()},QT-R-001,{6.0 if n > 1 else 0.0}"
            for n in range(12)
        ]
        file.write_text("\n".join(["time,station,value", *rows]))
        # The simulator has told this gauge's last hours already; its newest reading is about now, and so is ours.
        code, _, err = await replay(str(file), "--broker", f"127.0.0.1:{program.mqtt_port}", "--shift", "now")
        assert code == 0, err
        async with officer(program.url) as api:

            async def raised() -> bool:
                return any(alert["site"]["id"] == "QT-SC-001" for alert in await alerts(api))

            await until(raised)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.csv", "--station", "X"), "cannot read none.csv"),
        (("none.csv", "--station", "X", "--metric", "rian"), "unknown metric rian"),
        (("none.csv", "--station", "X", "--speed", "fast"), "--speed fast"),
        (("none.csv", "--station", "X", "--broker", "127.0.0.1:1"), "--shift now"),
    ],
)
async def test_wrong_use_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    code, _, err = await replay(*arguments)
    assert code == (2 if "--" in words else 1)
    assert words in err
    assert "Traceback" not in err


async def test_no_broker_there_is_one_line(tmp_path: Path) -> None:
    file = cloudburst(tmp_path / "r.csv", "QT-R-001")
    code, _, err = await replay(str(file), "--broker", "127.0.0.1:1", "--shift", "now")
    assert code == 1
    assert "127.0.0.1:1" in err
    assert "Traceback" not in err
