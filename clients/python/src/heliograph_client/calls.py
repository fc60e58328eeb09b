"""Each call of the API: what is sent where, how its answer is read, and when it may be made again."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from heliograph_client import models
from heliograph_client.errors import Refused
from heliograph_client.retries import Repeat
from heliograph_client.wire import Event, named, read, to_wire
from heliograph_client.words import DeliveryStatus

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """One call. Every attempt at it sends the same bytes."""

    method: str
    route: str
    """With names in the place of values: for logs and errors."""
    read: Callable[[Any], Answer]
    repeat: Repeat = Repeat.ALWAYS
    places: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What stands in the route's places."""
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0
    """Seconds that the API was asked to wait before it answers."""

    @property
    def path(self) -> str:
        """Raises ValueError for a value that would lead elsewhere."""
        if any(value.strip(".") == "" for value in self.places.values()):
            raise ValueError(f"{', '.join(self.places)}: must not be empty, nor dots alone")
        return self.route.format(**{name: quote(value, safe="") for name, value in self.places.items()})


def send(event: Event | str, fields: Mapping[str, Any], wait: int) -> Call[models.Accepted]:
    kind, body = _kind_and_fields(event, fields)

    def accepted(data: Any) -> models.Accepted:
        answer = read(models.Accepted, data)
        # The first attempt's answer may have been lost: the repeat's tells of the refusal in other words.
        if wait and answer.status is DeliveryStatus.FAILED and answer.sid is None:
            details = {"eventId": answer.event_id, "status": answer.status, "errorCode": answer.error_code}
            raise Refused(502, "sms_delivery_failed", "Twilio refused the text.", details)
        return answer

    return Call(
        "POST",
        "/api/{kind}-sms",
        accepted,
        places={"kind": kind},
        body=_json(body),
        headers={"Prefer": f"wait={wait}"} if wait else {},
        wait=wait,
    )


def preview(event: Event | str, fields: Mapping[str, Any]) -> Call[models.Previewed]:
    kind, body = _kind_and_fields(event, fields)
    return Call(
        "POST",
        "/api/{kind}-sms",
        _as(models.Previewed),
        places={"kind": kind},
        query={"dryRun": "true"},
        body=_json(body),
    )


def batch(events: Iterable[Event | Mapping[str, Any]]) -> Call[models.BatchAnswer]:
    items = [{"kind": event.kind, **to_wire(event)} if isinstance(event, Event) else named(event) for event in events]
    return Call("POST", "/api/batches", _as(models.BatchAnswer), body=_json({"events": items}), wait=len(items) / 20)


def notification(event_id: str) -> Call[models.NotificationStory]:
    return Call("GET", "/api/notifications/{event_id}", _as(models.NotificationStory), places={"event_id": event_id})


def message(sid: str) -> Call[models.NotificationStory]:
    return Call("GET", "/api/messages/{sid}", _as(models.NotificationStory), places={"sid": sid})


def notifications(phone: str, limit: int) -> Call[tuple[models.Summary, ...]]:
    def summaries(data: Any) -> tuple[models.Summary, ...]:
        return read(models.Summaries, data).notifications

    return Call("GET", "/api/notifications", summaries, query={"phone": phone, "limit": str(limit)})


def follow(event_id: str, last_id: str) -> Call[None]:
    return Call(
        "GET",
        "/api/notifications/{event_id}/stream",
        lambda _: None,
        places={"event_id": event_id},
        headers={"Accept": "text/event-stream", "Last-Event-ID": last_id},
        wait=60,  # something is said every 15 seconds
    )


def cancel(event_id: str) -> Call[models.Canceled]:
    return Call("POST", "/api/notifications/{event_id}/cancel", _as(models.Canceled), places={"event_id": event_id})


def reschedule(
    event_id: str,
    starts_at: datetime | None,
    remind_before: Sequence[timedelta | str] | None,
    time_zone: str | None,
) -> Call[models.Rescheduled]:
    times = {"starts_at": starts_at, "remind_before": remind_before, "time_zone": time_zone}
    return Call(
        "POST",
        "/api/notifications/{event_id}/reschedule",
        _as(models.Rescheduled),
        places={"event_id": event_id},
        body=_json(named(times)),
    )


def acknowledge(event_id: str) -> Call[models.Acknowledged]:
    return Call(
        "POST", "/api/notifications/{event_id}/acknowledge", _as(models.Acknowledged), places={"event_id": event_id}
    )


def resend(event_id: str, reason: str, force: bool) -> Call[models.Resent]:
    return Call(
        "POST",
        "/api/notifications/{event_id}/resend",
        _as(models.Resent),
        Repeat.WHERE_NOTHING_WAS_TAKEN,
        places={"event_id": event_id},
        body=_json({"reason": reason, "force": force}),
    )


def consent(phone: str) -> Call[models.Standing]:
    return Call("GET", "/api/recipients/{phone}/consent", _as(models.Standing), places={"phone": phone})


def set_consent(phone: str, at: datetime | None, **said: Any) -> Call[models.Standing]:
    # With its own moment it is one record in the ledger, however often it is sent.
    body = named({"at": at or datetime.now(UTC), **said})
    return Call(
        "PUT", "/api/recipients/{phone}/consent", _as(models.Standing), places={"phone": phone}, body=_json(body)
    )


def forget(phone: str) -> Call[models.Forgotten]:
    return Call("DELETE", "/api/recipients/{phone}", _as(models.Forgotten), places={"phone": phone})


def verify_start(**order: Any) -> Call[models.Started]:
    return Call(
        "POST", "/api/verify/start", _as(models.Started), Repeat.WHERE_NOTHING_WAS_DONE, body=_json(named(order))
    )


def verify_check(**order: Any) -> Call[models.Checked]:
    return Call(
        "POST", "/api/verify/check", _as(models.Checked), Repeat.WHERE_NOTHING_WAS_DONE, body=_json(named(order))
    )


def _kind_and_fields(event: Event | str, fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(event, str):
        return event, named(fields)
    if fields:
        raise TypeError("fields are given with the kind's name, or in the event")
    return event.kind, to_wire(event)


def _as(model: type[Answer]) -> Callable[[Any], Answer]:
    return lambda data: read(model, data)


def _json(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
