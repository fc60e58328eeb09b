"""Compares what callers were answered, what Twilio accepted, and what Heliograph says. Knows no code of Heliograph."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

FINAL = {"delivered", "undelivered", "failed", "expired", "suppressed", "canceled"}


@dataclass(frozen=True, slots=True)
class Records:
    """The three records, and what operators were told by webhook."""

    acknowledged: Mapping[str, str]
    """Every event that a caller was answered 200 or 202 for, and its phone."""
    answers: Mapping[str, list[dict[str, Any]]]
    """The bodies of those answers."""
    texts: Mapping[str, list[dict[str, Any]]]
    """What the simulator accepted, by phone."""
    stories: Mapping[str, dict[str, Any] | None]
    """What Heliograph says of each event; None for one that it does not know."""
    notices: Mapping[str, list[str]]
    """The reasons that operators were told, by event."""


@dataclass(slots=True)
class Findings:
    """The verdict on every event; `lost`, `texted_twice` and `wrong` must be empty."""

    acknowledged: int = 0
    delivered: int = 0
    not_delivered_and_told: int = 0
    unknown_and_told: int = 0
    unknown_and_there: int = 0
    """Of the unknown ones, those that Twilio has after all."""
    lost: dict[str, str] = field(default_factory=dict)
    texted_twice: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.texted_twice or self.wrong)


def audit(records: Records) -> Findings:
    """Goes through every acknowledged event, and through every text that nobody ordered."""
    found = Findings(acknowledged=len(records.acknowledged))
    for event_id, phone in records.acknowledged.items():
        _judge(found, event_id, records.texts.get(phone, []), records)
    ordered = set(records.acknowledged.values())
    for phone, texts in records.texts.items():
        if phone not in ordered and len(texts) > 1:
            found.texted_twice[phone] = f"{len(texts)} texts, for an event that was never acknowledged"
    return found


def _judge(found: Findings, event_id: str, texts: list[dict[str, Any]], records: Records) -> None:
    story = records.stories.get(event_id)
    told = records.notices.get(event_id, [])
    if len(texts) > 1:
        found.texted_twice[event_id] = f"{len(texts)} texts: {', '.join(text['sid'] for text in texts)}"
    if story is None:
        found.lost[event_id] = f"acknowledged, and Heliograph knows nothing of it; {len(texts)} texts"
        return
    status = story["status"]
    found.ends[status] += 1
    if why := _contradiction(status, texts, story, records.answers.get(event_id, [])):
        found.wrong[event_id] = why
    if status == "delivered":
        found.delivered += 1
    elif not told:
        found.lost[event_id] = f"{status}, and no operator was told; {len(texts)} texts"
    elif status in FINAL:
        found.not_delivered_and_told += 1
    else:
        found.unknown_and_told += 1
        found.unknown_and_there += status == "unknown" and len(texts) > 0


def _contradiction(
    status: str, texts: list[dict[str, Any]], story: dict[str, Any], answers: Iterable[dict[str, Any]]
) -> str | None:
    sids = {text["sid"] for text in texts}
    # Twilio may contradict itself, and the first word of it that gets through counts.
    said = {text["status"] for text in texts} | {call["status"] for text in texts for call in text["callbacks"]}
    if status == "delivered" and "delivered" not in said:
        return "Heliograph says delivered, Twilio never said so"
    if status in FINAL - {"delivered"} and "delivered" in said and status not in said:
        return f"Heliograph says {status}, the handset has it"
    if story.get("sid") is not None and story["sid"] not in sids:
        return f"Heliograph names {story['sid']}, which Twilio does not have"
    named = {answer["sid"] for answer in answers if answer.get("sid")}
    if len(named) > 1 or not named <= sids:
        return f"callers were told of {len(named)} messages that are not Twilio's {len(sids)}"
    return None


def by_phone(texts: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The simulator's record, sorted by recipient."""
    found: dict[str, list[dict[str, Any]]] = {}
    for text in texts:
        found.setdefault(text["to"], []).append(text)
    return found
