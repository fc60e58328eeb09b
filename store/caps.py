"""Limits on what is sent, counted where legs are claimed: the same for all workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.caps import Cap
from notifications.notification import Leg, Message
from notifications.per_name import UNLIMITED, PerName
from notifications.plan import Channel
from notifications.segments import measure
from store.database import insert_or
from store.schema import counters, legs

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A limit that stands against a text."""

    says: str
    limit: str
    """The setting."""
    alarm: str | None = None
    """Names what operators are to be told of once; None for what concerns one phone only."""


@dataclass(frozen=True, slots=True)
class SendLimits:
    """What the settings allow."""

    caps: tuple[Cap, ...] = ()
    """Texts and calls to one phone, of the kinds that are capped."""
    per_caller: PerName = UNLIMITED
    """Segments of one caller in a day (UTC); a call counts as one."""
    per_country: PerName = UNLIMITED
    """Likewise to one country."""

    async def exceeded(self, connection: AsyncConnection, leg: Leg, message: Message, now: datetime) -> Exceeded | None:
        """Counts a leg that was claimed in this transaction for the first time; says which limit it exceeds.

        One that exceeds a cap must not stay claimed: it counts for those who come later. One that exceeds a budget is
        not counted: a shorter text may still find room.
        """
        request = leg.request
        if request.policy.capped and (cap := await self._full(connection, leg, now)) is not None:
            return Exceeded(f"RECIPIENT_CAPS: this phone has had {cap} already", "RECIPIENT_CAPS")
        count = 1 if request.channel is Channel.VOICE else measure(message.body).segments
        budgets = (
            ("COUNTRY_BUDGET", request.recipient.country, self.per_country.of(request.recipient.country)),
            ("CALLER_BUDGET", request.caller, self.per_caller.of(request.caller)),
        )
        spent: list[str] = []
        for setting, name, budget in budgets:
            if budget is None:
                continue
            bucket = f"{setting}:{name}"
            if not await _spend(connection, bucket, count, budget, now):
                await _give_back(connection, spent, count, now)
                says = f"{setting}: today's {budget} segments of {name} are used up (UTC)"
                return Exceeded(says, setting, alarm=f"{setting}/{name}/{now:%Y-%m-%d}")
            spent.append(bucket)
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


async def _spend(connection: AsyncConnection, bucket: str, count: int, budget: int, now: datetime) -> bool:
    """Takes so many off today's budget; False, and nothing taken, when there is not so much left."""
    if count > budget:
        return False
    begins = _midnight(now)
    spent = await connection.execute(
        insert_or(connection, counters)
        .values(bucket=bucket, begins_at=begins, ends_at=begins + DAY, count=count)
        .on_conflict_do_update(
            index_elements=[counters.c.bucket, counters.c.begins_at],
            set_={"count": counters.c.count + count},
            where=counters.c.count + count <= budget,
        )
        .returning(counters.c.count)
    )
    return spent.first() is not None


async def _give_back(connection: AsyncConnection, buckets: Sequence[str], count: int, now: datetime) -> None:
    mine = counters.c.bucket.in_(buckets), counters.c.begins_at == _midnight(now)
    await connection.execute(update(counters).where(*mine).values(count=counters.c.count - count))


def _midnight(now: datetime) -> datetime:
    return datetime(now.year, now.month, now.day, tzinfo=UTC)
