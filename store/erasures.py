"""To forget a recipient: his key is destroyed at once; what is left of him in clear, masked numbers and stories,
follows as soon as his notifications have ended."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.consent import ConsentStatus
from notifications.status import DeliveryStatus
from store.database import Database
from store.schema import alerts, consents, erasures, legs, notifications, recipients, timeline
from store.timeline import Entry, append


@dataclass(frozen=True, slots=True)
class Erasure:
    """One that is not finished yet."""

    id: int
    recipient_hash: str


@dataclass(frozen=True, slots=True)
class Trace:
    """An event of a recipient who was forgotten."""

    event_id: str
    status: DeliveryStatus
    sids: tuple[str, ...]
    """Messages and calls to him."""


class Erasures:
    """Every method raises SQLAlchemyError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, recipient_hash: str, masked: str, by: str) -> int:
        """Destroys the recipient's key, his consent records and his masked number; how many events he had.

        Opt-outs stay, and event IDs with his hash: neither must anybody be texted who said stop, nor twice.
        """
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await connection.execute(insert(erasures).values(recipient_hash=recipient_hash, at=now, by=by))
            await connection.execute(delete(recipients).where(recipients.c.recipient_hash == recipient_hash))
            of_consent = consents.c.status.not_in((ConsentStatus.OPTED_OUT, ConsentStatus.OPTED_IN))
            await connection.execute(delete(consents).where(consents.c.recipient_hash == recipient_hash, of_consent))
            mine = _events_of(recipient_hash)
            await connection.execute(
                update(timeline)
                .where(timeline.c.event_id.in_(mine), timeline.c.detail.contains(masked, autoescape=True))
                .values(detail=func.replace(timeline.c.detail, masked, "***"))
            )
            await connection.execute(
                update(alerts)
                .where(alerts.c.event_id.in_(mine), alerts.c.ended_by.contains(masked, autoescape=True))
                .values(ended_by=func.replace(alerts.c.ended_by, masked, "***"))
            )
            await connection.execute(
                update(notifications)
                .where(notifications.c.recipient_hash == recipient_hash)
                .values(masked_phone="", consent_at=None)
            )
            await connection.execute(
                update(legs).where(legs.c.recipient_hash == recipient_hash).values(sealed_recipient=None)
            )
            return int((await connection.execute(select(func.count()).select_from(mine.subquery()))).scalar_one())

    async def again(self) -> int:
        """Destroys keys that a restored backup has brought back; how many."""
        async with self._database.write() as connection:
            forgotten = exists().where(
                erasures.c.recipient_hash == recipients.c.recipient_hash, erasures.c.at >= recipients.c.created_at
            )
            return (await connection.execute(delete(recipients).where(forgotten))).rowcount

    async def unfinished(self) -> list[Erasure]:
        query = select(erasures.c.id, erasures.c.recipient_hash).where(erasures.c.finished_at.is_(None))
        async with self._database.read() as connection:
            return [Erasure(row.id, row.recipient_hash) for row in await connection.execute(query)]

    async def traces(self, recipient_hash: str) -> list[Trace]:
        """His events that are not wiped yet."""
        async with self._database.read() as connection:
            query = select(notifications.c.event_id, notifications.c.status).where(
                notifications.c.event_id.in_(_events_of(recipient_hash)),
                or_(notifications.c.story_purged_at.is_(None), notifications.c.sealed_request.is_not(None)),
            )
            found = (await connection.execute(query)).all()
            return [
                Trace(row.event_id, DeliveryStatus(row.status), await _sids(connection, row.event_id, recipient_hash))
                for row in found
            ]

    async def wipe(self, event_id: str) -> None:
        """Of an event that has ended only its ID, its hashes, its status and its SIDs are left."""
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await connection.execute(delete(timeline).where(timeline.c.event_id == event_id))
            await connection.execute(
                update(notifications)
                .where(notifications.c.event_id == event_id)
                .values(sealed_request=None, masked_phone="", consent_at=None, story_purged_at=now)
            )
            await connection.execute(
                update(legs).where(legs.c.event_id == event_id).values(sealed_recipient=None, redacted_at=now)
            )
            await append(connection, event_id, Entry("erased", at=now, detail="the recipient was forgotten"))

    async def finish(self, erasure: Erasure) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(erasures).where(erasures.c.id == erasure.id).values(finished_at=datetime.now(UTC))
            )


def _events_of(recipient_hash: str) -> Any:
    told = select(legs.c.event_id).where(legs.c.recipient_hash == recipient_hash)
    mine = or_(notifications.c.recipient_hash == recipient_hash, notifications.c.event_id.in_(told))
    return select(notifications.c.event_id).where(mine)


async def _sids(connection: AsyncConnection, event_id: str, recipient_hash: str) -> tuple[str, ...]:
    his = or_(legs.c.recipient_hash == recipient_hash, legs.c.recipient_hash.is_(None))
    query = select(legs.c.sid).where(legs.c.event_id == event_id, legs.c.sid.is_not(None), his)
    return tuple((await connection.execute(query)).scalars())
