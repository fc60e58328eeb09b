"""Signed webhooks to operators, when a text fails."""

import json
from datetime import UTC, datetime
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.signed_post import post
from notifications.causes import cause_of
from notifications.endpoints import Endpoint
from notifications.notification import EscalationReason, Notice
from store.timeline import Entry, Timeline
from store.vault import Erased, Vault
from telemetry import metrics
from workflows import names

log = structlog.stdlib.get_logger("heliograph.webhooks")

_SAYS = {
    EscalationReason.REFUSED: ("It was not sent.", "Mend the cause below, then post the event under a new eventId."),
    EscalationReason.NOT_DELIVERED: ("The carrier did not deliver it.", "Reach the recipient another way."),
    EscalationReason.SILENT: (
        "Twilio has it, but no final status came in time, and Twilio has none when asked.",
        "Look the Message SID up in Twilio's console; a late delivery closes this case by itself.",
    ),
    EscalationReason.NOT_ACCEPTED: (
        "It has not left in time: Twilio does not take it, or it is held. It is still being tried.",
        "Its timeline tells; check Twilio's status page and the account's limits.",
    ),
    EscalationReason.UNKNOWN: (
        "It may or may not have been sent, and neither a callback nor Twilio's list tells.",
        "Look for it in Twilio's message log; do not send it again before you know.",
    ),
    EscalationReason.DUPLICATE: (
        "Two messages report for this one text: the recipient may have it twice.",
        "Look both Message SIDs up in the timeline and in Twilio's message log; tell the recipient if it matters.",
    ),
    EscalationReason.STUCK: (
        "Its workflow is long past the deadline and does not move.",
        "Open it in Temporal's UI: are workers running, and is its last task failing?",
    ),
    EscalationReason.ABANDONED: (
        "Its workflow was ended by hand before anything was sent.",
        "Nothing, if that was meant; else `heliograph resend` sends it.",
    ),
    EscalationReason.NOT_ACKNOWLEDGED: (
        "Nobody on call has acknowledged it; its timeline tells who was reached.",
        "Take care of it, and acknowledge it by API; or reach somebody another way.",
    ),
    EscalationReason.BUDGET: (
        "Today's budget is used up (its timeline tells which): this text was not sent, nor are others until 0:00 UTC.",
        "Find out why so much is sent; raise COUNTRY_BUDGET or CALLER_BUDGET if that is meant.",
    ),
    EscalationReason.PUMPING: (
        "So many numbers of one range were texted that it looks like SMS pumping. Texts to the range wait.",
        "See who posts them; then `heliograph ranges` releases or blocks the range (block it at Twilio too).",
    ),
    EscalationReason.ENDPOINT_DISABLED: (
        "The caller's webhook endpoint took nothing for days, or is gone (410). It is disabled.",
        "Have it mended, then `heliograph webhooks enable` sends what was withheld.",
    ),
    EscalationReason.RECOVERED: ("It was delivered after all.", "Nothing; this closes the case."),
}


class Operators:
    """Tells them, and writes down that it did. Repeats carry the same id, so that receivers can drop them."""

    def __init__(
        self,
        timeline: Timeline,
        vault: Vault,
        *,
        endpoint: Endpoint | None,
        ui: str,
        namespace: str,
    ) -> None:
        self._timeline = timeline
        self._vault = vault
        self._endpoint = endpoint
        self._ui = f"{ui}/namespaces/{namespace}/workflows"

    @activity.defn(name=names.TELL_OPERATORS)
    async def tell_operators(self, notice: Notice) -> None:
        """Says what happened and what to do. Without OPERATIONS_WEBHOOK_URL the log and Temporal's UI say it.

        Raises ApplicationError when the endpoint does not answer 2xx; retried.
        """
        request = notice.request
        about = {"event_id": request.event_id, "kind": request.kind, "recipient": request.recipient.masked}
        log.error("escalated", **about, reason=notice.reason, sid=notice.sid, error_code=notice.error_code)
        detail = "no OPERATIONS_WEBHOOK_URL is set; told in the log"
        if self._endpoint is not None:
            await self._post(self._endpoint, notice)
            detail = "operators' webhook took it"
        await self._timeline.note(
            request.event_id,
            Entry("told_operators", sid=notice.sid, error_code=notice.error_code, detail=f"{notice.reason}: {detail}"),
            escalated=notice.reason,
        )

    async def _note_of(self, notice: Notice) -> str | None:
        try:
            return notice.request.operator_note and await self._vault.open(notice.request.operator_note)
        except Erased:
            return None

    def _told(self, notice: Notice, note: str | None) -> dict[str, Any]:
        request = notice.request
        what, do = _SAYS[notice.reason]
        told: dict[str, Any] = {
            "eventId": request.event_id,
            "kind": request.kind,
            "caller": request.caller,
            "reason": notice.reason,
            "status": notice.status,
            "what": what,
            "do": do,
            "recipient": {"masked": request.recipient.masked, "country": request.recipient.country},
            "sid": notice.sid,
            "acceptedAt": request.accepted_at.isoformat(),
            "deliverWithinSeconds": int(notice.deadline.total_seconds()),
            "operatorNote": note,
            "workflow": f"{self._ui}/{request.event_id}",
        }
        if notice.error_code is not None:
            cause = cause_of(notice.error_code)
            told["error"] = {
                "code": cause.code,
                "says": cause.says,
                "do": cause.do,
                "acts": cause.acts,
                "url": cause.url,
            }
        return told

    async def _post(self, endpoint: Endpoint, notice: Notice) -> None:
        kind = "recovered" if notice.reason is EscalationReason.RECOVERED else "escalated"
        data = self._told(notice, await self._note_of(notice))
        body = {"type": f"notification.{kind}", "timestamp": datetime.now(UTC).isoformat(), "data": data}
        answer = await post(endpoint, _webhook_id(notice), json.dumps(body))
        metrics.count_webhook("operators", "", "taken" if answer.taken else "not_taken")
        if not answer.taken:
            raise ApplicationError(answer.says, type="WebhookNotTaken")


def _webhook_id(notice: Notice) -> str:
    """The same for every repeat, another one for a leg that an operator has ordered."""
    leg = f"/{notice.leg}" if notice.leg > 1 else ""
    return f"{notice.request.event_id}{leg}/{notice.reason}"
