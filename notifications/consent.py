"""What a recipient has agreed to, and what he has opted out of: read from a list of records that only grows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

OPTED_OUT_SAYS = "the recipient opted out"

EVERY = "*"
"""In the place of a purpose: all of them."""

OPTED_OUT = 21610  # Twilio, at the request or late: the recipient has sent STOP
BLOCKED = 30004  # Twilio: on a toll-free sender, STOP was handled by the network
DEAD_NUMBER = 30005  # Twilio: unknown or inactive number
TELLING = frozenset({OPTED_OUT, BLOCKED, DEAD_NUMBER})
"""Error codes that may say something of the recipient's will, or of his number."""


class ConsentStatus(StrEnum):
    """What a record says. The first three are of consent, the others of an opt-out, which is stronger than consent."""

    GRANTED = "granted"
    REVOKED = "revoked"
    LAPSED = "lapsed"  # the number is dead, and may be given to somebody else
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"  # lifts an opt-out; consent is another thing


class OptOutScope(StrEnum):
    """How far a STOP reaches."""

    ALL = "all"  # nothing is sent to the number any more
    SENDER = "sender"  # nothing from the sender, or Messaging Service, that it was sent to
    PURPOSE = "purpose"  # nothing for the purpose of the last text


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One entry of the ledger."""

    purpose: str
    status: ConsentStatus
    at: datetime
    """When it was agreed, or withdrawn; it may be recorded later."""
    source: str
    """Where it comes from: an event, a form, a reply, an error code of Twilio's."""
    recorded_by: str
    wording: str | None = None
    """The version of the words that were agreed to."""
    expires_at: datetime | None = None
    sender: str | None = None
    """Of an opt-out: the sender or Messaging Service that it is limited to."""
    event_id: str | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsentRules:
    """What the settings say."""

    scope: OptOutScope = OptOutScope.ALL
    senders: tuple[str, ...] = ()
    """Our Messaging Service and sender's number; opt-outs that name none are of the first."""
    valid_for: timedelta | None = None
    """How long consent lasts, unless its record says so itself; None for as long as it is not withdrawn."""


def why_not(records: Iterable[ConsentRecord], purpose: str, rules: ConsentRules, now: datetime) -> str | None:
    """Why nothing may be sent for this purpose, in words for the timeline; None when it may.

    `records` in the order in which they were written down.
    """
    known = list(records)
    out = opt_out(known, purpose, rules)
    if out is not None:
        return f"{OPTED_OUT_SAYS} on {out.at:%Y-%m-%d} ({out.source}); START lifts it"
    return _no_consent(standing(known, purpose), purpose, rules, now)


def standing(records: Iterable[ConsentRecord], purpose: str) -> ConsentRecord | None:
    """The consent record that counts: the latest by the time it speaks of; of equal ones the one written last."""
    kinds = (ConsentStatus.GRANTED, ConsentStatus.REVOKED, ConsentStatus.LAPSED)
    latest: ConsentRecord | None = None
    for record in records:
        if record.status in kinds and record.purpose in (EVERY, purpose) and (latest is None or record.at >= latest.at):
            latest = record
    return latest


def opt_out(records: Iterable[ConsentRecord], purpose: str, rules: ConsentRules) -> ConsentRecord | None:
    """The opt-out that forbids it, if one stands."""
    standing_ones: list[ConsentRecord] = []
    for record in records:
        if record.status is ConsentStatus.OPTED_OUT:
            standing_ones.append(record)
        elif record.status is ConsentStatus.OPTED_IN:
            standing_ones = [one for one in standing_ones if not _lifts(record, one)]
    for one in standing_ones:
        if one.purpose in (EVERY, purpose) and (one.sender is None or one.sender in rules.senders):
            return one
    return None


def _lifts(record: ConsentRecord, out: ConsentRecord) -> bool:
    """Only what was said before: an old START that is recorded late lifts no newer STOP."""
    return out.at <= record.at and record.sender in (None, out.sender) and record.purpose in (EVERY, out.purpose)


def _no_consent(record: ConsentRecord | None, purpose: str, rules: ConsentRules, now: datetime) -> str | None:
    if record is None:
        return f"no consent for {purpose} is recorded"
    if record.status is ConsentStatus.REVOKED:
        return f"consent for {purpose} was withdrawn on {record.at:%Y-%m-%d}"
    if record.status is ConsentStatus.LAPSED:
        return f"consent lapsed on {record.at:%Y-%m-%d}: the number was dead then; it is needed anew"
    ends = record.expires_at or (record.at + rules.valid_for if rules.valid_for else None)
    if ends is not None and ends <= now:
        return f"consent for {purpose} of {record.at:%Y-%m-%d} expired on {ends:%Y-%m-%d}"
    return None
