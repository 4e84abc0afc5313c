"""Moving an embedded installation to the real servers: everything comes along, and nothing happens twice."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from services.app import Running
from services.moving.command import Wish, move
from services.settings import Settings, read_settings
from tests.conftest import TOKEN, running, settings, until
from tests.scenarios.field import alerts, dry, history, officer, publish, settled, storm, subscribe
from tongluo import testing
from tongluo.errors import MissingPartError, SettingsError
from tongluo.log import kafka_topics
from tongluo.log.kafka_address import KafkaAddress


def wish(full: Settings, kafka: KafkaAddress, stack: Callable[[str], str], folder: Path) -> Wish:
    assert not isinstance(full.store, str)
    return Wish(
        store=full.store.dsn,  # type: ignore[union-attr]
        log=f"kafka://{kafka.bootstrap}/{kafka.namespace}",
        mqtt=stack("mqtt"),
        write=folder / "tongluo.toml",
    )


async def raised(program: Running) -> bool:
    async with officer(program.http_url) as api:
        return [await history(api, alert["id"]) for alert in await alerts(api)] == [["raised orange"]]


async def series(api: httpx.AsyncClient) -> list[object]:
    answer = await api.get("/stations/R-1/series", params={"metric": "rain", "from": "2026-06-30T00:00:00Z"})
    return list(answer.json()["points"])


async def test_an_alert_raised_embedded_is_cleared_on_the_real_servers(
    tmp_path: Path, full: Settings, kafka: KafkaAddress, stack: Callable[[str], str]
) -> None:
    old = settings(tmp_path / "data")
    async with testing.receiver() as township:
        async with running(old, testing.county()) as program, officer(program.http_url) as api:
            township.secret = (await subscribe(api, township.url))["secret"]
            await publish(program.field.gateway_port, storm())
            await until(lambda: raised(program))
            await until(lambda: len(township.received) == 1)
            await settled(program)
            before = await series(api)
        said: list[str] = []
        rows = await move(old, wish(full, kafka, stack, tmp_path), said.append)
        assert rows["reading"] == len(before) == 6
        assert (rows["alert"], rows["delivery"], rows["subscription"]) == (1, 1, 1)
        assert any("the place of rules" in line for line in said)

        new = read_settings(
            tmp_path / "tongluo.toml", environment={}, mqtt_client=kafka.namespace, http_port=0
        )
        assert new.admin_token == TOKEN
        async with running(new, None) as program, officer(program.http_url) as api:
            assert await raised(program)
            assert await series(api) == before
            await publish(program.field.gateway_port, [*storm(), *dry()])

            async def cleared() -> bool:
                [alert] = await alerts(api)
                return (await history(api, alert["id"]))[-1] == "cleared"

            await until(cleared)
            await settled(program)
            # The state moved along: the storm counted once, and what was told was not told again.
            assert [kind.split()[0] for kind in await history(api, (await alerts(api))[0]["id"])].count(
                "raised"
            ) == 1
            assert len({item.id for item in township.received}) == len(township.received)
            assert all(item.verified for item in township.received)


async def test_a_store_with_something_in_it_is_refused_and_no_topic_is_left(
    dsn: str, full: Settings, kafka: KafkaAddress, stack: Callable[[str], str], tmp_path: Path
) -> None:
    asked = wish(full, kafka, stack, tmp_path)
    old = settings(tmp_path, store=dsn)
    async with running(old, testing.county()):
        pass
    await kafka_topics.remove(kafka)
    async with running(settings(tmp_path, store=asked.store), testing.county()):
        pass
    with pytest.raises(MissingPartError, match=r"not empty .* --store"):
        await move(old, asked, lambda line: None)
    assert not asked.write.exists()
    made = await kafka_topics.ensure(kafka, replication=1)
    assert len(made) == len(kafka_topics.wanted(1)), "topics of the failed move were left"


async def test_a_running_installation_is_not_moved(
    dsn: str, full: Settings, kafka: KafkaAddress, stack: Callable[[str], str], tmp_path: Path
) -> None:
    async with running(settings(tmp_path, store=dsn), testing.county()) as program:
        with pytest.raises(MissingPartError, match="stop it first"):
            await move(program.settings, wish(full, kafka, stack, tmp_path), lambda line: None)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"store": "embedded"}, "--store must be"),
        ({"log": "store"}, "--log must be"),
        ({"mqtt": "embedded"}, "--mqtt must be"),
        ({"log": "kafka://h?tsl=on"}, "tsl"),
    ],
)
async def test_a_destination_that_is_none_is_told(
    tmp_path: Path, changed: dict[str, str], words: str
) -> None:
    asked = {"store": "postgresql://h/d", "log": "kafka://h", "mqtt": "mqtt://h", **changed}
    with pytest.raises(SettingsError, match=words):
        await move(settings(tmp_path), Wish(**asked, write=tmp_path / "x.toml"), lambda line: None)


async def test_a_folder_without_an_installation_is_told(tmp_path: Path) -> None:
    asked = Wish("postgresql://h/d", "kafka://h", "mqtt://h", tmp_path / "x.toml")
    with pytest.raises(MissingPartError, match="no installation"):
        await move(settings(tmp_path / "nothing"), asked, lambda line: None)
    assert not (tmp_path / "nothing").exists()
