"""The simulator put together: a county, its weather from T0 on, and all its gateways talking to one broker."""

import asyncio
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sensors.simulator.field import Field
from sensors.simulator.gateway import FieldGateway, Pace, Roll
from sensors.simulator.memory import Memory
from sensors.simulator.scenarios import Calm, ScenarioName, Weather, fixed_loggers, parts_of, storm
from tongluo.clock import wall_now
from tongluo.region import County

_TOLD_DRY: Final = "every part of the county has had its storm in the last three hours: staying dry"


@dataclass(frozen=True)
class Plan:
    """What to play and to whom. `speed` is event seconds per wall second."""

    county: County
    host: str
    port: int
    scenario: ScenarioName = ScenarioName.STORM
    seed: int = 1
    speed: float = 1.0
    memory: Path | None = None


async def simulate(plan: Plan, ended: asyncio.Event) -> None:
    """Play from now, which is T0, until `ended` is set. Raises SettingsError on a memory file that is not ours."""
    anchor = wall_now().replace(microsecond=0)
    memory = Memory(plan.memory)
    field = Field(plan.county, weather(plan, anchor, memory), plan.seed, anchor)
    pace = Pace(anchor, plan.speed, wall_now)
    speakers = sorted({station.gateway for station in plan.county.stations.values()})
    roll = Roll(f"{plan.host}:{plan.port}", len(speakers), say)
    fixed = fixed_loggers(plan.county, plan.seed)
    gateways = [FieldGateway(id_, field, pace, memory, roll, fixed) for id_ in speakers]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(each.run(plan.host, plan.port, ended), name=f"gateway {each.id}")
            for each in gateways
        ]
        await ended.wait()
        for task in tasks:
            task.cancel()


def weather(plan: Plan, anchor: datetime, memory: Memory) -> Weather:
    """The scenario's weather, over a part of the county that earlier storms do not echo in."""
    if plan.scenario is ScenarioName.CALM:
        return Calm()
    if memory.storms_echoing(anchor) >= max(1, len(parts_of(plan.county, plan.seed))):
        say(_TOLD_DRY)
        return Calm()
    chosen = storm(plan.county, plan.seed, anchor, memory.runs, after_rain=memory.fresh(anchor))
    memory.note_storm(anchor)
    return chosen


def say(line: str) -> None:
    """One line for whoever runs the simulator."""
    print(f"simulator: {line}", file=sys.stderr, flush=True)  # noqa: T201 (a program that speaks to its terminal)
