"""What a process says of itself to probes and scrapers; the page's port has it, and TONGLUO_HEALTH_PORT."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import FastAPI


class Lag(msgspec.Struct, frozen=True):
    """How many entries of a partition a consumer group has not yet taken."""

    group: str
    topic: str
    partition: int
    entries: int


async def _unasked() -> Mapping[str, int] | None:
    return None


@dataclass(frozen=True)
class Health:
    """Where the answers come from. `lags` gives None while the log cannot be asked, `stations` while the store cannot.

    `stations` counts those that should speak by what they do: speaking, silent, never_heard.
    """

    readiness: Callable[[], dict[str, Any]]
    lags: Callable[[], Awaitable[Sequence[Lag] | None]]
    stations: Callable[[], Awaitable[Mapping[str, int] | None]] = _unasked


def build_health(health: Health) -> FastAPI:
    """The probes alone, for a process without the page, or on a port that the outside does not see."""
    from services.console.api import health as api

    app = FastAPI(title="Tongluo health", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.health = health
    app.include_router(api.router)
    return app


def exposition(
    readiness: Mapping[str, Any], lags: Sequence[Lag] | None, stations: Mapping[str, int] | None = None
) -> str:
    """Prometheus' text format. Every process tells the lag of every group: take `max by (group, topic, partition)`."""
    roles = readiness["roles"].items()
    families: list[tuple[str, str, str, list[tuple[dict[str, Any], int]]]] = [
        (
            "tongluo_role_ready",
            "gauge",
            "Whether a role of this process does its work.",
            [
                ({"role": name}, int(role["fault"] is None and role["state"] != "starting"))
                for name, role in roles
            ],
        ),
        (
            "tongluo_role_handled_total",
            "counter",
            "What a role of this process has handled since it started, by kind.",
            [
                ({"role": name, "kind": kind}, number)
                for name, role in roles
                for kind, number in role["counts"].items()
            ],
        ),
        (
            "tongluo_log_lag_known",
            "gauge",
            "Whether log and store could be asked for the lag.",
            [({}, int(lags is not None))],
        ),
        (
            "tongluo_log_lag_entries",
            "gauge",
            "Entries of the event log that a consumer group has not yet taken.",
            [
                ({"group": lag.group, "topic": lag.topic, "partition": lag.partition}, lag.entries)
                for lag in lags or ()
            ],
        ),
        (
            "tongluo_stations",
            "gauge",
            "Stations that should speak, by whether they do.",
            [({"state": state}, number) for state, number in (stations or {}).items()],
        ),
    ]
    lines: list[str] = []
    for name, kind, meaning, samples in families:
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        for labels, number in samples:
            inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
            lines.append(f"{name}{{{inside}}} {number}" if inside else f"{name} {number}")
    return "\n".join(lines) + "\n"
