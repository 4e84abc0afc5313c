"""`python -m sensors.simulator`: play a county's sensors against an MQTT broker."""

import argparse
import asyncio
import math
import sys
from pathlib import Path

from sensors.address import host_and_port
from sensors.lifetime import lifetime
from sensors.simulator.profile import load_profile
from sensors.simulator.run import Plan, say, simulate
from sensors.simulator.scenarios import ScenarioName
from tongluo.errors import TongluoError

_ABOUT = """Play a county's sensors. At the start the six hours before are told at once; from then on (T0) the
gauges report every 5 s, the other instruments every 15 to 30 s, more densely than their registered interval: a
time-lapse. Told to sample five times as densely, a gauge reports every second. The storm's burst is a time-lapse
too: four minutes bring what nature needs an hour for."""
_SPEED = """event seconds per wall second; above 1 the stamps run ahead of the wall, which only a service in replay
mode accepts"""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 after a clean end, 1 when a setting, a profile or a memory file is wrong."""
    options = _parser().parse_args(arguments)
    code = 0
    try:
        asyncio.run(_play(options))
    except* TongluoError as group:  # one of the gateways may raise it as well
        say(str(group.exceptions[0]))
        code = 1
    return code


async def _play(options: argparse.Namespace) -> None:
    host, port = options.broker
    plan = Plan(
        county=load_profile(options.profile),
        host=host,
        port=port,
        scenario=options.scenario,
        seed=options.seed,
        speed=options.speed,
        memory=options.memory,
    )
    async with lifetime(die_with_parent=options.die_with_parent, seconds=options.seconds) as ended:
        await simulate(plan, ended)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sensors.simulator", description=_ABOUT)
    add = parser.add_argument
    add(
        "--broker",
        type=host_and_port,
        required=True,
        metavar="HOST:PORT",
        help="the MQTT broker, 3.1.1, no TLS",
    )
    add("--profile", default="qingtian", help="a built-in county or a folder with the same two files")
    add("--scenario", type=ScenarioName, choices=list(ScenarioName), default=ScenarioName.STORM)
    add("--seed", type=int, default=1, help="another seed: another storm, other instruments")
    add("--speed", type=_speed, default=1.0, help=_SPEED)
    add("--memory", type=Path, metavar="FILE", help="remember what was sent; a restart goes on from there")
    add("--for", dest="seconds", type=float, metavar="SECONDS", help="end after so many wall seconds")
    add("--die-with-parent", action="store_true", help="end when stdin does")
    return parser


def _speed(text: str) -> float:
    speed = float(text)
    if not (speed > 0.0 and math.isfinite(speed)):
        raise argparse.ArgumentTypeError("must be more than 0")
    return speed


if __name__ == "__main__":
    sys.exit(main())
