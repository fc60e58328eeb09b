"""Limits on what is sent, counted where legs are claimed: the same for all workers."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.caps import Cap
from notifications.notification import Leg
from store.database import insert_or
from store.schema import counters, legs


@dataclass(frozen=True, slots=True)
class SendLimits:
    """What the settings allow."""

    caps: tuple[Cap, ...] = ()
    """Texts and calls to one phone, of the kinds that are capped."""
    caller_budget: int | None = None
    """Texts and calls of one caller in a day (UTC); None without limit."""

    async def exceeded(self, connection: AsyncConnection, leg: Leg, now: datetime) -> str | None:
        """Counts a leg that was claimed in this transaction for the first time; says which limit it exceeds.

        One that exceeds a cap must not stay claimed: it counts for those who come later.
        """
        request = leg.request
        if request.policy.capped and (cap := await self._full(connection, leg, now)) is not None:
            return f"RECIPIENT_CAPS: this phone has had {cap} already"
        if self.caller_budget is not None and await self._spent(connection, request.caller, now) > self.caller_budget:
            return f"CALLER_BUDGET: {request.caller} has had {self.caller_budget} today"
        return None

    async def lock(self, connection: AsyncConnection, leg: Leg) -> None:
        """Keeps others out who are about to send to the same phone, until the transaction ends."""
        if leg.request.policy.capped and self.caps and connection.dialect.name == "postgresql":
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:recipient))"), {"recipient": leg.request.recipient.hash}
            )

    async def _full(self, connection: AsyncConnection, leg: Leg, now: datetime) -> Cap | None:
        for cap in self.caps:
            query = select(func.count()).where(
                legs.c.recipient_hash == leg.request.recipient.hash,
                legs.c.claimed_at > now - cap.per,
                legs.c.claim != "",
                legs.c.capped.is_(False),
            )
            if int((await connection.execute(query)).scalar_one()) > cap.count:  # this one is among them
                return cap
        return None

    async def _spent(self, connection: AsyncConnection, caller: str, now: datetime) -> int:
        begins = datetime(now.year, now.month, now.day, tzinfo=UTC)
        spent = await connection.execute(
            insert_or(connection, counters)
            .values(bucket=f"budget:{caller}", begins_at=begins, ends_at=begins + timedelta(days=1), count=1)
            .on_conflict_do_update(
                index_elements=[counters.c.bucket, counters.c.begins_at], set_={"count": counters.c.count + 1}
            )
            .returning(counters.c.count)
        )
        return int(spent.scalar_one())
