"""What a person's reply does to what he may be texted."""

import structlog

from api.database import answered
from notifications.kinds import KINDS
from notifications.opt_out import Wish
from privacy.encryption import KeyedHash
from store.consents import Consents

log = structlog.stdlib.get_logger("heliograph.consent")


class OptingOut:
    """Every method raises Unavailable when the database cannot be reached."""

    def __init__(self, consents: Consents, hashes: KeyedHash) -> None:
        self._consents = consents
        self._hashes = hashes

    async def take(self, wish: Wish, phone: str, *, sender: str | None, sid: str) -> None:
        """Opts out at STOP, lifts it at START. The same message, sent to us again by whomever, does nothing more."""
        recipient = self._hashes.of("recipient", phone)
        if wish is Wish.STOP:
            purpose = await answered(self._last_purpose(recipient))
            await answered(
                self._consents.opted_out(recipient, "reply STOP", purpose=purpose, sender=sender, reference=sid)
            )
        elif wish is Wish.START:
            await answered(self._consents.opted_in(recipient, "reply START", sender=sender, reference=sid))

    async def _last_purpose(self, recipient_hash: str) -> str | None:
        kind = await self._consents.last_kind(recipient_hash)
        return KINDS[kind].policy.purpose if kind is not None and kind in KINDS else None
