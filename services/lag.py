"""How far every consumer is behind the event log: what operators watch and replicas are scaled by."""

import asyncio
import logging
from typing import Final

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console.health import Lag
from services.groups import IN_THE_LOG, IN_THE_STORE
from tongluo.errors import TongluoError
from tongluo.log.port import Log
from tongluo.store import positions

logger = logging.getLogger(__name__)

# A scraper waits ten seconds; it shall learn of the roles all the same.
_PATIENCE_S: Final = 5.0


async def lags(log: Log, engine: AsyncEngine) -> list[Lag] | None:
    """Of every group, in every process alike; None while log or store is away, as /readyz then explains."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return [*await _judged(log), *await _recorded(log, engine)]
    except (OSError, TongluoError, psycopg.Error, SQLAlchemyError) as error:
        logger.info("the lag is not known: %s", error)
        return None


async def _judged(log: Log) -> list[Lag]:
    """The groups that keep their place in the log."""
    found: list[Lag] = []
    for group, topic in IN_THE_LOG:
        found += _behind(group, topic.name, await log.ends(topic), await log.positions(group, topic))
    return found


async def _recorded(log: Log, engine: AsyncEngine) -> list[Lag]:
    """The groups that keep their place in the store, beside their effect."""
    found: list[Lag] = []
    for group, topic in IN_THE_STORE:
        place = await positions.positions(engine, group, topic)
        found += _behind(group, topic.name, await log.ends(topic), place)
    return found


def _behind(group: str, topic: str, ends: dict[int, int], places: dict[int, int]) -> list[Lag]:
    # The place is read after the end and may have passed it.
    return [
        Lag(group, topic, partition, max(0, end - places.get(partition, 0)))
        for partition, end in sorted(ends.items())
    ]
