"""The send ledger: the last guard against texting twice.

A leg is claimed here before every POST. The workflow ID cannot guard alone: a Reset in Temporal's UI, a second run
after the namespace's retention and a retried activity all run the send again, and find the claim.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.notification import Leg, Message, NotificationRequest
from notifications.status import DeliveryStatus
from privacy.encryption import KeyRing
from store.changes import count_hold
from store.database import Database, insert_new
from store.event_lock import lock_event
from store.event_rows import ensure_event, open_event, sealed_recipient
from store.gate import Gate, Verdict
from store.schema import legs
from store.timeline import Entry, advance_status, append, has_entry


class LegState(StrEnum):
    CLAIMED = "claimed"  # a POST may be under way, or its worker died
    RELEASED = "released"  # Twilio certainly did not take it; it may be claimed again
    IN_DOUBT = "in_doubt"  # Twilio answered 5xx; look it up, then it may be claimed again
    UNKNOWN = "unknown"  # it may have been sent; never claimed again by itself
    ACCEPTED = "accepted"  # Twilio has named its SID
    REFUSED = "refused"  # Twilio will not send it


@dataclass(frozen=True, slots=True)
class Claim:
    """What the ledger answers to one who wants to post a leg."""

    granted: bool
    state: LegState
    claimed_at: datetime
    sid: str | None = None
    carrier_status: str | None = None
    error_code: int | None = None
    looks: int = 0
    """How often it was looked up in vain since Twilio answered 5xx."""
    message: Message | None = None
    """What is handed to Twilio; of a granted claim only."""
    forbidden: str | None = None
    """Why our own rules forbid it; then it counts as refused."""
    held: str | None = None
    """Why it must wait; then it may be claimed again."""
    alarm: str | None = None
    """Names what operators are to be told of once."""


class Ledger:
    """Rows per event and leg, in the database that all workers and APIs share."""

    def __init__(self, database: Database, ring: KeyRing, gate: Gate) -> None:
        self._database = database
        self._ring = ring
        self._gate = gate

    async def open(self, request: NotificationRequest) -> None:
        """Writes down that the event was accepted; once, however often it is called."""
        async with self._database.write() as connection:
            await open_event(connection, self._ring, request, datetime.now(UTC))

    async def claim(self, leg: Leg, claimant: str, attempt: int) -> Claim:
        """Claims a leg that was never posted, or was released; anything else is answered, not granted.

        `claimant` names this one attempt (run and attempt number), so that a repeated call of the same attempt
        is not granted twice either. A claim that our own rules forbid is refused for good.
        """
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await self._gate.lock(connection, leg)
            await ensure_event(connection, self._ring, leg.request, now)
            await lock_event(connection, leg.request.event_id)
            values = {
                "event_id": leg.request.event_id,
                "number": leg.number,
                "state": LegState.CLAIMED,
                "claim": claimant,
                "claimed_at": now,
                "looks": 0,
                "recipient_hash": leg.request.recipient.hash,
                "sealed_recipient": sealed_recipient(self._ring, leg.request),
            }
            inserted = await insert_new(connection, legs, values)
            first = inserted or await self._is_unclaimed(connection, leg)
            if inserted:
                claim = Claim(granted=True, state=LegState.CLAIMED, claimed_at=now)
            else:
                claim = await self._take_up(connection, leg, claimant, now, LegState.RELEASED)
            return await self._pass(connection, leg, claim, attempt, now, first=first)

    async def claim_after_look_up(self, leg: Leg, claimant: str, attempt: int) -> Claim:
        """Claims a leg in doubt once look-ups have not found it at Twilio."""
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await lock_event(connection, leg.request.event_id)
            claim = await self._take_up(connection, leg, claimant, now, LegState.IN_DOUBT)
            return await self._pass(connection, leg, claim, attempt, now, first=False)

    async def looked_in_vain(self, leg: Leg) -> int:
        """Counts a look-up that did not find a leg in doubt; how many there were since the last POST."""
        async with self._database.write() as connection:
            await connection.execute(_row(leg).values(looks=legs.c.looks + 1))
            return int((await connection.execute(select(legs.c.looks).where(*_is(leg)))).scalar_one())

    async def rivals(self, leg: Leg) -> int:
        """How many other events to the same recipient have a leg whose message nobody can name (yet)."""
        query = (
            select(func.count())
            .select_from(legs)
            .where(
                legs.c.recipient_hash == leg.request.recipient.hash,
                legs.c.event_id != leg.request.event_id,
                legs.c.state.in_((LegState.CLAIMED, LegState.IN_DOUBT, LegState.UNKNOWN)),
            )
        )
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def accepted(self, leg: Leg, sid: str, carrier_status: str, entry: Entry) -> bool:
        """Twilio has the leg. False when another leg owns this SID: then the message found is not ours."""
        try:
            async with self._database.write() as connection:
                await lock_event(connection, leg.request.event_id)
                # An early callback may have named the SID and a further status already.
                named = {"named_sid": sid, "named_status": carrier_status}
                await connection.execute(_ACCEPTED, _key(leg) | named)
                await append(connection, leg.request.event_id, entry)
                await advance_status(connection, leg.request.event_id, DeliveryStatus.SENT, why=entry.what, sid=sid)
        except IntegrityError:
            return False
        return True

    async def refused(self, leg: Leg, entry: Entry, status: DeliveryStatus = DeliveryStatus.FAILED) -> None:
        """Twilio refused the leg, or our own rules did (`status` says which)."""
        async with self._database.write() as connection:
            await lock_event(connection, leg.request.event_id)
            await self._settle(connection, leg, LegState.REFUSED, entry)
            why = "destination" if status is DeliveryStatus.SUPPRESSED else entry.what
            await advance_status(connection, leg.request.event_id, status, why=why, error_code=entry.error_code)
            await self._gate.learn(connection, leg, entry.error_code)

    async def not_sent(self, leg: Leg, state: LegState, entry: Entry) -> None:
        """The attempt ended without an acceptance: `released`, `in_doubt` or `unknown`."""
        async with self._database.write() as connection:
            await lock_event(connection, leg.request.event_id)
            await self._settle(connection, leg, state, entry)
            if state is LegState.UNKNOWN:
                await advance_status(connection, leg.request.event_id, DeliveryStatus.UNKNOWN, why=entry.what)
            if entry.what == "held":
                count_hold(connection, leg.request.kind, "quiet_hours")

    async def look(self, leg: Leg) -> Claim | None:
        """The leg's row as it is; None when the leg was never claimed."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(legs).where(*_is(leg)))).mappings().first()
            return None if row is None else _claim(row, granted=False)

    async def owner(self, sid: str) -> str | None:
        """The event that a message belongs to."""
        async with self._database.read() as connection:
            return (await connection.execute(select(legs.c.event_id).where(legs.c.sid == sid))).scalar()

    async def _pass(
        self, connection: AsyncConnection, leg: Leg, claim: Claim, attempt: int, now: datetime, *, first: bool
    ) -> Claim:
        """A granted claim passes the gate in the same transaction: a STOP that came meanwhile wins."""
        if not claim.granted:
            return claim
        message = await self._gate.message(connection, leg)
        verdict = await self._gate.verdict(connection, leg, message, now, first=first)
        if verdict is not None:
            return await self._turn_away(connection, leg, verdict, now, first=first)
        await self._log_claim(connection, leg, attempt, now)
        return replace(claim, message=message)

    async def _turn_away(
        self, connection: AsyncConnection, leg: Leg, verdict: Verdict, now: datetime, *, first: bool
    ) -> Claim:
        if verdict.held:
            told = await has_entry(connection, leg.request.event_id, "held", verdict.says)
            changes = {"state": LegState.RELEASED} | ({"claim": ""} if first else {})
            await connection.execute(_row(leg).values(changes))
            if not told:
                await append(connection, leg.request.event_id, Entry("held", at=now, detail=verdict.says))
                count_hold(connection, leg.request.kind, verdict.reason)
            alarm = None if told else verdict.alarm
            return Claim(granted=False, state=LegState.RELEASED, claimed_at=now, held=verdict.says, alarm=alarm)
        if first:
            await connection.execute(_row(leg).values(capped=True))
        await self._settle(connection, leg, LegState.REFUSED, Entry("suppressed", at=now, detail=verdict.says))
        await advance_status(connection, leg.request.event_id, DeliveryStatus.SUPPRESSED, why=verdict.reason)
        return Claim(granted=False, state=LegState.REFUSED, claimed_at=now, forbidden=verdict.says, alarm=verdict.alarm)

    async def _is_unclaimed(self, connection: AsyncConnection, leg: Leg) -> bool:
        return (await connection.execute(select(legs.c.claim).where(*_is(leg)))).scalar() == ""

    async def _take_up(
        self, connection: AsyncConnection, leg: Leg, claimant: str, now: datetime, free: LegState
    ) -> Claim:
        row = (await connection.execute(select(legs).where(*_is(leg)))).mappings().one()
        if row["state"] != free:
            return _claim(row, granted=False)
        values = {"state": LegState.CLAIMED, "claim": claimant, "looks": 0}
        if row["claim"] == "":  # it was opened, and never posted; else the first claim's time stands for look-ups
            values["claimed_at"] = now
        await connection.execute(_row(leg).values(values))
        return Claim(granted=True, state=LegState.CLAIMED, claimed_at=now)

    async def _log_claim(self, connection: AsyncConnection, leg: Leg, attempt: int, now: datetime) -> None:
        event_id = leg.request.event_id
        await append(connection, event_id, Entry("claimed", at=now, facts={"leg": leg.number, "attempt": attempt}))
        await advance_status(connection, event_id, DeliveryStatus.SENDING, why="claimed", attempts=1)

    async def _settle(self, connection: AsyncConnection, leg: Leg, state: LegState, entry: Entry) -> None:
        # A callback may have named the SID in the meantime; then the leg is accepted, whatever this attempt saw.
        await connection.execute(_row(leg).where(legs.c.sid.is_(None)).values(state=state, error_code=entry.error_code))
        await append(connection, leg.request.event_id, entry)


# Built once: to build one anew takes longer than SQLite takes to run it.
_ACCEPTED = (
    update(legs)
    .where(legs.c.event_id == bindparam("of_event"), legs.c.number == bindparam("of_leg"))
    .values(
        state=LegState.ACCEPTED.value,
        sid=func.coalesce(legs.c.sid, bindparam("named_sid")),
        carrier_status=func.coalesce(legs.c.carrier_status, bindparam("named_status")),
        error_code=None,
    )
)


def _key(leg: Leg) -> dict[str, Any]:
    return {"of_event": leg.request.event_id, "of_leg": leg.number}


def _is(leg: Leg) -> tuple[Any, Any]:
    return legs.c.event_id == leg.request.event_id, legs.c.number == leg.number


def _row(leg: Leg) -> Any:
    return update(legs).where(*_is(leg))


def _claim(row: Any, *, granted: bool) -> Claim:
    return Claim(
        granted=granted,
        state=LegState(row["state"]),
        claimed_at=row["claimed_at"],
        sid=row["sid"],
        carrier_status=row["carrier_status"],
        error_code=row["error_code"],
        looks=row["looks"],
    )
