"""How many notifications have no final status, and how long the oldest of them has been due."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, case, func, or_, select

from notifications.status import DeliveryStatus
from store.database import Database
from store.schema import notifications

# What Twilio has for longer than that and tells no end of has been escalated, and would only make the search slow.
SENT_WITHIN = timedelta(days=1)
_WAITING = (DeliveryStatus.PENDING, DeliveryStatus.HELD, DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Those of one status."""

    count: int
    due_since: datetime | None
    """Since when the oldest has been due; None where all are held until later."""


class Backlog:
    """Looks at the table of notifications."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting(self, now: datetime) -> dict[DeliveryStatus, Waiting]:
        """By status. Raises SQLAlchemyError."""
        n = notifications.c
        # A further step is not due since its event was accepted.
        due = func.coalesce(n.held_until, case((n.first_leg == 1, n.accepted_at), else_=n.updated_at))
        query = (
            select(n.status, func.count().label("open"), func.min(case((due <= now, due))).label("due_since"))
            .where(
                or_(
                    n.status.in_(_WAITING),
                    and_(n.status == DeliveryStatus.SENT, n.updated_at > now - SENT_WITHIN),
                )
            )
            .group_by(n.status)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        found = {DeliveryStatus(row.status): Waiting(row.open, row.due_since) for row in rows}
        return {status: found.get(status, Waiting(0, None)) for status in (*_WAITING, DeliveryStatus.SENT)}
