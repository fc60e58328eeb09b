"""The story of every notification, entry by entry, and the status that it adds up to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.notification import CarrierReport
from notifications.report import Report
from notifications.status import REPEATED, DeliveryStatus, advance, why_no_news
from store import outbox
from store.changes import count_change
from store.counted import after_commit
from store.database import Database
from store.event_lock import lock_event
from store.schema import legs, notifications, timeline
from telemetry import metrics


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the story. Holds no personal data: SIDs, codes, durations and plain words only."""

    what: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    sid: str | None = None
    carrier_status: str | None = None
    error_code: int | None = None
    counted: bool = True
    """False for a callback that changed nothing: repeated, late or contradicting the final status."""
    detail: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a notification."""

    event_id: str
    kind: str
    caller: str
    content_hash: str
    masked_phone: str
    country: str
    status: DeliveryStatus
    sid: str | None
    error_code: int | None
    attempts: int
    escalated: str | None
    duplicate_send: bool
    accepted_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording a callback came to."""

    event_id: str | None
    counted: bool
    leg: int = 1
    second_sid: bool = False
    """Another message already stands for this leg: the recipient may have been texted twice."""
    worn_out: bool = False
    """It has come so often that it is not written down any more: somebody replays it."""


MOST_REPEATS = 20  # of what one message's callbacks say and does not count; Twilio itself tries five times


class Timeline:
    """Reads and appends; entries are never changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, event_id: str) -> Record | None:
        async with self._database.read() as connection:
            return await record_of(connection, event_id)

    async def story(self, event_id: str) -> list[Entry]:
        async with self._database.read() as connection:
            return await timeline_of(connection, event_id)

    async def event_of(self, sid: str) -> str | None:
        """The event that a message belongs to, by the ledger or by any callback that named both."""
        async with self._database.read() as connection:
            for query in (
                select(legs.c.event_id).where(legs.c.sid == sid),
                select(timeline.c.event_id).where(timeline.c.sid == sid, timeline.c.event_id != "").limit(1),
            ):
                if (event_id := (await connection.execute(query)).scalar()) is not None:
                    return str(event_id)
            return None

    async def callback(self, event_id: str | None, report: CarrierReport, entry: Entry) -> Recorded:
        """Records a callback of the leg that it names, learns the SID from it, and moves the status on if it is news.

        `event_id` is None where the callback URL named none; then the SID tells.
        """
        async with self._database.write() as connection:
            leg, named = report.leg, event_id
            if event_id is None:
                owner = await self._owner(connection, report.sid)
                if owner is None:
                    if await _worn_out(connection, named, entry):
                        return Recorded(event_id=None, counted=False, worn_out=True)
                    nobody = replace(entry, counted=False, detail="no event is known for this message")
                    await append(connection, "", nobody)
                    return Recorded(event_id=None, counted=False)
                event_id, leg = owner
            await lock_event(connection, event_id)
            row = (await connection.execute(_LEG, {"of_event": event_id, "of_leg": leg})).first()
            second = row is not None and row.sid not in (None, report.sid)
            if row is None:
                why_not: str | None = "nothing was claimed for this event"
            elif second:
                why_not = f"this leg has another message, {row.sid}"
            else:
                why_not = why_no_news(row.carrier_status, report.carrier_status)
                await self._learn(connection, event_id, leg, report, news=why_not is None)
                # Of an earlier leg only a delivery counts for the whole, if it is the same text: the recipient has it.
                if leg == row.latest or (report.status is DeliveryStatus.DELIVERED and leg >= row.first_leg):
                    await advance_status(
                        connection,
                        event_id,
                        report.status,
                        why="callback",
                        sid=report.sid,
                        error_code=report.error_code,
                    )
            if why_not is not None and await _worn_out(connection, named, entry):
                return Recorded(event_id=event_id, counted=False, worn_out=True)
            if second:
                await connection.execute(
                    update(notifications).where(notifications.c.event_id == event_id).values(duplicate_send=True)
                )
            if why_not == REPEATED:
                after_commit(connection, metrics.DUPLICATES.labels(guard="callback").inc)
            await append(connection, event_id, replace(entry, counted=why_not is None, detail=why_not))
            return Recorded(event_id=event_id, counted=why_not is None, leg=leg, second_sid=second)

    async def note(
        self,
        event_id: str,
        entry: Entry,
        *,
        status: DeliveryStatus | None = None,
        error_code: int | None = None,
        escalated: str | None = None,
    ) -> None:
        """Appends an entry and, where given, what it changes."""
        async with self._database.write() as connection:
            await lock_event(connection, event_id)
            await append(connection, event_id, entry)
            if status is not None:
                await advance_status(connection, event_id, status, why=entry.what, error_code=error_code, sid=entry.sid)
            if escalated is not None:
                await _escalate(connection, event_id, escalated, entry.at)

    async def _owner(self, connection: AsyncConnection, sid: str) -> tuple[str, int] | None:
        query = select(legs.c.event_id, legs.c.number).where(legs.c.sid == sid)
        row = (await connection.execute(query)).first()
        return None if row is None else (row.event_id, row.number)

    async def _learn(
        self, connection: AsyncConnection, event_id: str, leg: int, report: CarrierReport, *, news: bool
    ) -> None:
        """A callback proves that Twilio has the leg's message, whatever our POST was answered."""
        learnt = {"sid": report.sid, "state": "accepted"}
        if news:
            learnt["carrier_status"] = report.carrier_status
        await connection.execute(_LEARN, learnt | {"of_event": event_id, "of_leg": leg})


# Statements of every notification are built once: to build one anew takes longer than SQLite takes to run it.
_LATEST_LEG = select(func.max(legs.c.number)).where(legs.c.event_id == bindparam("of_event")).scalar_subquery()
_LEG = (
    select(legs.c.sid, legs.c.carrier_status, _LATEST_LEG.label("latest"), notifications.c.first_leg)
    .join(notifications, notifications.c.event_id == legs.c.event_id)
    .where(legs.c.event_id == bindparam("of_event"), legs.c.number == bindparam("of_leg"))
)
_LEARN = update(legs).where(legs.c.event_id == bindparam("of_event"), legs.c.number == bindparam("of_leg"))


async def _worn_out(connection: AsyncConnection, event_id: str | None, entry: Entry) -> bool:
    """Whether a message's callbacks have said this so often without counting that it is not written down again."""
    if await _repeats(connection, event_id, entry) < MOST_REPEATS:
        return False
    after_commit(connection, metrics.DUPLICATES.labels(guard="callback").inc)
    return True


async def _repeats(connection: AsyncConnection, event_id: str | None, entry: Entry) -> int:
    """How often a message's callbacks have said this without counting."""
    query = select(func.count()).where(
        timeline.c.sid == entry.sid,
        timeline.c.what == entry.what,
        timeline.c.carrier_status == entry.carrier_status,
        timeline.c.counted.is_(False),
    )
    if event_id is not None:
        query = query.where(timeline.c.event_id == event_id)
    return int((await connection.execute(query)).scalar() or 0)


async def _escalate(connection: AsyncConnection, event_id: str, reason: str, at: datetime) -> None:
    mine = notifications.c.event_id == event_id
    query = select(notifications.c.kind, notifications.c.escalated).where(mine)
    row = (await connection.execute(query)).first()
    await connection.execute(update(notifications).where(mine).values(escalated=reason, updated_at=at))
    if row is not None and row.escalated != reason:  # told again, by a further rung say, it is the same escalation
        after_commit(connection, metrics.ESCALATED.labels(kind=row.kind, reason=reason).inc)


async def append(connection: AsyncConnection, event_id: str, entry: Entry) -> None:
    """Adds an entry within the caller's transaction."""
    row = {
        "event_id": event_id,
        "at": entry.at,
        "what": entry.what,
        "sid": entry.sid,
        "carrier_status": entry.carrier_status,
        "error_code": entry.error_code,
        "counted": entry.counted,
        "detail": entry.detail[:300] if entry.detail else None,
        "facts": dict(entry.facts) or None,
    }
    await connection.execute(_APPEND, row)


_APPEND = insert(timeline).inline()  # nobody asks for the entry's number


async def has_entry(connection: AsyncConnection, event_id: str, what: str, detail: str) -> bool:
    """Whether an event's story has this line already."""
    query = select(timeline.c.id).where(
        timeline.c.event_id == event_id, timeline.c.what == what, timeline.c.detail == detail
    )
    return (await connection.execute(query.limit(1))).first() is not None


async def advance_status(
    connection: AsyncConnection,
    event_id: str,
    reported: DeliveryStatus,
    *,
    why: str,
    sid: str | None = None,
    error_code: int | None = None,
    attempts: int = 0,
) -> bool:
    """Moves the notification's status forward within the caller's transaction; False when it was no news.

    That transaction has locked the event (store/event_lock.py).

    `why` is what it is counted under: the timeline entry that tells of it, or our rule that forbids the text.
    `attempts` are added to those that were counted.
    """
    row = (await connection.execute(_STANDING, {"of_event": event_id})).first()
    if row is None:
        return False
    current = DeliveryStatus(row.status)
    changes: dict[str, Any] = {}
    if advance(current, reported) is not current:
        changes |= {"status": reported, "error_code": error_code}
        count_change(connection, row, reported, error_code=error_code, why=why)
    if sid is not None and row.sid is None:
        changes["sid"] = sid
    if attempts:
        changes["attempts"] = row.attempts + attempts
    if changes:
        changes["updated_at"] = datetime.now(UTC)
        await connection.execute(_CHANGE, changes | {"of_event": event_id})
    if row.reports and reported.final and "status" in changes:
        leg = row.latest or 1
        report = Report(event_id, row.kind, leg, reported, sid or row.sid, error_code, row.escalated is not None)
        await outbox.add(connection, report, row.caller)  # with its status or not at all: callers hear of every end
    return "status" in changes


_BEGINNINGS = ("requested", "step", "resend")  # the entries from which a text's time counts
_BEGAN = (
    select(func.max(timeline.c.at))
    .where(timeline.c.event_id == bindparam("of_event"), or_(*(timeline.c.what == what for what in _BEGINNINGS)))
    .scalar_subquery()
)
_STANDING = select(
    notifications.c.status,
    notifications.c.sid,
    notifications.c.kind,
    notifications.c.country,
    notifications.c.held_until,
    notifications.c.caller,
    notifications.c.escalated,
    notifications.c.reports,
    notifications.c.attempts,
    _BEGAN.label("began"),
    _LATEST_LEG.label("latest"),
).where(notifications.c.event_id == bindparam("of_event"))
_CHANGE = update(notifications).where(notifications.c.event_id == bindparam("of_event"))
_RECORD = select(notifications).where(notifications.c.event_id == bindparam("of_event"))


async def timeline_of(connection: AsyncConnection, event_id: str) -> list[Entry]:
    """The entries of an event, in the order in which they were written."""
    query = select(timeline).where(timeline.c.event_id == event_id).order_by(timeline.c.id)
    return [_entry(row) for row in await connection.execute(query)]


async def record_of(connection: AsyncConnection, event_id: str) -> Record | None:
    """What is known of an event; None when SQL does not know it."""
    found = await connection.execute(_RECORD, {"of_event": event_id})
    return next(iter(records(found)), None)


def records(rows: Iterable[Row[Any]]) -> list[Record]:
    """From rows of `notifications`."""
    return [_record(row) for row in rows]


def _record(row: Row[Any]) -> Record:
    return Record(
        event_id=row.event_id,
        kind=row.kind,
        caller=row.caller,
        content_hash=row.content_hash,
        masked_phone=row.masked_phone,
        country=row.country,
        status=DeliveryStatus(row.status),
        sid=row.sid,
        error_code=row.error_code,
        attempts=row.attempts,
        escalated=row.escalated,
        duplicate_send=row.duplicate_send,
        accepted_at=row.accepted_at,
        updated_at=row.updated_at,
    )


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        what=row.what,
        at=row.at,
        sid=row.sid,
        carrier_status=row.carrier_status,
        error_code=row.error_code,
        counted=row.counted,
        detail=row.detail,
        facts=row.facts or {},
    )
