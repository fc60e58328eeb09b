"""Something is broken, and somebody must wake up."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from notifications.addressed import Addressed
from notifications.event import Event
from notifications.fields import PastTimestamp, Printable
from notifications.fitting import check_event_id, check_text
from notifications.plan import Channel, Draft, Plan
from notifications.policy import Policy, Priority, Purpose, Rung, WhenUnknown
from notifications.smart_encoding import economical
from notifications.spoken import PRESS_1
from notifications.storm import Storm, code_of
from notifications.texts import Texts


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    LOW = "low"


class Contact(Addressed):
    """One who is on call."""

    name: Annotated[
        Printable | None, Field(min_length=1, max_length=40, description="Spoken in calls.", examples=["Ada"])
    ] = None


@dataclass(frozen=True, slots=True)
class Ladder:
    """How an alert climbs: each contact by each channel in turn, with that long for an acknowledgement."""

    channels: tuple[Channel, ...]
    wait: timedelta | None
    """None where no acknowledgement is asked for; then the first contact is texted, and that is all."""
    rounds: int


LADDERS = {
    Severity.CRITICAL: Ladder((Channel.SMS, Channel.VOICE), timedelta(minutes=3), rounds=3),
    Severity.HIGH: Ladder((Channel.SMS, Channel.VOICE), timedelta(minutes=10), rounds=1),
    Severity.LOW: Ladder((Channel.SMS,), None, rounds=1),
}
_COUNT = "\x1f"  # in no field: control characters are refused
WEIGHTS = {Severity.CRITICAL: 3, Severity.HIGH: 2, Severity.LOW: 1}


class IncidentAlert(Event):
    """Something is broken: alerts those on call, one after the other, until somebody acknowledges."""

    group_key: Annotated[
        Printable,
        Field(
            min_length=1,
            max_length=120,
            description="Names the incident. Alerts of one group are folded; `incident-resolved` ends it.",
            examples=["checkout-api/5xx"],
        ),
    ]
    service: Annotated[Printable, Field(min_length=1, max_length=60, examples=["checkout-api"])]
    severity: Severity
    summary: Annotated[Printable, Field(min_length=1, max_length=300, examples=["5xx over 5 % for 3 minutes"])]
    contacts: Annotated[
        tuple[Contact, ...], Field(min_length=1, max_length=8, description="In the order in which they are tried.")
    ]
    consent_at: Annotated[PastTimestamp, Field(description="When the contacts agreed to be alerted.")]
    channels: Annotated[
        tuple[Literal["sms", "voice"], ...] | None,
        Field(min_length=1, max_length=2, description="How each contact is tried; otherwise the severity says."),
    ] = None
    acknowledge_within_seconds: Annotated[
        int | None,
        Field(strict=True, ge=5, le=7_200, description="Before the next try; otherwise the severity says."),
    ] = None
    rounds: Annotated[
        int | None,
        Field(strict=True, ge=1, le=5, description="How often all contacts are tried; otherwise the severity says."),
    ] = None

    policy = Policy(
        purpose=Purpose.INCIDENTS,
        priority=Priority.URGENT,
        deliver_within=timedelta(minutes=2),
        stale_after=timedelta(hours=1),
        when_unknown=WhenUnknown.RESEND,
        max_segments=4,
        capped=True,
        ladder=(Rung.tell_operators(),),
    )
    texts = Texts(
        {
            "en": "{severity} {service}: {summary}",
            "es": "{severity} {service}: {summary}",
            "de": "{severity} {service}: {summary}",
            "ja": "{severity} {service}: {summary}",
        }
    )
    asks: ClassVar[Texts] = Texts(
        {
            "en": " - Reply 1 or {code} to acknowledge.",
            "es": " - Responda 1 o {code} para confirmar.",
            "de": " - Mit 1 oder {code} antworten zum Quittieren.",
            "ja": " 「1」または「{code}」の返信で確認となります。",
        }
    )
    spoken: ClassVar[Texts] = Texts(
        {
            "en": "{name} This is an alert. Severity {severity}. {service}. {summary}.",
            "es": "{name} Esto es una alerta. Gravedad {severity}. {service}. {summary}.",
            "de": "{name} Dies ist ein Alarm. Schweregrad {severity}. {service}. {summary}.",
            "ja": "{name} アラートです。重大度 {severity}。{service}。{summary}。",
        }
    )
    more: ClassVar[Texts] = Texts(
        {
            "en": "{severity} {service}: and {count} more alerts. Last: {summary}",
            "es": "{severity} {service}: y {count} alertas más. Última: {summary}",
            "de": "{severity} {service}: und {count} weitere Alarme. Zuletzt: {summary}",
            "ja": "{severity} {service}: 他{count}件のアラート。最新: {summary}",
        }
    )

    def plan(self, now: datetime) -> Plan:
        """Each contact by each channel, round after round; operators at the end of the first and of the last one."""
        ladder, wait = LADDERS[self.severity], self._wait()
        if wait is None:
            return Plan((Draft(self._text(asks=False), self.contacts[0].phone),))
        rounds = self.rounds or ladder.rounds
        steps = list(self._round(wait))
        operators = Draft("", None, Channel.OPERATIONS, acknowledge_within=wait)
        further = (*(steps * (rounds - 1)), operators) if rounds > 1 else ()
        return Plan((*steps, operators, *further))

    def storm(self, window: timedelta) -> Storm:
        """What comes of the alert when its group was alerted less than `window` ago."""
        before, after = self.more.say(self.locale, **self._words(), count=_COUNT).split(_COUNT)
        weight = WEIGHTS[self.severity]
        steps = self.plan(datetime.now(UTC)).steps
        waits = (step.acknowledge_within for step in steps if step.acknowledge_within is not None)
        return Storm(
            weight=weight,
            window=window,
            climbs_for=sum(waits, timedelta(0)),
            alone=self._text(asks=False),
            digest=(before, after),
        )

    def subject(self) -> str:
        return f"incident {self.group_key}"

    def _round(self, wait: timedelta) -> Iterator[Draft]:
        channels = tuple(Channel(channel) for channel in self.channels or LADDERS[self.severity].channels)
        for contact in self.contacts:
            for channel in channels:
                text = self._text(asks=True) if channel is Channel.SMS else self._words_spoken(contact)
                yield Draft(text, contact.phone, channel, acknowledge_within=wait)

    def _wait(self) -> timedelta | None:
        if self.acknowledge_within_seconds is not None:
            return timedelta(seconds=self.acknowledge_within_seconds)
        return LADDERS[self.severity].wait

    def _text(self, *, asks: bool) -> str:
        says = self.texts.say(self.locale, **self._words())
        return economical(says + self.asks.say(self.locale, code=code_of(self.event_id)) if asks else says)

    def _words_spoken(self, contact: Contact) -> str:
        name = f"{contact.name}." if contact.name else ""
        words = self._words() | {"summary": self.summary.rstrip(" .。!")}
        return self.spoken.say(self.locale, name=name, **words).strip() + PRESS_1.say(self.locale)

    def _words(self) -> dict[str, str]:
        return {"severity": self.severity.upper(), "service": self.service, "summary": self.summary}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for contact in self.contacts:
            check_event_id(self.event_id, contact.phone)
        check_text(self._text(asks=self._wait() is not None), self.policy.max_segments)
        check_text(self.storm(timedelta(minutes=1)).text(99_999), self.policy.max_segments)
        return self
