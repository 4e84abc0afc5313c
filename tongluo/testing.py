"""Doubles that tests and integrators may need: a small county, evidence, a subscriber whose answers the test sets."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from tongluo.finding import Criterion, Evidence, Level, Measure
from tongluo.hazards import Words
from tongluo.region import (
    County,
    Division,
    DivisionKind,
    Gateway,
    Place,
    Site,
    SiteKind,
    Station,
    StationKind,
)


def county(gauges: int = 3) -> County:
    """A township with gauges R-1, R-2, ... at sites S-1, S-2, ...; R-1 and R-2 speak through G-1, the rest through G-2."""
    township = Division("331121101", "温溪镇", DivisionKind.TOWNSHIP, "331121")
    village = Division("331121101001", "沙埠村", DivisionKind.VILLAGE, township.code)
    sites = {f"S-{n}": _site(n, village.code) for n in range(1, gauges + 1)}
    stations = {f"R-{n}": _gauge(n) for n in range(1, gauges + 1)}
    return County(
        code="331121",
        name="青田县",
        name_en="Qingtian",
        note="invented",
        divisions={
            "331121": Division("331121", "青田县", DivisionKind.COUNTY, ""),
            township.code: township,
            village.code: village,
        },
        places={
            township.code: Place(township.code, 28.2, 120.4, ((28.1, 120.3), (28.3, 120.3), (28.3, 120.5)))
        },
        gateways={"G-1": Gateway("G-1", "一号网关"), "G-2": Gateway("G-2", "二号网关")},
        sites=sites,
        stations=stations,
    )


def _site(number: int, division: str) -> Site:
    return Site(f"S-{number}", f"{number}号小流域", SiteKind.CATCHMENT, division, 28.2 + number / 1000, 120.4)


def _gauge(number: int) -> Station:
    return Station(
        f"R-{number}",
        f"{number}号雨量站",
        StationKind.RAIN_GAUGE,
        f"S-{number}",
        "G-1" if number <= 2 else "G-2",
        28.2 + number / 1000,
        120.4,
        ("rain", "battery"),
    )


def evidence(
    time: datetime, mm: float = 62.0, level: Level | None = None, reach: float = 50.0, **given: Any
) -> Evidence:
    """Evidence of a rain rule at gauge R-1: `mm` in three hours, against a line at `reach` where a level is given."""
    line = Criterion(level, "rain_3h", reach, 0.8 * reach) if level is not None else None
    rain = Measure("rain_3h", Words("3小时雨量", "rain in 3 h"), mm, "mm", 10_800.0)
    figure = Words(f"3小时雨量 {mm:.1f} 毫米", f"{mm:.1f} mm of rain in 3 h")
    made = Evidence(
        "rainstorm", "v1", "R-1", time, figure, figure, metric="rain", measures=(rain,), criterion=line
    )
    return msgspec.structs.replace(made, **given)


@dataclass
class Received:
    """One webhook as it came in; `verified` says what the standardwebhooks library made of its signature."""

    id: str
    body: dict[str, Any]
    verified: bool
    raw: bytes


@dataclass
class Receiver:
    """A subscriber. `answer` gives the status for the nth request (from 1); it is 200 unless the test sets it."""

    url: str = ""
    secret: str = ""
    received: list[Received] = field(default_factory=list)
    answer: Callable[[int], int] = lambda nth: 200
    headers: dict[str, str] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.received.append(
            Received(
                request.headers.get("webhook-id", ""),
                msgspec.json.decode(raw),
                self._verified(request, raw),
                raw,
            )
        )
        return web.Response(status=self.answer(len(self.received)), headers=self.headers)

    def _verified(self, request: web.Request, raw: bytes) -> bool:
        if not self.secret:
            return False
        try:
            Webhook(self.secret).verify(raw, dict(request.headers))
        except (WebhookVerificationError, ValueError):
            return False
        return True

    def accepted(self) -> list[Received]:
        """The requests that were answered with a 2xx."""
        return [item for nth, item in enumerate(self.received, start=1) if 200 <= self.answer(nth) < 300]

    def types(self) -> list[str]:
        return [item.body["type"] for item in self.received]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A real HTTP server on loopback that takes webhooks at `url`."""
    subject = Receiver()
    app = web.Application(client_max_size=1024 * 1024)
    app.router.add_post("/hook", subject.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    subject.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield subject
    finally:
        await runner.cleanup()
