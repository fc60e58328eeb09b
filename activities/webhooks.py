"""Signed webhooks (https://www.standardwebhooks.com): to operators when a text fails, to callers when it ends."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import structlog
from pydantic import SecretStr
from standardwebhooks import Webhook
from temporalio import activity
from temporalio.exceptions import ApplicationError

from notifications.causes import cause_of
from notifications.notification import EscalationReason, Notice, Outcome
from store.timeline import Entry, Timeline
from store.vault import Erased, Vault
from telemetry import metrics
from workflows import names

TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)

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
    EscalationReason.RECOVERED: ("It was delivered after all.", "Nothing; this closes the case."),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where signed webhooks go."""

    url: str
    secret: SecretStr
    audience: str
    """Whom it tells: `operators` or `caller`."""


class Webhooks:
    """Posts, signs, and writes down that it did. Repeats carry the same id, so that receivers can drop them."""

    def __init__(
        self,
        timeline: Timeline,
        vault: Vault,
        *,
        operators: Endpoint | None,
        callers: Endpoint | None,
        ui: str,
        namespace: str,
    ) -> None:
        self._timeline = timeline
        self._vault = vault
        self._operators = operators
        self._callers = callers
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
        if self._operators is not None:
            kind = "recovered" if notice.reason is EscalationReason.RECOVERED else "escalated"
            await self._post(
                self._operators,
                _webhook_id(request.event_id, notice.leg, notice.reason),
                f"notification.{kind}",
                self._told(notice, await self._note_of(notice)),
            )
            detail = "operators' webhook took it"
        await self._timeline.note(
            request.event_id,
            Entry("told_operators", sid=notice.sid, error_code=notice.error_code, detail=f"{notice.reason}: {detail}"),
            escalated=notice.reason,
        )

    @activity.defn(name=names.REPORT_TO_CALLER)
    async def report_to_caller(self, outcome: Outcome) -> None:
        """Tells the caller how it ended. Raises ApplicationError when the endpoint does not answer 2xx; retried."""
        if self._callers is None:
            return
        await self._post(
            self._callers,
            _webhook_id(outcome.event_id, outcome.leg, "final"),
            "notification.final",
            {
                "eventId": outcome.event_id,
                "status": outcome.status,
                "sid": outcome.sid,
                "errorCode": outcome.error_code,
                "escalated": outcome.escalated,
            },
        )
        await self._timeline.note(outcome.event_id, Entry("told_caller", sid=outcome.sid))

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

    async def _post(self, endpoint: Endpoint, webhook_id: str, kind: str, data: dict[str, Any]) -> None:
        now = datetime.now(UTC)
        body = json.dumps({"type": kind, "timestamp": now.isoformat(), "data": data})
        signature = Webhook(endpoint.secret.get_secret_value()).sign(webhook_id, now, body)
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        try:
            # A session per webhook: they are rare, and a kept connection may be dead when one is due.
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as session,
                session.post(endpoint.url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                if 200 <= response.status < 300:
                    metrics.WEBHOOKS.labels(audience=endpoint.audience, result="taken").inc()
                    return
                says = f"The webhook endpoint answered HTTP {response.status}."
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            says = f"The webhook endpoint could not be reached ({type(failure).__name__})."
        metrics.WEBHOOKS.labels(audience=endpoint.audience, result="not_taken").inc()
        raise ApplicationError(says, type="WebhookNotTaken")


def _webhook_id(event_id: str, leg: int, what: str) -> str:
    """The same for every repeat, another one for a leg that an operator has ordered."""
    return f"{event_id}/{what}" if leg == 1 else f"{event_id}/{leg}/{what}"
