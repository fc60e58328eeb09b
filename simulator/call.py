"""Twilio's call resource."""

import hashlib
import math
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from simulator.message import CallbackRecord

FINAL = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
SUBRESOURCES = {
    "events": "Events",
    "notifications": "Notifications",
    "payments": "Payments",
    "recordings": "Recordings",
    "siprec": "Siprec",
    "streams": "Streams",
    "transcriptions": "Transcriptions",
    "user_defined_message_subscriptions": "UserDefinedMessageSubscriptions",
    "user_defined_messages": "UserDefinedMessages",
}
UNRECORDED = frozenset(
    {"from_", "accepted_at", "rang_at", "answered_at", "ended_at", "updated_at", "verb", "prompt", "heard", "keys"}
)
PRICE_PER_MINUTE = 0.014  # US dollars


@dataclass
class Action:
    """What was keyed into one `<Gather>`, and how its action answered."""

    digits: str
    url: str
    answers: list[str]


@dataclass
class Call:
    """A call as the simulator keeps it."""

    account_sid: str
    to: str
    from_: str
    twiml: str
    """The document that is being carried out."""
    accepted_at: float
    """Seconds since the epoch, in real time."""
    timeout: int = 60
    """For how many seconds it may ring."""
    status_callback: str | None = None
    status_callback_method: str = "POST"
    events: list[str] = field(default_factory=lambda: ["completed"])
    clock_offset: float = 0.0
    """By how many seconds the simulator's clock was wrong when it was created."""
    sid: str = field(default_factory=lambda: "CA" + secrets.token_hex(16))
    status: str = "queued"
    rang_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    updated_at: float | None = None
    document_url: str | None = None
    """Where the document came from; None for the one that the call was created with."""
    verb: int = 0
    """How many verbs of the document are done."""
    prompt: int = 0
    """How many prompts of the `<Gather>` that is being carried out are done."""
    heard: str = ""
    """The keys that were heard in it."""
    keys: str = ""
    """What the person will press by himself."""
    listening: bool = False
    """Whether a key that is pressed now is heard."""
    spoken: list[str] = field(default_factory=list)
    digits: str = ""
    """All keys that were heard."""
    actions: list[Action] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    callbacks: list[CallbackRecord] = field(default_factory=list)

    @classmethod
    def restored(cls, fields: dict[str, Any]) -> "Call":
        """From what `asdict` gave."""
        callbacks = [CallbackRecord(**one) for one in fields["callbacks"]]
        actions = [Action(**one) for one in fields["actions"]]
        return cls(**fields | {"callbacks": callbacks, "actions": actions, "listening": False})

    @property
    def final(self) -> bool:
        return self.status in FINAL

    @property
    def seconds(self) -> int:
        """From the answer to the end, begun seconds in full; 0 for a call that was not answered."""
        if self.answered_at is None or self.ended_at is None:
            return 0
        return max(math.ceil(self.ended_at - self.answered_at), 1)

    @property
    def minutes(self) -> int:
        """What is paid for."""
        return math.ceil(self.seconds / 60)

    def open(self, twiml: str, url: str | None) -> None:
        """Goes on with another document."""
        self.twiml, self.document_url, self.verb, self.prompt, self.heard = twiml, url, 0, 0, ""

    def parameters(self) -> dict[str, str]:
        """What Twilio tells with every request about a call."""
        return {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.sid,
            "CallStatus": self.status,
            "Called": self.to,
            "Caller": self.from_,
            "Direction": "outbound-api",
            "From": self.from_,
            "To": self.to,
        }

    def resource(self) -> dict[str, Any]:
        """The JSON of the API (OpenAPI, api.v2010.account.call); numbers are strings there."""
        base = f"/2010-04-01/Accounts/{self.account_sid}/Calls/{self.sid}"
        completed = self.status == "completed"
        return {
            "account_sid": self.account_sid,
            "answered_by": None,
            "api_version": "2010-04-01",
            "caller_name": None,
            "date_created": self._date(self.accepted_at),
            "date_updated": self._date(self.updated_at or self.accepted_at),
            "direction": "outbound-api",
            "duration": str(self.seconds) if completed else None,
            "end_time": self._date(self.ended_at) if completed else None,
            "forwarded_from": None,
            "from": self.from_,
            "from_formatted": _formatted(self.from_),
            "group_sid": None,
            "parent_call_sid": None,
            "phone_number_sid": f"PN{hashlib.md5(self.from_.encode(), usedforsecurity=False).hexdigest()}",
            "price": f"{-PRICE_PER_MINUTE * self.minutes:.5f}" if completed else None,
            "price_unit": "USD",
            "queue_time": "0",
            "sid": self.sid,
            "start_time": self._date(self.rang_at),
            "status": self.status,
            "stir_verstat": None,
            "subresource_uris": {name: f"{base}/{part}.json" for name, part in SUBRESOURCES.items()},
            "to": self.to,
            "to_formatted": _formatted(self.to),
            "trunk_sid": None,
            "uri": f"{base}.json",
        }

    def record(self) -> dict[str, Any]:
        """For auditors and the phones' page."""
        return {
            **{name: value for name, value in asdict(self).items() if name not in UNRECORDED},
            "from": self.from_,
            "accepted_at": _iso(self.accepted_at),
            "answered_at": _iso(self.answered_at),
            "ended_at": _iso(self.ended_at),
        }

    def _date(self, moment: float | None) -> str | None:
        """RFC 2822, as the 2010-04-01 API writes dates."""
        if moment is None:
            return None
        return format_datetime(datetime.fromtimestamp(moment + self.clock_offset, UTC).replace(microsecond=0))


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()


def _formatted(number: str) -> str:
    """For display: North American numbers in national form, others as they are."""
    if number.startswith("+1") and len(number) == 12:
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number
