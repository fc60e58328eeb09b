"""Each method of the Python client, in both flavours, against the real API."""

import asyncio
import json
import logging
import pickle
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from heliograph_client import (
    EVENTS,
    AppointmentReminder,
    AsyncHeliograph,
    Conflict,
    Contact,
    Event,
    EventIdReused,
    Heliograph,
    IncidentAlert,
    InvalidRequest,
    MissingScope,
    NotFound,
    Refused,
    Retries,
    Summary,
    SupportAck,
    TimelineEntry,
    TooLate,
    TooManyRequests,
    Unauthorized,
    VerificationEnded,
)
from notifications.access import Scope, line_of, new_key
from tests.api.test_holding import AWAKE
from tests.python_client.flavours import FLAVOURS, Client, shipped
from tests.world import World, free_port, migrated, serving, settings_for

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())


def example(kind: type[Event], world: World) -> Event:
    """An event with every field that its kind has, as the document's examples have them."""
    posted = world.event()
    given: dict[str, Any] = {
        "event_id": posted["eventId"],
        "phone": posted["phone"],
        "consent_at": datetime.now(UTC) - timedelta(days=1),
        "occurred_at": datetime.now(UTC),
        "starts_at": datetime.now(UTC) + timedelta(days=3),
        "remind_before": [timedelta(hours=24), "P2D"],
        "locale": "en-US",
        "time_zone": AWAKE,
        "region": "US",
        "operator_note": "for the operators",
        "severity": "low",
        "contacts": [Contact(phone=posted["phone"], name="Ada", region="US")],
        "channels": ["sms", "voice"],
        "acknowledge_within_seconds": 60,
        "rounds": 2,
    }
    schema = DOCUMENT["components"]["schemas"][kind.__name__]["properties"]
    camel = {field.name: field.name.split("_")[0] + field.name.title().replace("_", "")[len(field.name.split("_")[0]) :]
             for field in fields(kind)}  # fmt: skip
    return kind(**{name: given.get(name, schema[camel[name]].get("examples", [None])[0]) for name in camel})


@pytest.mark.parametrize("kind", EVENTS)
async def test_every_kind_is_understood_with_all_of_its_fields(world: World, client: Client, kind: type[Event]) -> None:
    event = example(kind, world)
    assert None not in [getattr(event, field.name) for field in fields(kind)]
    preview = await client.preview(event)
    assert preview.would in ("send", "hold")
    assert preview.segments >= 1


async def test_an_event_is_taken_and_a_repeat_is_one(world: World, client: Client) -> None:
    event = shipped(world, tracking_url="https://example.com/track/1Z999")
    first = await client.send(event)
    assert (first.event_id, first.accepted, first.duplicate) == (event.event_id, True, None)
    await world.until(event.event_id, "delivered")
    again = await client.send(event)
    assert (again.duplicate, again.status, again.status.final) == (True, "delivered", True)
    assert again.sid is not None
    assert await world.phones.requests(event.phone) == 1


async def test_a_kind_without_a_class_is_sent_by_its_name(world: World, client: Client) -> None:
    event = shipped(world)
    taken = await client.send(
        "order-shipped",
        event_id=event.event_id,
        phone=event.phone,
        order_id=event.order_id,
        consent_at=event.consent_at,
        tracking_url=None,
    )
    assert taken.accepted
    assert (await client.send(event)).duplicate


async def test_who_waits_is_told_the_sid_or_why_twilio_refused(world: World, client: Client) -> None:
    assert (await client.send(shipped(world), wait=20)).sid
    refused = shipped(world)
    await world.phones.behave(refused.phone, outcome="refused", errorCode=21211)
    for _ in range(2):  # the repeat too
        with pytest.raises(Refused) as failure:
            await client.send(refused, wait=20)
        assert (failure.value.status, failure.value.error_code) == (502, 21211)


async def test_errors_say_what_to_mend(world: World, client: Client) -> None:
    event = shipped(world, tracking_url="ftp://example.com")
    with pytest.raises(InvalidRequest) as invalid:
        await client.send(event)
    assert [(one.field, one.code) for one in invalid.value.details] == [("trackingUrl", "web_url")]
    assert "trackingUrl must be an http or https URL" in str(invalid.value)
    assert event.phone not in repr(invalid.value)
    with pytest.raises(InvalidRequest):
        await client.message("SM1")
    sent = shipped(world)
    await client.send(sent)
    other = shipped(world, event_id=sent.event_id)
    with pytest.raises(EventIdReused):
        await client.send(other)


async def test_a_batch_is_answered_event_by_event(world: World, client: Client) -> None:
    good, bad = shipped(world), shipped(world, phone="not a number")
    ticket = SupportAck(event_id=f"{good.event_id}:T", phone=good.phone, ticket_id="T-1", consent_at=good.consent_at)
    by_name = {"kind": "order-shipped", "eventId": good.event_id, "phone": good.phone, "order_id": good.order_id}
    answer = await client.batch([good, bad, ticket, by_name | {"consent_at": good.consent_at}])
    assert (answer.accepted, answer.duplicates, answer.refused) == (2, 1, 1)
    assert [result.http_status for result in answer.results[:3]] == [202, 400, 202]
    assert answer.results[3].duplicate
    assert answer.results[1].details[0].field == "phone"


async def test_a_story_is_found_by_event_by_sid_and_by_phone(world: World, client: Client) -> None:
    event = shipped(world)
    await client.send(event)
    await world.until(event.event_id, "delivered")
    story = await client.notification(event.event_id)
    assert (story.status, story.kind, story.attempts) == ("delivered", "order-shipped", 1)
    assert story.accepted_at.tzinfo is not None
    assert {"queued", "delivered"} <= {entry.carrier_status for entry in story.timeline}
    assert (await client.message(story.sid)).event_id == event.event_id
    [summary] = await client.notifications(event.phone)
    assert (summary.event_id, summary.phone) == (event.event_id, story.phone)
    assert event.phone not in repr(story)
    with pytest.raises(NotFound):
        await client.notification("no-such-event")


async def test_a_failure_is_told_with_what_to_do(world: World, client: Client) -> None:
    event = shipped(world)
    await world.phones.behave(event.phone, outcome="undelivered", errorCode=30003)
    await client.send(event)
    await world.until(event.event_id, "undelivered")
    story = await client.notification(event.event_id)
    assert story.error.code == 30003
    assert story.error.do


async def test_a_story_is_followed_to_its_end(world: World, client: Client) -> None:
    event = shipped(world)
    await world.phones.behave(event.phone, create=[{"fault": "slow", "seconds": 0.8}])
    await client.send(event)
    news = await client.follow(event.event_id)
    statuses = [one.status for one in news if isinstance(one, Summary)]
    entries = [one for one in news if isinstance(one, TimelineEntry)]
    assert statuses[-1] == "delivered"
    assert len(set(statuses)) == len(statuses) >= 2
    assert len(entries) == len((await client.notification(event.event_id)).timeline)
    with pytest.raises(NotFound):
        await client.follow("no-such-event")


async def test_what_is_held_is_moved_and_dropped(world: World, client: Client) -> None:
    event, starts = shipped(world), datetime.now(UTC) + timedelta(days=3)
    reminder = AppointmentReminder(
        event_id=f"{event.event_id}:A", phone=event.phone, appointment_id="A-1207", starts_at=starts,
        remind_before=["PT24H"], time_zone=AWAKE, consent_at=event.consent_at,
    )  # fmt: skip
    assert (await client.send(reminder)).status == "held"
    moved = await client.reschedule(
        reminder.event_id, starts_at=starts + timedelta(days=1), remind_before=[timedelta(hours=48)]
    )
    assert abs(moved.not_before - (starts - timedelta(days=1))) < timedelta(seconds=2)
    assert (await client.cancel(reminder.event_id)).status == "canceled"
    assert (await client.cancel(reminder.event_id)).status == "canceled"
    with pytest.raises(TooLate):
        await client.reschedule(reminder.event_id, starts_at=starts)


async def test_an_alert_is_acknowledged(world: World, client: Client) -> None:
    event = shipped(world)
    alert = IncidentAlert(
        event_id=f"{event.event_id}:I", group_key=event.event_id, service="checkout-api", severity="critical",
        summary="5xx over 5 %", contacts=[Contact(phone=event.phone)], consent_at=event.consent_at,
    )  # fmt: skip
    await client.send(alert)
    assert (await client.acknowledge(alert.event_id)).acknowledged
    with pytest.raises(NotFound):
        await client.acknowledge("no-such-alert")


async def test_a_text_is_sent_again(world: World, client: Client) -> None:
    event = shipped(world)
    await client.send(event)
    await world.until(event.event_id, "delivered")
    with pytest.raises(Conflict) as conflict:
        await client.resend(event.event_id, reason="asked for it")
    assert conflict.value.error == "already_delivered"
    assert (await client.resend(event.event_id, reason="asked for it", force=True)).leg == 2


async def test_consent_is_recorded_asked_for_and_forgotten(world: World, client: Client) -> None:
    phone = shipped(world).phone
    standing = await client.set_consent(phone, "granted", purpose="appointments", source="front desk")
    assert standing.purposes["appointments"].may_text
    assert [(one.status, one.source) for one in standing.records] == [("granted", "front desk")]
    await client.set_consent(phone, "opted_out", source="phone call")
    assert (await client.consent(phone)).opted_out
    with pytest.raises(InvalidRequest):
        await client.set_consent(phone, "granted", source="front desk")
    assert (await client.forget(phone)).opted_out


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_login_is_checked(world: World, flavour: str) -> None:
    client = Client(flavour, f"http://127.0.0.1:{world.settings.port}")
    phone = f"+1555888{FLAVOURS.index(flavour)}001"
    started = await client.verify_start(phone)
    assert (started.sid[:2], started.status) == ("VE", "pending")
    code = (await world.phones._http.get(f"/simulator/verifications/{phone}")).json()["code"]
    wrong = await client.verify_check(phone, "0000" if code != "0000" else "1111")
    assert (wrong.approved, wrong.status) == (False, "pending")
    assert (await client.verify_check(phone, code)).approved
    with pytest.raises(VerificationEnded):
        await client.verify_check(phone, code)
    await client.close()


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_keys_are_told_apart(world: World, tmp_path: Path, flavour: str) -> None:
    key, slow = new_key(), new_key()
    lines = [line_of(key, "shop", [Scope.READ]), line_of(slow, "slow", [Scope.READ], rate=1)]
    (tmp_path / "keys").write_text("\n".join(lines))
    settings = settings_for(
        tmp_path, port=free_port(), api_keys="", api_keys_file=tmp_path / "keys", temporal_address="127.0.0.1:1"
    )
    await migrated(settings.database)
    async with serving(settings):
        url = f"http://127.0.0.1:{settings.port}"
        for wrong in ("nobodys-key", None):
            with pytest.raises(Unauthorized):
                await Client(flavour, url, wrong).notification("no-such-event")
        with pytest.raises(MissingScope) as missing:
            await Client(flavour, url, f"{key}\n").send(shipped(world))
        assert missing.value.details["scope"] == "send"
        hasty = Client(flavour, url, slow, retries=Retries(attempts=1))
        await hasty.notifications("+15558675310")
        with pytest.raises(TooManyRequests) as often:
            await asyncio.gather(*(hasty.notifications("+15558675310") for _ in range(5)))
        assert often.value.retry_after >= 1


@pytest.mark.parametrize("kind", [Heliograph, AsyncHeliograph])
def test_what_cannot_be_a_url_or_a_key_is_refused_and_not_repeated(kind: Any) -> None:
    for url in ("heliograph.example.com", "ftp://x", "https://shop:secret-word@example.com", "https://example.com?x=1"):
        with pytest.raises(ValueError, match="base URL") as wrong:
            kind(url)
        assert "secret-word" not in str(wrong.value)
    for key in ("secret-word\nX-Other: 1", "secret-wörd", "", "secret word"):
        with pytest.raises(ValueError, match="the key must be") as wrong:
            kind("https://example.com", key)
        assert "secret" not in str(wrong.value)
    assert (
        repr(kind("https://example.com/heliograph/", "secret-word"))
        == f"{kind.__name__}('https://example.com/heliograph')"
    )


async def test_no_value_leads_to_another_route(client: Client) -> None:
    for dots in ("..", ".", ""):
        with pytest.raises(ValueError, match="event_id"):
            await client.cancel(dots)
        with pytest.raises(ValueError, match="phone"):
            await client.forget(dots)
    for odd in ("../audit?x=", "a/b", "x#y", "%2e%2e"):
        with pytest.raises((InvalidRequest, NotFound)):
            await client.notification(odd)


async def test_times_need_their_offset(world: World, client: Client) -> None:
    with pytest.raises(ValueError, match="offset"):
        await client.send(shipped(world, consent_at=datetime(2026, 1, 1)))  # noqa: DTZ001


async def test_nothing_personal_is_logged_or_shown(
    world: World, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    event = shipped(world, operator_note="knows about the neighbour")
    phone, code = event.phone, "271828"
    contact = Contact(phone=phone, name="Ada")
    await client.send(event)
    await client.set_consent(phone, "granted", purpose="support", source="front desk")
    await client.consent(phone)
    await client.notifications(phone)
    await client.forget(phone)
    failures = []
    for attempt in (client.verify_check(phone, code), client.consent("+1"), client.send(shipped(world, phone="+1"))):
        try:
            await attempt
        except Exception as failure:
            failures.append(failure)
    assert len(failures) == 3
    ours = ("httpx", "httpcore", "heliograph_client", "asyncio")  # the service runs in this process too
    logged = [record.getMessage() for record in caplog.records if record.name.startswith(ours)]
    shown = " ".join([*logged, repr([event, contact]), *(f"{one!r} {one}" for one in failures)])
    assert "/api/recipients/{phone}/consent" in shown  # it is the very line that would tell
    for secret in (phone, phone[1:], "%2B1", "a-key-for-the-tests", code, "neighbour", "Ada"):
        assert secret not in shown, secret


def test_errors_travel_between_processes() -> None:
    failure = Refused(502, "sms_delivery_failed", "Twilio refused the text.", {"errorCode": 21211}, None)
    copy = pickle.loads(pickle.dumps(failure))
    assert (type(copy), copy.error_code, str(copy)) == (Refused, 21211, str(failure))
