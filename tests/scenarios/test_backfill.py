"""Days of readings that come late, while others go on: stored, known as late, and nothing is raised for the past."""

from datetime import timedelta

import aiomqtt
import msgspec
from sqlalchemy import text

from services.settings import ClockKind, Settings
from tests.conftest import running, until
from tests.scenarios.field import alerts, officer
from tongluo import testing
from tongluo.clock import wall_now
from tongluo.quality import Flag


async def test_days_of_back_fill_raise_nothing_for_the_past_and_the_present_is_judged(
    either: Settings,
) -> None:
    wanted = either.model_copy(update={"clock": ClockKind.WALL})
    now = wall_now()
    # A storm in every one of the last three days' hours, 500 readings a message, as a gateway sends what it has kept.
    past = [
        {
            "station": "R-1",
            "metric": "rain",
            "time": (now - timedelta(minutes=n)).isoformat(),
            "value": 5.0 + n % 7,
        }
        for n in range(3 * 24 * 60, 70, -2)
    ]
    async with running(wanted, testing.county()) as program:
        async with aiomqtt.Client("127.0.0.1", program.field.gateway_port) as gateway:
            for start in range(0, len(past), 500):
                await gateway.publish(
                    "tongluo/v1/G-1/readings", msgspec.json.encode(past[start : start + 500]), qos=1
                )

            async def stored() -> tuple[int, int]:
                async with program.engine.connect() as connection:
                    sql = "SELECT count(*), count(*) FILTER (WHERE flags & :late <> 0) FROM reading"
                    row = (await connection.execute(text(sql), {"late": int(Flag.LATE)})).one()
                    return row[0], row[1]

            async def all_stored() -> bool:
                return (await stored())[0] == len(past)

            await until(all_stored, timeout_s=60)
            assert await stored() == (len(past), len(past))
            # What comes in its time, from another gauge, is judged as ever.
            alarm = {"station": "R-3", "metric": "rain", "time": wall_now().isoformat(), "value": 60.0}
            await gateway.publish("tongluo/v1/G-2/readings", msgspec.json.encode(alarm), qos=1)
        async with officer(program.http_url) as api:

            async def raised() -> bool:
                return len(await alerts(api)) > 0

            await until(raised, timeout_s=30)
            assert [alert["site"]["id"] for alert in await alerts(api)] == ["S-3"]
