"""What a change of a notification's status is counted as."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.status import DeliveryStatus, rank
from store.counted import after_commit
from telemetry import metrics

_AT_TWILIO = (DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.UNDELIVERED)
_SETTLED_BY = {
    "callback": "callback",
    "found": "look_up",
    "asked": "look_up",
    "reconciled": "reconciliation",
    "sent": "sent_again",
    "resend": "operator",
}


def count_change(
    connection: AsyncConnection,
    row: Any,
    status: DeliveryStatus,
    *,
    error_code: int | None,
    why: str,
) -> None:
    """Counts the move of a row of `notifications` to another status.

    `row` has kind, country, status (the one before), held_until and began (when the text's time began to count); `why`
    is the timeline entry that tells of the move, or our rule that forbade the text.
    """
    before, labels = DeliveryStatus(row.status), {"kind": row.kind}
    if before is DeliveryStatus.UNKNOWN:
        count_settled(connection, why)
    if status is DeliveryStatus.UNKNOWN:
        after_commit(connection, metrics.UNKNOWN.labels(**labels).inc)
    if status is DeliveryStatus.SUPPRESSED:
        after_commit(connection, metrics.SUPPRESSED.labels(**labels, reason=why).inc)
    if status is DeliveryStatus.HELD:
        after_commit(connection, metrics.HELD.labels(**labels, reason=why).inc)
    if status.final:
        code = metrics.code_label(error_code)
        ended = metrics.ENDED.labels(**labels, country=row.country, status=status.value, code=code)
        after_commit(connection, ended.inc)
    arrives = status in _AT_TWILIO and rank(before) < rank(DeliveryStatus.SENT)
    if not arrives and status is not DeliveryStatus.DELIVERED:
        return
    waited = _waited(row)
    if waited is None:
        return
    if arrives:
        after_commit(connection, lambda: metrics.TO_TWILIO.labels(**labels).observe(waited))
    if status is DeliveryStatus.DELIVERED:
        after_commit(connection, lambda: metrics.TO_HANDSET.labels(**labels).observe(waited))


def count_settled(connection: AsyncConnection, by: str) -> None:
    """An unknown outcome is known, or does not matter any more."""
    after_commit(connection, metrics.UNKNOWN_SETTLED.labels(by=_SETTLED_BY.get(by, "other")).inc)


def count_hold(connection: AsyncConnection, kind: str, reason: str) -> None:
    after_commit(connection, metrics.HELD.labels(kind=kind, reason=reason).inc)


def hold_reason(waits_for: str) -> str:
    return "quiet_hours" if waits_for == "quiet hours" else "schedule"


def _waited(row: Any) -> float | None:
    """Seconds since the text was due; None where its story is not kept any more."""
    if row.began is None:
        return None
    due = max(row.began, row.held_until) if row.held_until is not None else row.began
    waited: timedelta = datetime.now(UTC) - due
    return max(0.0, waited.total_seconds())
