"""Pumping: somebody has us text many numbers of one range, whose operator shares what texts to it cost.

Twilio, "SMS Pumping Fraud". Texts to such a range wait until an operator has decided.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.caps import Cap
from notifications.notification import Leg
from privacy.encryption import KeyedHash, KeyRing
from store.database import Database, insert_new
from store.schema import held_ranges, legs

RANGE_HIDES = 4  # numbers that differ in so many last digits only are one range
RELEASED_FOR = timedelta(hours=24)  # then the range is looked at anew


class Decision(StrEnum):
    """What an operator says of a range."""

    RELEASE = "release"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class HeldRange:
    """A range that was found, and what was decided about it."""

    id: str
    country: str
    digits: str
    """The numbers' first digits, in E.164."""
    since: datetime
    decision: Decision | None
    decided_by: str | None
    decided_at: datetime | None
    waiting: int
    """How many texts wait for the decision."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands against a text to a range."""

    says: str
    blocked: bool
    alarm: str | None
    """Names what operators are to be told of once."""


class HeldRanges:
    """Every method raises SQLAlchemyError."""

    def __init__(self, database: Database, ring: KeyRing, hashes: KeyedHash, limit: Cap | None) -> None:
        """More numbers of one range than `limit` are pumping; None switches the search off."""
        self._database = database
        self._ring = ring
        self._hashes = hashes
        self._limit = limit

    async def standing(self, connection: AsyncConnection, leg: Leg, number: str, now: datetime) -> Standing | None:
        """Whether a leg that is claimed in this transaction must wait, or is not sent at all; None when it may go."""
        if self._limit is None:
            return None
        digits = number[:-RANGE_HIDES]
        range_hash = self._hashes.of("range", digits)
        mine = (legs.c.event_id == leg.request.event_id, legs.c.number == leg.number)
        await connection.execute(update(legs).where(*mine).values(range_hash=range_hash))
        its = held_ranges.c.range_hash == range_hash
        row = (await connection.execute(select(held_ranges).where(its))).first()
        if row is not None and row.decision == Decision.BLOCK:
            return Standing(f"its range of numbers was blocked by {row.decided_by}", blocked=True, alarm=None)
        if row is not None and row.decision == Decision.RELEASE:
            if row.decided_at > now - RELEASED_FOR:
                return None
            await connection.execute(delete(held_ranges).where(its))
            row = None
        if row is None:
            if not await self._too_many(connection, range_hash, now):
                return None
            held = {
                "range_hash": range_hash,
                "country": leg.request.recipient.country,
                "sealed_range": self._ring.encrypt_text(digits),
                "since": now,
            }
            await insert_new(connection, held_ranges, held)
        since = row.since if row is not None else now
        return Standing(self._says, blocked=False, alarm=f"range/{range_hash}/{since:%Y-%m-%dT%H:%M:%S}")

    async def all(self) -> list[HeldRange]:
        """The latest first."""
        waiting = (
            select(func.count())
            .where(legs.c.range_hash == held_ranges.c.range_hash, legs.c.state == "released")
            .correlate(held_ranges)
            .scalar_subquery()
        )
        query = select(held_ranges, waiting.label("waiting")).order_by(held_ranges.c.since.desc())
        async with self._database.read() as connection:
            return [
                HeldRange(
                    id=row.range_hash,
                    country=row.country,
                    digits=self._ring.decrypt_text(row.sealed_range),
                    since=row.since,
                    decision=Decision(row.decision) if row.decision else None,
                    decided_by=row.decided_by,
                    decided_at=row.decided_at,
                    waiting=row.waiting,
                )
                for row in await connection.execute(query)
            ]

    async def decide(self, range_id: str, decision: Decision, by: str) -> bool:
        """False for a range that is not held. The last decision stands."""
        async with self._database.write() as connection:
            decided = await connection.execute(
                update(held_ranges)
                .where(held_ranges.c.range_hash == range_id)
                .values(decision=decision, decided_by=by, decided_at=datetime.now(UTC))
            )
            return bool(decided.rowcount)

    @property
    def _says(self) -> str:
        return f"PUMPING_LIMIT: more than {self._limit} numbers of one range; an operator decides (heliograph ranges)"

    async def _too_many(self, connection: AsyncConnection, range_hash: str, now: datetime) -> bool:
        assert self._limit is not None
        query = select(func.count(legs.c.recipient_hash.distinct())).where(
            legs.c.range_hash == range_hash, legs.c.claimed_at > now - self._limit.per
        )
        return int((await connection.execute(query)).scalar_one()) > self._limit.count
