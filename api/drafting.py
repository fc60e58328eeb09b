"""What is asked of the workflow for an event: decided once, at acceptance, by the kind and the settings."""

import json
import re
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from api.problems import Problem
from notifications import phone
from notifications.confidential import Confidential
from notifications.destinations import Destinations
from notifications.endpoints import NOBODY_IS_TOLD, Endpoints
from notifications.event import Event, NotNow
from notifications.local_time import zones_of
from notifications.notification import NOBODY, NotificationRequest, Recipient, Step
from notifications.plan import Channel, Draft, Plan
from notifications.policy import Purpose
from notifications.quiet_hours import QuietHours
from notifications.smart_encoding import economical
from privacy.encryption import KeyedHash
from privacy.masking import mask

# What phones make a link of, a bare host name too: `orderId` must not bring in what `trackingUrl` may not.
_LINK = re.compile(r"://|[a-z0-9-]\.[a-z]{2,}", re.IGNORECASE)

# None of them changes what is sent to whom: a repeat may word them differently.
NOT_CONTENT = {"region", "time_zone", "operator_note", "consent_at", "occurred_at"}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of events."""

    window: timedelta
    """How old an event may be."""
    endpoints: Endpoints = NOBODY_IS_TOLD
    quiet_hours: QuietHours | None = None
    link_hosts: frozenset[str] = frozenset()
    """Where links may lead; empty for everywhere."""
    destinations: Destinations = Destinations()  # noqa: RUF009
    storm_window: timedelta = timedelta(minutes=5)
    """How long after an alert others of its group are folded into a digest."""


class Drafting:
    """Turns events into requests."""

    def __init__(self, hashes: KeyedHash, rules: Rules) -> None:
        self._hashes = hashes
        self._rules = rules

    def check(self, event: Event) -> None:
        """Raises Problem 400 for an event that is too old, or whose links may not be sent."""
        if event.occurred_at is not None and event.occurred_at < datetime.now(UTC) - self._rules.window:
            raise Problem(
                400,
                "event_too_old",
                f"The event is older than {self._rules.window.days} days (IDEMPOTENCY_WINDOW_DAYS), for which repeats "
                "are recognised. Nothing was sent.",
            )
        for field, url in event.links().items():
            host = (urlsplit(url).hostname or "").lower()
            if self._rules.link_hosts and not any(_within(host, allowed) for allowed in self._rules.link_hosts):
                raise _invalid(field, "must lead to one of LINK_HOSTS", "link_host")
        if self._rules.link_hosts and event.policy.purpose is not Purpose.INCIDENTS and _LINK.search(_words(event)):
            raise _invalid("(text)", "must hold no link but those to LINK_HOSTS", "link_host")

    def refusal(self, request: NotificationRequest) -> str | None:
        """Why it would not be sent, were it sent now."""
        recipient = request.recipient
        call = request.channel is Channel.VOICE
        if recipient != NOBODY:
            why_not = self._rules.destinations.why_not(recipient.phone, recipient.country, call=call)
            if why_not is not None:
                return why_not
        if request.not_before is not None and request.not_before >= request.stale_at:
            return f"{request.waits_for} end too late for it"
        return None

    def content_hash(self, event: Event, caller: str) -> str:
        """Tells a repeat from another event under the same ID."""
        content = _content(event, NOT_CONTENT) | {"caller": caller}
        return self._hashes.of("content", json.dumps(content, sort_keys=True, separators=(",", ":")))

    def request(self, event: Event, caller: str) -> NotificationRequest:
        """Not sealed yet: it must not leave the process like this. Raises Problem 400 when it is too late for it."""
        now = datetime.now(UTC)
        try:
            plan = event.plan(now)
        except NotNow as late:
            raise _invalid(late.field, late.says, "too_late") from None
        policy = event.policy
        if event.delivery_timeout_seconds is not None:
            policy = policy.model_copy(update={"deliver_within": timedelta(seconds=event.delivery_timeout_seconds)})
        quiet_hours = self._rules.quiet_hours if policy.keeps_quiet else None
        zones = self._zones(event, plan)
        steps, left_out = _timed(plan, now, quiet_hours, zones)
        first = self._step(steps[0]) if steps else None
        subject = event.subject()
        return NotificationRequest(
            event_id=event.event_id,
            kind=event.kind,
            caller=caller,
            recipient=(first.recipient if first else None) or NOBODY,
            body=first.body if first else Confidential(economical(event.text())),
            policy=policy,
            content_hash=self.content_hash(event, caller),
            request_id=uuid.uuid4().hex,
            accepted_at=now,
            consent_at=event.consent_at,
            occurred_at=event.occurred_at,
            operator_note=Confidential(event.operator_note) if event.operator_note else None,
            report_to_caller=self._rules.endpoints.of(caller) is not None,
            quiet_hours=quiet_hours,
            time_zones=zones,
            not_before=first.not_before if first else None,
            waits_for=first.waits_for if first else "",
            acknowledge_within=first.acknowledge_within if first else None,
            channel=first.channel if first else Channel.SMS,
            locale=event.locale,
            steps=tuple(self._step(step) for step in steps[1:]),
            expires_at=plan.expires_at,
            left_out=left_out,
            subject_hash=self._hashes.of("subject", f"{caller} {subject}") if subject else None,
            supersedes=tuple(sorted(event.supersedes)),
            resolves=event.resolves,
            storm=event.storm(self._rules.storm_window),
            content=Confidential(json.dumps(_content(event, set()))) if event.reschedulable else None,
        )

    def _zones(self, event: Event, plan: Plan) -> tuple[str, ...]:
        if event.time_zone:
            return (event.time_zone,)
        number = next((step.phone for step in plan.steps if step.phone), None)
        return zones_of(number) if number else ()

    def _step(self, draft: Draft) -> Step:
        return Step(
            recipient=recipient_of(self._hashes, draft.phone) if draft.phone else None,
            channel=draft.channel,
            body=Confidential(draft.text),
            not_before=draft.due,
            waits_for=draft.waits_for,
            acknowledge_within=draft.acknowledge_within,
        )


def recipient_of(hashes: KeyedHash, number: str) -> Recipient:
    """Whose number it is, in E.164; in clear still."""
    return Recipient(
        phone=Confidential(number),
        masked=mask(number),
        country=phone.country_of(number),
        hash=hashes.of("recipient", number),
    )


def _timed(
    plan: Plan, now: datetime, quiet_hours: QuietHours | None, zones: tuple[str, ...]
) -> tuple[list[Draft], tuple[str, ...]]:
    """The steps with quiet hours taken into account, and what of the plan falls away by them."""
    steps: list[Draft] = []
    late: list[Draft] = []
    left_out = list(plan.left_out)
    for draft in plan.steps:
        due = draft.due or now
        opening = quiet_hours.opening(due, zones) if quiet_hours else due
        timed = replace(
            draft,
            due=opening if opening > now else None,
            waits_for="quiet hours" if opening > due else draft.waits_for,
        )
        if plan.expires_at is not None and opening >= plan.expires_at:
            late.append(timed)
            left_out.append(f"{draft.waits_for or 'now'}: quiet hours end too late for it")
        elif steps and timed.due is not None and timed.due == steps[-1].due:
            left_out.append(f"{draft.waits_for}: at the end of quiet hours another one goes already")
        else:
            steps.append(timed)
    # One that comes too late stays, so that the event ends as expired.
    return steps or late[-1:], tuple(left_out)


def _content(event: Event, without: set[str]) -> dict[str, Any]:
    content: dict[str, Any] = _without(event.model_dump(mode="json", by_alias=False), without - event.reschedulable)
    return content | {"kind": event.kind}


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(inner, names) for name, inner in value.items() if name not in names}
    return [_without(inner, names) for inner in value] if isinstance(value, list) else value


def _words(event: Event) -> str:
    """The text without the links that were looked at."""
    text = event.text()
    for url in event.links().values():
        text = text.replace(url, "")
    return text


def _within(host: str, allowed: str) -> bool:
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


def _invalid(field: str, says: str, code: str) -> Problem:
    detail = {"field": field, "problem": says, "code": code}
    return Problem(400, "invalid_request", "The request is not valid. Nothing was sent.", details=[detail])
