"""The last look before a POST, in the transaction that claims its leg: what has changed since acceptance counts."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.notification import Leg, Message
from store.caps import SendLimits
from store.consents import Consents
from store.vault import Erased, Vault


class Gate:
    """Whether a leg may be sent, and what is handed to Twilio then."""

    def __init__(self, vault: Vault, consents: Consents, limits: SendLimits = SendLimits()) -> None:  # noqa: B008
        self._vault = vault
        self.consents = consents
        self._limits = limits

    async def lock(self, connection: AsyncConnection, leg: Leg) -> None:
        """Keeps others out who are about to send to the same phone, until the transaction ends."""
        await self._limits.lock(connection, leg)

    async def refusal(self, connection: AsyncConnection, leg: Leg, now: datetime) -> str | None:
        """Why the recipient must not be texted; None when he may be."""
        request = leg.request
        return await self.consents.why_not(connection, request.recipient.hash, request.policy.purpose, now)

    async def exceeded(self, connection: AsyncConnection, leg: Leg, now: datetime) -> str | None:
        """Counts a leg that was claimed in this transaction for the first time; says which limit it exceeds."""
        return await self._limits.exceeded(connection, leg, now)

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
