"""What gateways said of themselves, in table gateway_status."""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tongluo.gateway import GatewayState, GatewayStatus, after

_COLUMNS: Final = "gateway, online, since, heard, battery, said, went"
_KEEP: Final = text(
    f"INSERT INTO gateway_status ({_COLUMNS}) VALUES (:gateway, :online, :since, :heard, :battery, :said, :went) "
    "ON CONFLICT (gateway) DO UPDATE SET online = excluded.online, since = excluded.since, heard = excluded.heard, "
    "  battery = excluded.battery, said = excluded.said, went = excluded.went"
)


async def keep(connection: AsyncConnection, statuses: Sequence[GatewayStatus]) -> None:
    """Take statuses in their order, in the caller's transaction."""
    states = await known(connection, [status.gateway for status in statuses])
    for status in statuses:
        states[status.gateway] = after(states.get(status.gateway), status)
    for gateway in sorted(states):
        await connection.execute(_KEEP, msgspec.structs.asdict(states[gateway]))


async def known(
    connection: AsyncConnection, gateways: Sequence[str] | None = None
) -> dict[str, GatewayState]:
    """The state of these gateways, or of all, as far as they ever said something."""
    rows = await connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM gateway_status "
            "WHERE CAST(:gateways AS text[]) IS NULL OR gateway = ANY(:gateways)"
        ),
        {"gateways": None if gateways is None else list(gateways)},
    )
    return {row["gateway"]: GatewayState(**row) for row in rows.mappings()}
