"""The words that the API answers with. One that it has learnt since is a word too, and no error."""

from enum import StrEnum
from typing import Self


class Word(StrEnum):
    """Equal to its plain string."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_ = word._value_ = value
        return word


class DeliveryStatus(Word):
    """What has become of a notification."""

    PENDING = "pending"
    HELD = "held"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Whether nothing more will become of it, unless an operator has it sent again."""
        return self in _FINAL


_FINAL = frozenset(
    {
        DeliveryStatus.DELIVERED,
        DeliveryStatus.UNDELIVERED,
        DeliveryStatus.FAILED,
        DeliveryStatus.EXPIRED,
        DeliveryStatus.SUPPRESSED,
        DeliveryStatus.CANCELED,
    }
)
