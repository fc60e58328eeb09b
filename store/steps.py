"""The steps of an event's plan, as SQL knows them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import bindparam, exists, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.notification import NotificationRequest
from notifications.status import DeliveryStatus
from privacy.encryption import KeyRing
from store.changes import count_hold, hold_reason
from store.database import Database, insert_new
from store.event_lock import lock_event
from store.event_rows import held_entry, open_event, sealed_recipient
from store.ledger import LegState
from store.schema import erasures, legs, notifications
from store.timeline import Entry, append


class StepRecords:
    """Which step an event is at, and what is held about a subject."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    async def turn_to(self, request: NotificationRequest) -> None:
        """From now on the event is at this step: what SQL says of its status and recipient is the step's.

        Nothing changes once the step's leg was claimed; repeats are harmless.
        """
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await open_event(connection, self._ring, request, now)
            await lock_event(connection, request.event_id)
            if await _forgotten_since(connection, request):
                nameless = request.recipient.model_copy(update={"masked": "***"})
                request = request.model_copy(update={"recipient": nameless})
            leg = {
                "event_id": request.event_id,
                "number": request.leg,
                "state": LegState.RELEASED,
                "claim": "",
                "claimed_at": now,
                "looks": 0,
                "recipient_hash": request.recipient.hash,
                "sealed_recipient": sealed_recipient(self._ring, request),
            }
            opened = await insert_new(connection, legs, leg)
            mine = (legs.c.event_id == request.event_id, legs.c.number == request.leg)
            claim = (await connection.execute(select(legs.c.claim).where(*mine))).scalar_one()
            if claim != "":
                return
            await connection.execute(
                update(notifications)
                .where(notifications.c.event_id == request.event_id)
                .values(
                    status=DeliveryStatus.HELD if request.not_before else DeliveryStatus.PENDING,
                    sid=None,
                    error_code=None,
                    held_until=request.not_before,
                    first_leg=request.first_leg,
                    recipient_hash=request.recipient.hash,
                    masked_phone=request.recipient.masked,
                    country=request.recipient.country,
                    sealed_request=self._ring.encrypt_text(request.model_dump_json()),
                    updated_at=now,
                    **({} if request.escalated else {"escalated": None}),
                )
            )
            if opened:
                says = f"{request.channel} to {request.recipient.masked}"
                await append(connection, request.event_id, Entry("step", at=now, detail=says))
                if request.not_before is not None:
                    count_hold(connection, request.kind, hold_reason(request.waits_for))
            if request.not_before is not None:
                await append(connection, request.event_id, held_entry(request))

    async def reword(self, request: NotificationRequest) -> None:
        """The event's text or times were fixed only now: a digest's, or of one that was rescheduled."""
        async with self._database.write() as connection:
            await connection.execute(
                update(notifications)
                .where(notifications.c.event_id == request.event_id)
                .values(sealed_request=self._ring.encrypt_text(request.model_dump_json()))
            )

    async def held(self, subject_hash: str, kinds: Sequence[str], before: datetime) -> list[str]:
        """The events about a subject, accepted before then, whose texts are held back."""
        about = {"subject_hash": subject_hash, "kinds": list(kinds), "before": before}
        async with self._database.read() as connection:
            return list((await connection.execute(_HELD, about)).scalars())


_HELD = select(notifications.c.event_id).where(
    notifications.c.subject_hash == bindparam("subject_hash"),
    notifications.c.kind.in_(bindparam("kinds", expanding=True)),
    notifications.c.status == literal(DeliveryStatus.HELD.value),
    notifications.c.accepted_at < bindparam("before"),
)


async def _forgotten_since(connection: AsyncConnection, request: NotificationRequest) -> bool:
    """Whether the step's recipient was forgotten after the event was accepted; its texts to him cannot be opened."""
    query = select(
        exists().where(
            notifications.c.event_id == request.event_id,
            erasures.c.recipient_hash == request.recipient.hash,
            erasures.c.at >= notifications.c.accepted_at,
        )
    )
    return bool((await connection.execute(query)).scalar())
