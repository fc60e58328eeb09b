"""An event's row: written once at acceptance, by whoever comes first."""

from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.notification import NotificationRequest
from notifications.status import DeliveryStatus
from privacy.encryption import KeyRing
from store.changes import count_hold, hold_reason
from store.consents import add_evidence
from store.database import insert_new
from store.schema import notifications
from store.timeline import Entry, append

_IS_OPEN = select(notifications.c.kind).where(notifications.c.event_id == bindparam("event_id"))


async def ensure_event(connection: AsyncConnection, ring: KeyRing, request: NotificationRequest, now: datetime) -> None:
    """As `open_event`; cheap where, as nearly always, it was written down before."""
    if (await connection.execute(_IS_OPEN, {"event_id": request.event_id})).first() is None:
        await open_event(connection, ring, request, now)


async def open_event(connection: AsyncConnection, ring: KeyRing, request: NotificationRequest, now: datetime) -> None:
    """Writes down that an event was accepted, within the caller's transaction; once, however often it is called."""
    row = {
        "event_id": request.event_id,
        "kind": request.kind,
        "caller": request.caller,
        "content_hash": request.content_hash,
        "recipient_hash": request.recipient.hash,
        "masked_phone": request.recipient.masked,
        "country": request.recipient.country,
        "sealed_request": ring.encrypt_text(request.model_dump_json()),
        "status": DeliveryStatus.HELD if request.not_before else DeliveryStatus.PENDING,
        "attempts": 0,
        "duplicate_send": False,
        "held_until": request.not_before,
        "subject_hash": request.subject_hash,
        "reports": request.report_to_caller,
        "first_leg": request.first_leg,
        "consent_at": request.consent_at,
        "accepted_at": request.accepted_at,
        "updated_at": now,
    }
    if await insert_new(connection, notifications, row):
        await add_evidence(connection, request)
        await append(
            connection,
            request.event_id,
            Entry("requested", at=request.accepted_at, detail=f"{request.kind} from {request.caller}"),
        )
        for detail in request.left_out:
            await append(connection, request.event_id, Entry("left_out", at=request.accepted_at, detail=detail))
        if request.not_before is not None:
            await append(connection, request.event_id, held_entry(request))
            count_hold(connection, request.kind, hold_reason(request.waits_for))


def sealed_recipient(ring: KeyRing, request: NotificationRequest) -> str | None:
    """Whoever is asked to take care of an incident is told of its end."""
    if request.acknowledge_within is None:
        return None
    return ring.encrypt_text(request.recipient.model_dump_json())


def held_entry(request: NotificationRequest) -> Entry:
    """What it waits for, and until when."""
    return Entry(
        "held", at=request.accepted_at, detail=f"until {request.not_before:%Y-%m-%d %H:%M} UTC: {request.waits_for}"
    )
