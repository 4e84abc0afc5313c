"""How far every consumer is behind the event log: what operators watch and replicas are scaled by."""

import asyncio
import logging
from typing import Final

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console.health import Lag
from services.ingest import recorder
from services.ingest.downlink import demand
from services.notify import desk
from services.rules import service as rules
from tongluo.errors import TongluoError
from tongluo.log.port import Log
from tongluo.store import positions
from tongluo.topics import DETECTIONS, FINDINGS, QUARANTINE, READINGS

logger = logging.getLogger(__name__)

# A scraper waits ten seconds; it shall learn of the roles all the same.
_PATIENCE_S: Final = 5.0


async def lags(log: Log, engine: AsyncEngine) -> list[Lag] | None:
    """Of every group, in every process alike; None while log or store is away, as /readyz then explains."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return [
                *_behind(
                    rules.GROUP,
                    READINGS.name,
                    await log.ends(READINGS),
                    await log.positions(rules.GROUP, READINGS),
                ),
                *await _recorded(log, engine),
            ]
    except (OSError, TongluoError, psycopg.Error, SQLAlchemyError) as error:
        logger.info("the lag is not known: %s", error)
        return None


async def _recorded(log: Log, engine: AsyncEngine) -> list[Lag]:
    """The groups that keep their place in the store, beside their effect."""
    found: list[Lag] = []
    for group, topic in (
        (recorder.GROUP, READINGS),
        (recorder.GROUP, DETECTIONS),
        (recorder.GROUP, QUARANTINE),
        (desk.GROUP, FINDINGS),
        (demand.GROUP, FINDINGS),
    ):
        place = await positions.positions(engine, group, topic)
        found += _behind(group, topic.name, await log.ends(topic), place)
    return found


def _behind(group: str, topic: str, ends: dict[int, int], places: dict[int, int]) -> list[Lag]:
    # The place is read after the end and may have passed it.
    return [
        Lag(group, topic, partition, max(0, end - places.get(partition, 0)))
        for partition, end in sorted(ends.items())
    ]
