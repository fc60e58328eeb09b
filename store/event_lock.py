"""One transaction at a time for each event."""

from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.schema import notifications

# Not the lock that a DELETE takes: rows of others may point at this one meanwhile.
_LOCK = (
    select(notifications.c.event_id)
    .where(notifications.c.event_id == bindparam("of_event"))
    .with_for_update(key_share=True)
)


async def lock_event(connection: AsyncConnection, event_id: str) -> None:
    """Keeps others out who are about to change an event, its legs or its story, until the transaction ends.

    Whoever changes any of them takes this lock first: two who took the same rows in different orders would wait for
    each other, and what was read before the wait would be old. SQLite has one writer at a time in any case.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(_LOCK, {"of_event": event_id})


async def lock_events(connection: AsyncConnection, which: Any) -> None:
    """The same for all events of a subquery of event IDs, in their order."""
    if connection.dialect.name == "postgresql":
        its = notifications.c.event_id
        await connection.execute(select(its).where(its.in_(which)).order_by(its).with_for_update(key_share=True))
