"""Why operators are told, from what is known of a text."""

from notifications.notification import EscalationReason
from notifications.status import DeliveryStatus


def reason_for(status: DeliveryStatus, sid: str | None) -> EscalationReason:
    """The reason for a text that the handset did not get; `sid` is None where Twilio never took it."""
    if status in (DeliveryStatus.UNDELIVERED, DeliveryStatus.CANCELED):
        return EscalationReason.NOT_DELIVERED
    if status is DeliveryStatus.FAILED and sid is not None:
        return EscalationReason.NOT_DELIVERED
    if status.final:
        return EscalationReason.REFUSED
    if status is DeliveryStatus.UNKNOWN:
        return EscalationReason.UNKNOWN
    return EscalationReason.SILENT if sid else EscalationReason.NOT_ACCEPTED
