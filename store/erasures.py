"""To forget a recipient: his key is destroyed at once; what is left of him in clear, masked numbers and stories,
follows as soon as his notifications have ended."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import String, and_, case, cast, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.consent import ConsentStatus
from notifications.status import DeliveryStatus
from store.database import Database
from store.event_lock import lock_event, lock_events
from store.schema import alerts, consents, erasures, legs, notifications, recipients, timeline
from store.timeline import Entry, append

BLOTTED = "before he was forgotten"
"""In the place of where consent was withdrawn."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """One that is not finished yet."""

    id: int
    recipient_hash: str
    at: datetime
    """What was accepted after it is none of its business: he may have agreed anew."""


@dataclass(frozen=True, slots=True)
class Trace:
    """An event of a recipient who was forgotten."""

    event_id: str
    status: DeliveryStatus
    updated_at: datetime
    sids: tuple[str, ...]
    """Messages and calls to him."""


class Erasures:
    """Every method raises SQLAlchemyError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, recipient_hash: str, masked: str, by: str) -> int:
        """Destroys the recipient's key, his consent and his masked number; how many events he had.

        Opt-outs stay, that consent was withdrawn or lapsed (without where and by which words), and event IDs with his
        hash: neither must anybody be texted who said stop, nor on older consent, nor twice.
        """
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await connection.execute(insert(erasures).values(recipient_hash=recipient_hash, at=now, by=by))
            await connection.execute(delete(recipients).where(recipients.c.recipient_hash == recipient_hash))
            await _drop_consent(connection, recipient_hash)
            mine = _events_of(recipient_hash)
            await lock_events(connection, mine)
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
        columns = erasures.c.id, erasures.c.recipient_hash, erasures.c.at
        query = select(*columns).where(erasures.c.finished_at.is_(None)).order_by(erasures.c.id)
        async with self._database.read() as connection:
            return [Erasure(row.id, row.recipient_hash, row.at) for row in await connection.execute(query)]

    async def traces(self, erasure: Erasure) -> list[Trace]:
        """His events that are not wiped yet."""
        who = erasure.recipient_hash
        query = select(notifications.c.event_id, notifications.c.status, notifications.c.updated_at).where(
            notifications.c.accepted_at <= erasure.at,
            or_(
                and_(
                    notifications.c.recipient_hash == who,
                    or_(
                        notifications.c.sealed_request.is_not(None),
                        and_(notifications.c.story_purged_at.is_(None), ~_others(who)),
                    ),
                ),
                notifications.c.event_id.in_(_legs_left(erasure)),
            ),
        )
        async with self._database.read() as connection:
            found = (await connection.execute(query)).all()
            return [
                Trace(row.event_id, DeliveryStatus(row.status), row.updated_at, await _sids(connection, row, who))
                for row in found
            ]

    async def wipe(self, event_id: str, recipient_hash: str) -> None:
        """Of an event that has ended only its ID, its hashes, its status and its SIDs are left.

        Where others were told of it as well, their legs, their number and the story stay for as long as settings say.
        """
        now = datetime.now(UTC)
        event = notifications.c.event_id == event_id
        async with self._database.write() as connection:
            await lock_event(connection, event_id)
            alone = notifications.c.recipient_hash == recipient_hash, ~_others(recipient_hash)
            his_alone = (
                await connection.execute(select(notifications.c.event_id).where(event, *alone))
            ).first() is not None
            changes: dict[str, Any] = {"sealed_request": None}  # every contact's number is in it, masked
            if his_alone:
                await connection.execute(delete(timeline).where(timeline.c.event_id == event_id))
                changes |= {"masked_phone": "", "consent_at": None, "story_purged_at": now}
            else:  # not empty, so that what is kept of the others goes in its time
                empty = notifications.c.masked_phone == ""
                changes["masked_phone"] = case((empty, "***"), else_=notifications.c.masked_phone)
            await connection.execute(update(notifications).where(event).values(changes))
            await connection.execute(
                update(legs)
                .where(legs.c.event_id == event_id, _his(recipient_hash))
                .values(sealed_recipient=None, redacted_at=now)
            )
            says = "the recipient was forgotten" if his_alone else "one of its recipients was forgotten"
            await append(connection, event_id, Entry("erased", at=now, detail=says))

    async def finish(self, erasure: Erasure) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(erasures).where(erasures.c.id == erasure.id).values(finished_at=datetime.now(UTC))
            )


async def _drop_consent(connection: AsyncConnection, recipient_hash: str) -> None:
    """What was withdrawn or has lapsed stays so: the date that a caller still has of older consent must not count."""
    his = consents.c.recipient_hash == recipient_hash
    await connection.execute(delete(consents).where(his, consents.c.status == ConsentStatus.GRANTED))
    # The reference of what a caller wrote down is made of his words; one of Twilio's keeps it from counting twice.
    of_words = consents.c.reference.like(consents.c.status + "/%")
    await connection.execute(
        update(consents)
        .where(his, consents.c.status.in_((ConsentStatus.REVOKED, ConsentStatus.LAPSED)))
        .values(
            source=BLOTTED,
            wording=None,
            reference=case((of_words, "erased/" + cast(consents.c.id, String)), else_=consents.c.reference),
        )
    )


def _events_of(recipient_hash: str) -> Any:
    told = select(legs.c.event_id).where(legs.c.recipient_hash == recipient_hash)
    mine = or_(notifications.c.recipient_hash == recipient_hash, notifications.c.event_id.in_(told))
    return select(notifications.c.event_id).where(mine)


def _legs_left(erasure: Erasure) -> Any:
    """Events with texts or calls to him that were not wiped since he asked for it."""
    not_since = or_(legs.c.redacted_at.is_(None), legs.c.redacted_at < erasure.at)
    return select(legs.c.event_id).where(legs.c.recipient_hash == erasure.recipient_hash, not_since)


def _others(recipient_hash: str) -> Any:
    """Whether an event of `notifications` has texts or calls to others, too."""
    return exists().where(
        legs.c.event_id == notifications.c.event_id,
        legs.c.recipient_hash.is_not(None),
        legs.c.recipient_hash != recipient_hash,
    )


def _his(recipient_hash: str) -> Any:
    return or_(legs.c.recipient_hash == recipient_hash, legs.c.recipient_hash.is_(None))


async def _sids(connection: AsyncConnection, event: Any, recipient_hash: str) -> tuple[str, ...]:
    query = select(legs.c.sid).where(legs.c.event_id == event.event_id, legs.c.sid.is_not(None), _his(recipient_hash))
    return tuple((await connection.execute(query)).scalars())
