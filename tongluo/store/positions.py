"""Consumers that write to the store keep their place in the log there, in the same transaction as their effect."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo.errors import Fenced
from tongluo.topics import Topic


async def advance(
    connection: AsyncConnection, group: str, topic: Topic, taken: Mapping[int, tuple[int, int]]
) -> None:
    """Move the group on by partition from the first offset taken to the one after the last.

    Raises Fenced when another member has already been there: the caller's transaction must then be rolled back.
    """
    for partition, (first, following) in sorted(taken.items()):
        moved = await connection.execute(
            text(
                "INSERT INTO consumer_position AS p (consumer_group, topic, partition, next_offset) "
                "VALUES (:group, :topic, :partition, :following) "
                "ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET next_offset = :following "
                "WHERE p.next_offset <= :first RETURNING 1"
            ),
            {
                "group": group,
                "topic": topic.name,
                "partition": partition,
                "first": first,
                "following": following,
            },
        )
        if moved.first() is None:
            raise Fenced(f"{group} has already taken entry {first} of {topic.name}/{partition}")


async def positions(engine: AsyncEngine, group: str, topic: Topic) -> dict[int, int]:
    """The group's place in every partition."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT partition, next_offset FROM consumer_position WHERE consumer_group = :g AND topic = :t"
            ),
            {"g": group, "t": topic.name},
        )
        return dict.fromkeys(range(topic.partitions), 0) | {row[0]: row[1] for row in rows}
