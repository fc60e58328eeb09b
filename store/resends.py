"""Another leg under an event that was sent before, because an operator says so."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.status import DeliveryStatus
from privacy.masking import scrub
from store.changes import count_settled
from store.database import Database
from store.event_lock import lock_event
from store.ledger import LegState
from store.schema import legs, notifications
from store.timeline import Entry, append


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no new leg; `force` says whether an operator may insist."""

    code: str
    says: str
    force: bool


_DELIVERED = Refusal("already_delivered", "The handset has it. Give force to send it again all the same.", True)
_UNKNOWN = Refusal(
    "outcome_unknown",
    "It may have been sent, and sending it again may text the recipient twice. Look for it in Twilio's message log; "
    "give force to send it all the same.",
    True,
)
_ON_ITS_WAY = Refusal(
    "on_its_way", "Twilio has it and has not told the end of it yet. Give force to send it again all the same.", True
)
_HELD = Refusal("held", "It waits for its time; cancel or reschedule it.", False)
_UNDER_WAY = Refusal("still_sending", "It is being sent now; wait for what comes of it.", False)
_NOT_KEPT = Refusal("not_kept", "Its text is not kept any more, or its recipient was forgotten.", False)
_NOT_THERE = Refusal("not_found", "No event of this ID is known.", False)


class Resends:
    """Opens a leg in the ledger, released, so that the workflow may claim it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def order(self, event_id: str, *, caller: str, reason: str, force: bool) -> int | Refusal:
        """The number of the new leg, or why there is none. Who and why go into the timeline, numbers masked.

        Ordering again before anything was claimed gives the same leg once more.
        """
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await lock_event(connection, event_id)  # keeps two operators apart
            columns = notifications.c.status, notifications.c.sealed_request
            query = select(*columns).where(notifications.c.event_id == event_id)
            row = (await connection.execute(query)).first()
            if row is None:
                return _NOT_THERE
            if row.sealed_request is None:
                return _NOT_KEPT
            status = row.status
            number, state, claim = await self._latest(connection, event_id)
            if status == DeliveryStatus.HELD:
                return _HELD
            waits = claim == ""
            if not waits:
                refusal = _why_not(DeliveryStatus(status), state)
                if refusal is not None and not (force and refusal.force):
                    return refusal
                number += 1
                await self._open(connection, event_id, number, now)
                if status == DeliveryStatus.UNKNOWN:
                    count_settled(connection, "resend")
            says = f"leg {number}, by {caller}{', forced' if force else ''}: {scrub(reason)}"
            await append(connection, event_id, Entry("resend", at=now, detail=says))
            return number

    async def _latest(self, connection: AsyncConnection, event_id: str) -> tuple[int, LegState | None, str | None]:
        query = (
            select(legs.c.number, legs.c.state, legs.c.claim)
            .where(legs.c.event_id == event_id)
            .order_by(legs.c.number.desc())
            .limit(1)
        )
        row = (await connection.execute(query)).first()
        return (0, None, None) if row is None else (row.number, LegState(row.state), row.claim)

    async def _open(self, connection: AsyncConnection, event_id: str, number: int, now: datetime) -> None:
        await connection.execute(
            insert(legs).values(
                event_id=event_id,
                number=number,
                state=LegState.RELEASED,
                claim="",
                claimed_at=now,
                looks=0,
                recipient_hash=select(notifications.c.recipient_hash)
                .where(notifications.c.event_id == event_id)
                .scalar_subquery(),
            )
        )
        await connection.execute(
            update(notifications)
            .where(notifications.c.event_id == event_id)
            .values(status=DeliveryStatus.PENDING, sid=None, error_code=None, escalated=None, updated_at=now)
        )


def _why_not(status: DeliveryStatus, state: LegState | None) -> Refusal | None:
    if status is DeliveryStatus.DELIVERED:
        return _DELIVERED
    if status.final:
        return None
    if state in (LegState.IN_DOUBT, LegState.UNKNOWN) or status is DeliveryStatus.UNKNOWN:
        return _UNKNOWN
    if state is LegState.ACCEPTED:
        return _ON_ITS_WAY
    return _UNDER_WAY
