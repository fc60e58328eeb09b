"""Which alerts are of one incident: the first of them climbs, the others are told of by digests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.notification import Admission, NotificationRequest, Recipient, Role
from notifications.status import DeliveryStatus
from notifications.storm import code_of
from privacy.encryption import KeyRing
from store.database import Database, insert_new
from store.event_lock import lock_event
from store.ledger import LegState
from store.schema import alerts, incidents, legs, notifications
from store.timeline import Entry, advance_status, append

# A digest that has not gone by then is lost with its workflow; further alerts must not wait for it.
OVERDUE = timedelta(hours=1)
# What was sent longer ago than that is not what a reply is about.
REPLIES_WITHIN = timedelta(hours=24)


class AlertState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One of an incident."""

    event_id: str
    role: Role
    state: AlertState
    subject_hash: str


class Alerts:
    """Every decision is written down, so that a repeated call gets the same one."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    async def admit(self, request: NotificationRequest) -> Admission:
        """What becomes of an alert that has a `storm`; the event's row must be there."""
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await self._lock(connection, request, now)
            known = (await connection.execute(select(alerts).where(alerts.c.event_id == request.event_id))).first()
            if known is not None:
                return Admission(role=Role(known.role), into=known.into, until=known.until)
            admission = await self._decide(connection, request, now)
            await connection.execute(
                alerts.insert().values(
                    event_id=request.event_id,
                    subject_hash=request.subject_hash,
                    role=admission.role,
                    into=admission.into,
                    until=admission.until,
                    code=code_of(request.event_id),
                    state=AlertState.OPEN,
                    at=now,
                )
            )
            await _tell(connection, request.event_id, admission)
            return admission

    async def close_digest(self, request: NotificationRequest) -> int:
        """How many alerts the digest tells of, fixed from now on; 0 when the incident was resolved meanwhile."""
        assert request.storm is not None
        event_id, now = request.event_id, datetime.now(UTC)
        async with self._database.write() as connection:
            await self._lock(connection, request, now)
            mine = (await connection.execute(select(alerts.c.state).where(alerts.c.event_id == event_id))).scalar_one()
            told = (await connection.execute(select(alerts.c.event_id).where(alerts.c.into == event_id))).all()
            await connection.execute(
                update(incidents)
                .where(incidents.c.subject_hash == request.subject_hash, incidents.c.digest_event_id == event_id)
                .values(digest_event_id=None, window_ends_at=now + request.storm.window)
            )
            return 0 if mine == AlertState.RESOLVED else 1 + len(told)

    async def resolve(self, request: NotificationRequest) -> list[Alert]:
        """Ends the incident; the alerts that this event has ended, oldest first."""
        now = datetime.now(UTC)
        mine = alerts.c.subject_hash == request.subject_hash
        async with self._database.write() as connection:
            await self._lock(connection, request, now)
            await connection.execute(
                update(incidents)
                .where(incidents.c.subject_hash == request.subject_hash)
                .values(event_id=request.event_id, resolved_at=request.accepted_at, digest_event_id=None)
            )
            await connection.execute(
                update(alerts)
                .where(mine, alerts.c.state != AlertState.RESOLVED, alerts.c.role != Role.FOLDED)
                .values(state=AlertState.RESOLVED, ended_by=request.event_id)
            )
            query = select(alerts).where(mine, alerts.c.ended_by == request.event_id).order_by(alerts.c.at)
            return [_alert(row) for row in await connection.execute(query)]

    async def alerted(self, event_ids: list[str]) -> list[Recipient]:
        """Those who were texted or called under these events, each once."""
        query = (
            select(legs.c.sealed_recipient)
            .where(
                legs.c.event_id.in_(event_ids), legs.c.state == LegState.ACCEPTED, legs.c.sealed_recipient.is_not(None)
            )
            .order_by(legs.c.claimed_at)
        )
        async with self._database.read() as connection:
            sealed = list((await connection.execute(query)).scalars())
        found = [Recipient.model_validate_json(self._ring.decrypt_text(one)) for one in sealed]
        return list({recipient.hash: recipient for recipient in found}.values())

    async def of(self, event_id: str) -> Alert | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(alerts).where(alerts.c.event_id == event_id))).first()
            return None if row is None else _alert(row)

    async def about_to_be(self, event_id: str) -> bool:
        """Whether the event was accepted, and nothing more has happened to it yet."""
        query = select(notifications.c.status).where(notifications.c.event_id == event_id)
        async with self._database.read() as connection:
            return bool((await connection.execute(query)).scalar() == DeliveryStatus.PENDING)

    async def climbing(self, subject_hash: str) -> list[Alert]:
        """The alerts of an incident that nobody has acknowledged yet."""
        query = select(alerts).where(
            alerts.c.subject_hash == subject_hash, alerts.c.role == Role.FIRST, alerts.c.state == AlertState.OPEN
        )
        async with self._database.read() as connection:
            return [_alert(row) for row in await connection.execute(query)]

    async def sent_to(self, recipient_hash: str, *, code: str | None = None) -> list[Alert]:
        """The alerts that a phone got lately and nobody has acknowledged, the latest first."""
        since = datetime.now(UTC) - REPLIES_WITHIN
        query = (
            select(alerts)
            .join(legs, legs.c.event_id == alerts.c.event_id)
            .where(
                legs.c.recipient_hash == recipient_hash,
                legs.c.claimed_at > since,
                alerts.c.state == AlertState.OPEN,
                *([alerts.c.code == code] if code is not None else []),
            )
            .order_by(legs.c.claimed_at.desc())
        )
        async with self._database.read() as connection:
            return [_alert(row) for row in await connection.execute(query)]

    async def acknowledged(self, event_id: str, by: str) -> None:
        """Writes down who takes care of it; the first one stands."""
        async with self._database.write() as connection:
            changed = await connection.execute(
                update(alerts)
                .where(alerts.c.event_id == event_id, alerts.c.state == AlertState.OPEN)
                .values(state=AlertState.ACKNOWLEDGED, ended_by=by)
            )
            if changed.rowcount == 1:
                await append(connection, event_id, Entry("acknowledged", detail=by))

    async def _lock(self, connection: AsyncConnection, request: NotificationRequest, now: datetime) -> None:
        """Keeps rivals for the incident's row apart, the first two of it included."""
        nothing = {
            "subject_hash": request.subject_hash,
            "event_id": "",
            "weight": 0,
            "window_ends_at": now,
            "climbs_until": now,
        }
        await insert_new(connection, incidents, nothing)
        query = select(incidents.c.event_id).where(incidents.c.subject_hash == request.subject_hash).with_for_update()
        await connection.execute(query)

    async def _decide(self, connection: AsyncConnection, request: NotificationRequest, now: datetime) -> Admission:
        storm = request.storm
        assert storm is not None
        this = incidents.c.subject_hash == request.subject_hash
        incident = (await connection.execute(select(incidents).where(this))).one()
        if incident.resolved_at is not None and request.accepted_at <= incident.resolved_at:
            return Admission(role=Role.FOLDED, into=incident.event_id)
        if storm.weight > incident.weight or not await _goes_on(connection, incident, now):
            values = {
                "event_id": request.event_id,
                "weight": storm.weight,
                "window_ends_at": now + storm.window,
                "climbs_until": now + storm.climbs_for,
                "resolved_at": None,
            }
            await connection.execute(update(incidents).where(this).values(values))
            return Admission(role=Role.FIRST)
        if incident.digest_event_id is not None and now < incident.window_ends_at + OVERDUE:
            return Admission(role=Role.FOLDED, into=incident.digest_event_id)
        until = incident.window_ends_at if incident.window_ends_at > now else now + storm.window
        changes = {"digest_event_id": request.event_id, "window_ends_at": until}
        await connection.execute(update(incidents).where(this).values(changes))
        return Admission(role=Role.DIGEST, until=until)


async def _goes_on(connection: AsyncConnection, incident: Any, now: datetime) -> bool:
    """Whether its window is open, a digest is waited for, or its ladder may still be climbing."""
    if incident.resolved_at is not None:
        return False
    if now < incident.window_ends_at or (
        incident.digest_event_id is not None and now < incident.window_ends_at + OVERDUE
    ):
        return True
    query = select(alerts.c.state).where(alerts.c.event_id == incident.event_id)
    return bool(now < incident.climbs_until and (await connection.execute(query)).scalar() == AlertState.OPEN)


async def _tell(connection: AsyncConnection, event_id: str, admission: Admission) -> None:
    if admission.role is Role.FIRST:
        return
    await lock_event(connection, event_id)
    if admission.role is Role.FOLDED:
        await append(connection, event_id, Entry("suppressed", detail=f"folded into {admission.into}"))
        await advance_status(connection, event_id, DeliveryStatus.SUPPRESSED, why="folded")
    elif admission.role is Role.DIGEST:
        says = f"until {admission.until:%Y-%m-%d %H:%M:%S} UTC: the digest of what comes meanwhile"
        await append(connection, event_id, Entry("held", detail=says))
        await advance_status(connection, event_id, DeliveryStatus.HELD, why="digest")


def _alert(row: Any) -> Alert:
    return Alert(row.event_id, Role(row.role), AlertState(row.state), row.subject_hash)
