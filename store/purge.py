"""Retention: what has ended and is old enough loses its body, its number and its story, each in its time.

The row itself stays: event ID, content hash and recipient hash are the guard against a second text.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.per_name import PerName
from notifications.policy import LISTENS_FOR
from notifications.status import FINAL, OPEN_ENDED, DeliveryStatus
from store.database import Database
from store.schema import alerts, counters, legs, notifications, recipients, timeline, webhooks
from store.vault import USED_AT_LAGS

AT_ONCE = 500  # rows in one transaction
_LEAVES_NO_DOUBT = (DeliveryStatus.DELIVERED, DeliveryStatus.UNDELIVERED, DeliveryStatus.FAILED)


class Purge:
    """Each call takes at most AT_ONCE; call again until there is nothing left. Raises SQLAlchemyError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def with_bodies(self, keep: PerName, now: datetime, but: Sequence[str] = ()) -> list[str]:
        """Events whose sealed requests are to be dropped, those in `but` left out."""
        query = select(notifications.c.event_id).where(
            notifications.c.sealed_request.is_not(None), _ended_before(keep, now), notifications.c.event_id.not_in(but)
        )
        async with self._database.read() as connection:
            return list((await connection.execute(query.limit(AT_ONCE))).scalars())

    async def drop_bodies(self, event_ids: Sequence[str]) -> None:
        async with self._database.write() as connection:
            mine = notifications.c.event_id.in_(event_ids)
            await connection.execute(update(notifications).where(mine).values(sealed_request=None))

    async def numbers(self, keep: PerName, now: datetime) -> int:
        """Drops masked numbers, and what is sealed of those who were alerted."""
        query = select(notifications.c.event_id).where(notifications.c.masked_phone != "", _ended_before(keep, now))
        of_legs = {"sealed_recipient": None, "range_hash": None}
        async with self._database.write() as connection:
            found = await _mark(connection, query, {"masked_phone": "", "consent_at": None})
            await connection.execute(update(legs).where(legs.c.event_id.in_(found)).values(of_legs))
            told_by_phone = alerts.c.ended_by.contains("***", autoescape=True)  # who has replied, or pressed a key
            await connection.execute(
                update(alerts).where(alerts.c.event_id.in_(found), told_by_phone).values(ended_by=None)
            )
        return len(found)

    async def stories(self, keep: PerName, now: datetime) -> int:
        """Drops timelines."""
        query = select(notifications.c.event_id).where(
            notifications.c.story_purged_at.is_(None), _ended_before(keep, now)
        )
        async with self._database.write() as connection:
            found = await _mark(connection, query, {"story_purged_at": now})
            await connection.execute(delete(timeline).where(timeline.c.event_id.in_(found)))
            await connection.execute(delete(webhooks).where(webhooks.c.event_id.in_(found)))
            if keep.largest is not None:  # callbacks of messages that nobody knew
                old = timeline.c.at < now - timedelta(days=keep.largest)
                await connection.execute(delete(timeline).where(timeline.c.event_id == "", old))
        return len(found)

    async def cards(self, keep: PerName, now: datetime) -> int:
        """Destroys the keys of those of whom no event keeps the number any more.

        Not of those for whom something was sealed meanwhile: an event that is open, or not written down yet, needs it.
        """
        if keep.largest is None:
            return 0
        before = now - timedelta(days=keep.largest)
        of_event = exists().where(
            notifications.c.recipient_hash == recipients.c.recipient_hash, notifications.c.masked_phone != ""
        )
        of_leg = exists().where(legs.c.recipient_hash == recipients.c.recipient_hash, legs.c.claimed_at >= before)
        unused = recipients.c.used_at < before - USED_AT_LAGS
        async with self._database.write() as connection:
            gone: CursorResult[Any] = await connection.execute(delete(recipients).where(unused, ~of_event, ~of_leg))
            return gone.rowcount

    async def counters(self, now: datetime) -> None:
        """Drops what was counted in windows that are over."""
        async with self._database.write() as connection:
            await connection.execute(delete(counters).where(counters.c.ends_at < now - timedelta(hours=1)))

    async def to_redact(self, before: datetime, but: Sequence[str] = ()) -> list[str]:
        """SIDs of messages that have ended before then and whose copy at Twilio still has its body.

        Those in `but` are left out. What has no end counts as ended once it was listened for as well.
        """
        ended = and_(notifications.c.status.in_(_LEAVES_NO_DOUBT), notifications.c.updated_at < before)
        given_up = and_(notifications.c.status.in_(OPEN_ENDED), notifications.c.updated_at < before - LISTENS_FOR)
        query = (
            select(legs.c.sid)
            .join(notifications, notifications.c.event_id == legs.c.event_id)
            .where(
                legs.c.sid.like("SM%") | legs.c.sid.like("MM%"),
                legs.c.redacted_at.is_(None),
                legs.c.sid.not_in(but),
                or_(ended, given_up),
            )
            .limit(AT_ONCE)
        )
        async with self._database.read() as connection:
            return [str(sid) for sid in (await connection.execute(query)).scalars()]

    async def redacted(self, sid: str, now: datetime) -> None:
        """Twilio's copy has no body any more."""
        async with self._database.write() as connection:
            await connection.execute(update(legs).where(legs.c.sid == sid).values(redacted_at=now))


async def _mark(connection: AsyncConnection, query: Any, changes: dict[str, Any]) -> list[str]:
    """Changes the events that are found; which. What goes with the mark belongs into the same transaction."""
    found = list((await connection.execute(query.limit(AT_ONCE))).scalars())
    if found:
        mine = notifications.c.event_id.in_(found)
        await connection.execute(update(notifications).where(mine).values(changes))
    return found


def _ended_before(keep: PerName, now: datetime) -> ColumnElement[bool]:
    """Ended, and without news for as long as its kind is kept; what has no end, once it was listened for as well."""
    ended = and_(notifications.c.status.in_(FINAL), _older(keep, now))
    given_up = and_(notifications.c.status.in_(OPEN_ENDED), _older(keep, now - LISTENS_FOR))
    return or_(ended, given_up)


def _older(keep: PerName, now: datetime) -> ColumnElement[bool]:
    """Without news for as long as its kind is kept."""
    of_kind = [
        and_(notifications.c.kind == kind, notifications.c.updated_at < now - timedelta(days=days))
        for kind, days in keep.named.items()
        if days is not None
    ]
    others = []
    if keep.default is not None:
        old = notifications.c.updated_at < now - timedelta(days=keep.default)
        others = [and_(notifications.c.kind.not_in(list(keep.named)), old)]
    return or_(False, *of_kind, *others)
