"""What the reconciliation looks at: notifications that have had no news for some time, and have no final status or
ended badly without anybody being told."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, and_, func, not_, or_, select, update

from notifications.notification import Leg, NotificationRequest
from notifications.status import FINAL, OPEN_ENDED, DeliveryStatus
from privacy.encryption import DecryptionError, KeyRing
from store.database import Database
from store.ledger import LegState
from store.schema import legs, notifications

# Legs of which no request has reached Twilio, or which Twilio has refused.
_NOT_POSTED = (None, LegState.RELEASED, LegState.REFUSED)
_BAD_ENDS = (DeliveryStatus.UNDELIVERED, DeliveryStatus.FAILED, DeliveryStatus.EXPIRED)
# A text is worth something for 10 hours at most to Twilio, and carriers try a handset that is off for up to 72 more.
# Who has said nothing in four days says nothing more; a callback that comes all the same is still taken.
NO_ANSWER_AFTER = timedelta(days=4)

log = structlog.stdlib.get_logger("heliograph.cases")


@dataclass(frozen=True, slots=True)
class Case:
    """One of them, with its latest leg."""

    request: NotificationRequest
    status: DeliveryStatus
    escalated: str | None
    error_code: int | None
    leg_number: int
    leg_state: LegState | None
    """None when nothing was ever claimed."""
    sid: str | None
    carrier_status: str | None
    opened_at: datetime | None = None
    """When the latest leg was ordered or planned, where nobody has begun with it."""

    @property
    def event_id(self) -> str:
        return self.request.event_id

    @property
    def leg(self) -> Leg:
        return Leg(request=self.request, number=self.leg_number)

    @property
    def posted(self) -> bool:
        """Whether a request of the latest leg may have reached Twilio."""
        return self.leg_state not in _NOT_POSTED


class NotKept(Exception):
    """Its text is not kept any more: its time was over, or its recipient was forgotten."""


class Cases:
    """Reads the tables of ledger and timeline; changes only when a case was looked at last."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    async def due(self, *, quiet_since: datetime, now: datetime, at_most: int) -> list[Case]:
        """Those without news since then, and not looked at since then either; longest unseen first.

        One whose key is missing from PAYLOAD_KEYS is left out, so that it does not stand in the way of others.
        """
        query = (
            select(notifications.c.event_id)
            .where(
                or_(
                    and_(notifications.c.status.not_in(FINAL), not_(_given_up(now))),
                    and_(notifications.c.status.in_(_BAD_ENDS), notifications.c.escalated.is_(None)),
                ),
                notifications.c.updated_at < quiet_since,
                notifications.c.sealed_request.is_not(None),
                # What waits for its time has no news until then.
                or_(notifications.c.held_until.is_(None), notifications.c.held_until < quiet_since),
                or_(notifications.c.swept_at.is_(None), notifications.c.swept_at < quiet_since),
            )
            .order_by(func.coalesce(notifications.c.swept_at, notifications.c.accepted_at))
            .limit(at_most)
        )
        async with self._database.write() as connection:
            event_ids = list((await connection.execute(query)).scalars())
            await connection.execute(
                update(notifications).where(notifications.c.event_id.in_(event_ids)).values(swept_at=now)
            )
        found = [await self._readable(event_id) for event_id in event_ids]
        return [case for case in found if case is not None]

    async def _readable(self, event_id: str) -> Case | None:
        try:
            return await self.of(event_id)
        except DecryptionError as failure:
            log.error("it cannot be looked after", event_id=event_id, reason=str(failure))
            return None

    async def of(self, event_id: str) -> Case | None:
        """The case of one event, whatever its status. Raises DecryptionError."""
        latest = (
            select(legs.c.number, legs.c.state, legs.c.sid, legs.c.carrier_status, legs.c.claim, legs.c.claimed_at)
            .where(legs.c.event_id == event_id)
            .order_by(legs.c.number.desc())
            .limit(1)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(select(notifications).where(notifications.c.event_id == event_id))).first()
            leg = (await connection.execute(latest)).first()
        if row is None:
            return None
        if row.sealed_request is None:
            raise NotKept(event_id)
        number = leg.number if leg else 1
        request = NotificationRequest.model_validate_json(self._ring.decrypt_text(row.sealed_request))
        return Case(
            request=request.model_copy(update={"leg": number}),
            status=DeliveryStatus(row.status),
            escalated=row.escalated,
            error_code=row.error_code,
            leg_number=number,
            leg_state=LegState(leg.state) if leg else None,
            sid=leg.sid if leg else None,
            carrier_status=leg.carrier_status if leg else None,
            opened_at=leg.claimed_at if leg and leg.claim == "" else None,
        )


def _given_up(now: datetime) -> ColumnElement[bool]:
    """Operators know, and there will be no answer: asking for it would go on for ever."""
    return and_(
        notifications.c.status.in_(OPEN_ENDED),
        notifications.c.escalated.is_not(None),
        notifications.c.updated_at < now - NO_ANSWER_AFTER,
    )
