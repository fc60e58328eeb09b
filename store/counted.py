"""Counting what a transaction has changed: once it is committed, and never when it was not."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncConnection

Count = Callable[[], None]


async def count_on(connection: AsyncConnection) -> list[Count]:
    """The counts that are to follow this connection's transaction."""
    counts: list[Count] = []
    await connection.execution_options(heliograph_counts=counts)
    return counts


def after_commit(connection: AsyncConnection, count: Count) -> None:
    """Has something counted when the caller's transaction (`Database.write`) is committed."""
    assert connection.sync_connection is not None
    counts: list[Count] = connection.sync_connection.get_execution_options()["heliograph_counts"]
    counts.append(count)
