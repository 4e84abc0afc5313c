"""A county-wide rules process of its own, so that it can be killed."""

import asyncio
import sys

import msgspec

from services.rules.county_service import CountyRules, CountyWork
from tests.backends import Backend
from tests.services.rules.county.test_judge import RULES
from tests.services.rules.county.world import COUNTY
from tests.services.rules.replica import say
from tongluo.clock import EventClock
from tongluo.supervise import Supervisor


async def main(backend: Backend) -> None:
    async with backend.open() as log:
        supervisor = Supervisor()
        work = CountyWork(lambda: RULES, lambda: COUNTY)
        rules = CountyRules(log, work, EventClock(), ticks=False, snapshot_every=10, advance_every_s=0.02)
        supervisor.add("county rules", rules.run)
        async with supervisor.running():
            await supervisor.ready()
            say("running")
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Backend)))
