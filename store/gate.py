"""The last look before a POST, in the transaction that claims its leg: what has changed since acceptance counts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.consent import OPTED_OUT_SAYS
from notifications.notification import Leg, Message
from store.caps import SendLimits
from store.consents import Consents
from store.held_ranges import HeldRanges
from store.vault import Erased, Vault


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a leg may not be sent."""

    says: str
    reason: str
    """The rule, in a word for the metrics."""
    held: bool = False
    """It may be sent later, and asks again; else it is not sent at all."""
    alarm: str | None = None
    """Names what operators are to be told of once."""


class Gate:
    """Whether a leg may be sent, and what is handed to Twilio then."""

    def __init__(
        self,
        vault: Vault,
        consents: Consents,
        limits: SendLimits = SendLimits(),  # noqa: B008
        ranges: HeldRanges | None = None,
    ) -> None:
        self._vault = vault
        self.consents = consents
        self._limits = limits
        self._ranges = ranges

    async def lock(self, connection: AsyncConnection, leg: Leg) -> None:
        """Keeps others out who are about to send to the same phone, until the transaction ends."""
        await self._limits.lock(connection, leg)

    async def verdict(
        self, connection: AsyncConnection, leg: Leg, message: Message | None, now: datetime, *, first: bool
    ) -> Verdict | None:
        """None when it may be sent. `first` when it is claimed for the first time: then it counts for limits."""
        if message is None:
            return Verdict("the recipient was forgotten", "forgotten")
        if (why_not := await self._refusal(connection, leg, now)) is not None:
            return Verdict(why_not, "opted_out" if why_not.startswith(OPTED_OUT_SAYS) else "no_consent")
        standing = await self._ranges.standing(connection, leg, message.to, now) if self._ranges else None
        if standing is not None:
            reason = "range_blocked" if standing.blocked else "pumping"
            return Verdict(standing.says, reason, held=not standing.blocked, alarm=standing.alarm)
        exceeded = await self._limits.exceeded(connection, leg, message, now) if first else None
        return None if exceeded is None else Verdict(exceeded.says, exceeded.limit.lower(), alarm=exceeded.alarm)

    async def learn(self, connection: AsyncConnection, leg: Leg, code: int | None) -> None:
        """Takes from a refusal of Twilio's what it says of the recipient."""
        reference = f"{leg.request.event_id}/{leg.number}"
        await self.consents.learn_within(connection, leg.request.recipient.hash, code, sender=None, reference=reference)

    async def message(self, connection: AsyncConnection, leg: Leg) -> Message | None:
        """What is handed to Twilio; None when the recipient was forgotten."""
        try:
            return await self._vault.message(leg, connection)
        except Erased:
            return None

    async def _refusal(self, connection: AsyncConnection, leg: Leg, now: datetime) -> str | None:
        request = leg.request
        return await self.consents.why_not(connection, request.recipient.hash, request.policy.purpose, now)
