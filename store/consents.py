"""The consent ledger: records are added, never changed; what was opted out of is forgotten by nobody."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, bindparam, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.consent import (
    BLOCKED,
    DEAD_NUMBER,
    EVERY,
    OPTED_OUT,
    TELLING,
    ConsentRecord,
    ConsentRules,
    ConsentStatus,
    OptOutScope,
    why_not,
)
from notifications.notification import NotificationRequest
from notifications.phone import is_toll_free
from store.database import Database, insert_new
from store.schema import consents, legs, notifications, recipients


@dataclass(frozen=True, slots=True)
class Exported:
    """A record, and whose it is."""

    id: int
    recipient_hash: str
    sealed_phone: str | None
    """None where the number is not kept any more."""
    record: ConsentRecord


class Consents:
    """By the recipient's keyed hash. Every method but those given a connection raises SQLAlchemyError."""

    def __init__(self, database: Database, rules: ConsentRules) -> None:
        self._database = database
        self.rules = rules

    async def add(self, recipient_hash: str, record: ConsentRecord, *, reference: str | None = None) -> bool:
        """Writes a record down; False when it was written down before.

        `reference` names what it comes from, a Message SID say: replayed, it must not count twice.
        """
        async with self._database.write() as connection:
            return await add(connection, recipient_hash, record, reference)

    async def records(self, recipient_hash: str) -> list[ConsentRecord]:
        """All of a recipient's, in the order in which they were written down."""
        async with self._database.read() as connection:
            return await _records(connection, recipient_hash)

    async def export(self, *, after: int, at_most: int, status: ConsentStatus | None) -> list[Exported]:
        """Everybody's records, in the order in which they were written down, from the one after `after` on."""
        query = (
            select(consents, recipients.c.sealed_phone)
            .join(recipients, recipients.c.recipient_hash == consents.c.recipient_hash, isouter=True)
            .where(consents.c.id > after, *([consents.c.status == status] if status else []))
            .order_by(consents.c.id)
            .limit(at_most)
        )
        async with self._database.read() as connection:
            return [
                Exported(row.id, row.recipient_hash, row.sealed_phone, _record(row))
                for row in await connection.execute(query)
            ]

    async def why_not(
        self, connection: AsyncConnection, recipient_hash: str, purpose: str, now: datetime
    ) -> str | None:
        """Why nothing may be sent for this purpose now; None when it may."""
        return why_not(await _deciding(connection, recipient_hash, purpose), purpose, self.rules, now)

    async def opted_out(
        self, recipient_hash: str, source: str, *, purpose: str | None, sender: str | None, reference: str | None
    ) -> bool:
        """Opts a recipient out as far as OPT_OUT_SCOPE says; False for what is known already."""
        async with self._database.write() as connection:
            record = self._limited(ConsentStatus.OPTED_OUT, source, purpose, sender)
            return await add(connection, recipient_hash, record, reference)

    async def opted_in(self, recipient_hash: str, source: str, *, sender: str | None, reference: str | None) -> bool:
        """Lifts the opt-outs that a START reaches; False for what is known already."""
        async with self._database.write() as connection:
            record = self._limited(ConsentStatus.OPTED_IN, source, None, sender)
            return await add(connection, recipient_hash, record, reference)

    async def learn(self, event_id: str, leg: int, code: int | None, *, sender: str | None, sid: str | None) -> None:
        """Takes from an error code of Twilio's what it says of the recipient."""
        if code not in TELLING:
            return
        async with self._database.write() as connection:
            query = select(legs.c.recipient_hash).where(legs.c.event_id == event_id, legs.c.number == leg)
            recipient_hash = (await connection.execute(query)).scalar()
            if recipient_hash is not None:
                await self.learn_within(connection, recipient_hash, code, sender=sender, reference=sid or event_id)

    async def learn_within(
        self, connection: AsyncConnection, recipient_hash: str, code: int | None, *, sender: str | None, reference: str
    ) -> None:
        """The same within the caller's transaction, once for each `reference`."""
        source = f"Twilio error {code}"
        sender = sender or next(iter(self.rules.senders), None)
        if code == OPTED_OUT or (code == BLOCKED and sender is not None and is_toll_free(sender)):
            record = self._limited(ConsentStatus.OPTED_OUT, source, None, sender)
        elif code == DEAD_NUMBER:
            record = ConsentRecord(EVERY, ConsentStatus.LAPSED, datetime.now(UTC), source, "Twilio")
        else:
            return
        await add(connection, recipient_hash, record, f"{code}:{reference}")

    async def last_kind(self, recipient_hash: str) -> str | None:
        """The kind of the last event that a recipient was texted about."""
        query = (
            select(notifications.c.kind)
            .join(legs, legs.c.event_id == notifications.c.event_id)
            .where(legs.c.recipient_hash == recipient_hash)
            .order_by(legs.c.claimed_at.desc())
            .limit(1)
        )
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar()

    def _limited(self, status: ConsentStatus, source: str, purpose: str | None, sender: str | None) -> ConsentRecord:
        scope = self.rules.scope
        return ConsentRecord(
            purpose=(purpose or EVERY) if scope is OptOutScope.PURPOSE else EVERY,
            status=status,
            at=datetime.now(UTC),
            source=source,
            recorded_by="Twilio",
            sender=sender if scope is OptOutScope.SENDER else None,
        )


_OF_OPT_OUT = (ConsentStatus.OPTED_OUT, ConsentStatus.OPTED_IN)


async def add(
    connection: AsyncConnection, recipient_hash: str, record: ConsentRecord, reference: str | None = None
) -> bool:
    """Within the caller's transaction; False when it was written down before."""
    row = {
        "recipient_hash": recipient_hash,
        "reference": (reference or _reference(record))[:200],
        "purpose": record.purpose,
        "status": record.status,
        "at": record.at,
        "expires_at": record.expires_at,
        "source": record.source[:100],
        "wording": record.wording,
        "recorded_by": record.recorded_by,
        "recorded_at": datetime.now(UTC),
        "sender": record.sender[:40] if record.sender else None,
        "event_id": record.event_id,
    }
    return await insert_new(connection, consents, row)


async def add_evidence(connection: AsyncConnection, request: NotificationRequest) -> None:
    """An event's own `consentAt` proves its recipients' consent; the first event that tells of it is named."""
    if request.consent_at is None:
        return
    people: Iterable[Any] = (request.recipient, *(step.recipient for step in request.steps))
    for recipient_hash in {one.hash for one in people if one is not None and one.hash}:
        record = ConsentRecord(
            purpose=request.policy.purpose,
            status=ConsentStatus.GRANTED,
            at=request.consent_at,
            source="event",
            recorded_by=request.caller,
            event_id=request.event_id,
        )
        await add(connection, recipient_hash, record)


def _reference(record: ConsentRecord) -> str:
    """The same words at the same time are the same record."""
    ends = record.expires_at.isoformat() if record.expires_at else ""
    parts = (record.status, record.purpose, record.at.astimezone(UTC).isoformat(), ends, record.recorded_by)
    return "/".join((*parts, record.source, record.wording or ""))


async def _deciding(connection: AsyncConnection, recipient_hash: str, purpose: str) -> list[ConsentRecord]:
    """Opt-outs, and the one consent record that counts: events may have brought thousands."""
    rows = await connection.execute(_DECIDING, {"recipient_hash": recipient_hash, "purpose": purpose})
    return [_record(row) for row in rows]


def _deciding_query() -> Any:
    its = consents.c.recipient_hash == bindparam("recipient_hash")
    of_opt_out = [literal(status.value) for status in _OF_OPT_OUT]
    latest = (
        select(consents.c.id)
        .where(
            its, consents.c.status.not_in(of_opt_out), consents.c.purpose.in_([literal(EVERY), bindparam("purpose")])
        )
        .order_by(consents.c.at.desc(), consents.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(consents).where(its, or_(consents.c.status.in_(of_opt_out), consents.c.id == latest))
    return query.order_by(consents.c.id)


_DECIDING = _deciding_query()


async def _records(connection: AsyncConnection, recipient_hash: str) -> list[ConsentRecord]:
    query = select(consents).where(consents.c.recipient_hash == recipient_hash).order_by(consents.c.id)
    return [_record(row) for row in await connection.execute(query)]


def _record(row: Row[Any]) -> ConsentRecord:
    return ConsentRecord(
        purpose=row.purpose,
        status=ConsentStatus(row.status),
        at=row.at,
        source=row.source,
        recorded_by=row.recorded_by,
        wording=row.wording,
        expires_at=row.expires_at,
        sender=row.sender,
        event_id=row.event_id,
        recorded_at=row.recorded_at,
    )
