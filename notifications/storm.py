"""Many alerts about one thing: the first is sent at once, the others become one digest."""

import hashlib
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from notifications.smart_encoding import economical

# No vowels, so that no code is a word; no 1, which acknowledges by itself.
_LETTERS = "BCDFGHJKMNPQRTVWXZ"


class Storm(BaseModel):
    """How an alert is folded into its group."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    weight: int
    """Of the severity: what weighs more than the alert that opened the window is not folded into it."""
    window: timedelta
    climbs_for: timedelta
    """How long its ladder takes at most when nobody acknowledges."""
    alone: str
    """What the digest says when nothing else came."""
    digest: tuple[str, str]
    """What it says before and after the number of alerts that it tells of."""

    def text(self, count: int) -> str:
        return economical(self.alone if count == 1 else str(count).join(self.digest))


def code_of(event_id: str) -> str:
    """Four letters by which the recipient of several alerts names one of them. No secret: his number counts too."""
    number = int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:8])
    letters = []
    for _ in range(4):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)
