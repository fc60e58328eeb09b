"""One story of each event: what happened to it, what operators ordered, and what its caller was told."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database import Database
from store.outbox import WebhookState
from store.schema import audit, audit_results, legs, notifications, webhooks
from store.timeline import Entry, Record, record_of, records, timeline_of


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of a notification, in the order in which it happened."""

    record: Record
    entries: list[Entry]


class Stories:
    """Every method raises SQLAlchemyError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, event_id: str) -> Story | None:
        """None for an event that SQL does not know (yet)."""
        async with self._database.read() as connection:
            record = await record_of(connection, event_id)
            if record is None:
                return None
            entries = await timeline_of(connection, event_id)
            entries += await _orders(connection, event_id)
            entries += await _untaken(connection, event_id)
        return Story(record, sorted(entries, key=lambda entry: entry.at))  # stable: of equal times the timeline's first

    async def about(self, recipient_hash: str, at_most: int) -> list[Record]:
        """The events that a recipient was, or was to be, texted or called about; the latest first."""
        told = select(legs.c.event_id).where(legs.c.recipient_hash == recipient_hash)
        mine = or_(notifications.c.recipient_hash == recipient_hash, notifications.c.event_id.in_(told))
        query = select(notifications).where(mine).order_by(notifications.c.accepted_at.desc()).limit(at_most)
        async with self._database.read() as connection:
            return records(await connection.execute(query))


async def _orders(connection: AsyncConnection, event_id: str) -> list[Entry]:
    query = (
        select(audit, audit_results.c.result)
        .join(audit_results, audit_results.c.audit_id == audit.c.id, isouter=True)
        .where(audit.c.event_id == event_id)
        .order_by(audit.c.id)
    )
    return [_order(row) for row in await connection.execute(query)]


def _order(row: Row[Any]) -> Entry:
    says = f"{row.action} by {row.caller} (key {row.key_id}): {row.result or 'not known'}"
    return Entry("ordered", at=row.at, detail=says)


async def _untaken(connection: AsyncConnection, event_id: str) -> list[Entry]:
    """What its caller was told stands in the timeline; here is what he was not (yet)."""
    query = select(webhooks).where(webhooks.c.event_id == event_id, webhooks.c.state != WebhookState.TAKEN)
    return [
        Entry(
            "webhook",
            at=row.updated_at,
            detail=f"{row.id.rpartition('/')[2]}: {row.state}" + (f", {row.answer}" if row.answer else ""),
            facts={"attempts": row.attempts},
        )
        for row in await connection.execute(query.order_by(webhooks.c.created_at))
    ]
