"""What has become of a notification. The lifecycle only moves forward.

Callbacks are unordered, repeated, early and late (Twilio, "Track outbound message status"): a status of a lower
or equal rank than the one we have changes nothing, so the first final status stands.
"""

from enum import StrEnum


class DeliveryStatus(StrEnum):
    """The words that callers, operators and the code share."""

    PENDING = "pending"  # accepted from the caller, not yet at Twilio
    HELD = "held"  # waits for its time
    SENDING = "sending"  # claimed in the ledger, the request to Twilio is under way
    UNKNOWN = "unknown"  # it may have been sent; nobody has told us yet
    SENT = "sent"  # Twilio has it and has named its SID
    DELIVERED = "delivered"  # the handset has it
    UNDELIVERED = "undelivered"  # the carrier says that the handset did not get it
    FAILED = "failed"  # Twilio refused it, or could not send it
    EXPIRED = "expired"  # too old to be worth sending; it was not sent
    SUPPRESSED = "suppressed"  # must not be sent: opt-out, country, consent
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        return self in FINAL


FINAL = frozenset(
    {
        DeliveryStatus.DELIVERED,
        DeliveryStatus.UNDELIVERED,
        DeliveryStatus.FAILED,
        DeliveryStatus.EXPIRED,
        DeliveryStatus.SUPPRESSED,
        DeliveryStatus.CANCELED,
    }
)

_ORDER = (
    DeliveryStatus.PENDING,
    DeliveryStatus.HELD,
    DeliveryStatus.SENDING,
    DeliveryStatus.UNKNOWN,
    DeliveryStatus.SENT,
)

OPEN_ENDED = frozenset({DeliveryStatus.UNKNOWN, DeliveryStatus.SENT})
"""Not final, and yet the last word of some: there are carriers that report no delivery, and answers that never come."""


def rank(status: DeliveryStatus) -> int:
    """How far along a status is; all final ones are equally far."""
    return len(_ORDER) if status.final else _ORDER.index(status)


def advance(current: DeliveryStatus, reported: DeliveryStatus) -> DeliveryStatus:
    """The status after `reported` has come in: never a step back, never one final status for another."""
    return reported if rank(reported) > rank(current) else current


# Twilio's message statuses (message resource, "Message Status Values") in our words.
_FROM_TWILIO = {
    "accepted": DeliveryStatus.SENT,
    "scheduled": DeliveryStatus.SENT,
    "queued": DeliveryStatus.SENT,
    "sending": DeliveryStatus.SENT,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.DELIVERED,
    "undelivered": DeliveryStatus.UNDELIVERED,
    "failed": DeliveryStatus.FAILED,
    "canceled": DeliveryStatus.CANCELED,
}


def from_twilio(status: str) -> DeliveryStatus | None:
    """Our word for a Twilio message status; None for one that Twilio has added since ("without notice")."""
    return _FROM_TWILIO.get(status)


# Twilio's call statuses (call resource, "Call status values"). A call that was answered has reached somebody, or his
# voice mail: whether he takes care of it, only an acknowledgement tells.
_FROM_TWILIO_CALL = {
    "queued": DeliveryStatus.SENT,
    "initiated": DeliveryStatus.SENT,
    "ringing": DeliveryStatus.SENT,
    "in-progress": DeliveryStatus.SENT,
    "completed": DeliveryStatus.DELIVERED,
    "busy": DeliveryStatus.UNDELIVERED,
    "no-answer": DeliveryStatus.UNDELIVERED,
    "canceled": DeliveryStatus.CANCELED,
    "failed": DeliveryStatus.FAILED,
}


def from_twilio_call(status: str) -> DeliveryStatus | None:
    """Our word for a Twilio call status; None for one that is not known here."""
    return _FROM_TWILIO_CALL.get(status)


_CARRIER_ORDER = {"accepted": 0, "scheduled": 0, "queued": 1, "sending": 2, "sent": 3, "read": 5} | {
    "initiated": 2,
    "ringing": 2,
    "in-progress": 3,
}
_CARRIER_FINAL = 4  # delivered, undelivered, failed, canceled


REPEATED = "repeated"


def why_no_news(known: str | None, reported: str) -> str | None:
    """Why a callback changes nothing, in words for the timeline; None when it is news.

    Both are Twilio's message statuses; `known` is the furthest one that was reported before.
    """
    if from_twilio(reported) is None and from_twilio_call(reported) is None:
        return "a status that is not known here"
    if known is None or (before := _carrier_rank(known)) < (now := _carrier_rank(reported)):
        return None
    if known == reported:
        return REPEATED
    return "contradicts the final status" if before >= _CARRIER_FINAL and now >= _CARRIER_FINAL else "late"


def _carrier_rank(status: str) -> int:
    return _CARRIER_ORDER.get(status, _CARRIER_FINAL)
