"""Who asks to be forgotten is: in SQL, in Temporal, at Twilio; and what is kept is kept for as long as it was said."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from sqlalchemy import select, text, update
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    DescribeWorkflowInput,
    Interceptor,
    OutboundInterceptor,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
)
from temporalio.service import RPCError

from activities.purge import Purge
from carrier.calls import Calls
from carrier.errors import Refused
from carrier.messages import Messages
from notifications.notification import Purged
from notifications.per_name import PerName
from privacy.encryption import KeyedHash, KeyRing
from store.erasures import Erasures
from store.purge import Purge as PurgeTables
from store.schema import metadata, notifications, recipients
from store.timeline import Timeline
from tests.workflow.test_consent import consent, inbound, sid, standing
from tests.workflow.test_incidents import acknowledge, alert, resolve, until_texted
from tests.workflow.test_incidents import post as post_alert
from tests.workflow.test_reminders import appointment
from tests.workflow.test_reminders import post as post_appointment
from tests.world import World, free_port
from workflows import names
from workflows.dispatch import Dispatch
from workflows.retention import Retention


async def purge(world: World) -> Purged:
    return await world.client.execute_workflow(Retention.run, id=f"purge-{uuid.uuid4()}", task_queue=names.TASK_QUEUE)


async def forget(world: World, phone: str) -> dict[str, Any]:
    answer = await world.http.delete(f"/api/recipients/{phone}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until_gone(world: World, event: dict[str, Any]) -> None:
    """Temporal deletes what has closed a little later."""
    async with asyncio.timeout(20):
        while await world.run(event["eventId"]) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def history(world: World, event: dict[str, Any]) -> str:
    """All that Temporal has of an event, with PAYLOAD_KEYS at hand: what a thief of database and keys would read."""
    codec = world.client.data_converter.payload_codec
    assert codec is not None
    events = (await world.workflow(event["eventId"]).fetch_history()).events
    found = [one for event in events for one in payloads_of(event)]
    clear = [payload.data.decode() for payload in await codec.decode(found)]
    assert any("recipient" in one for one in clear)
    return "\n".join([str(one) for one in events] + clear)


def payloads_of(message: Message) -> Iterator[Payload]:
    """Every payload in a message, however deep."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = [one for one in value.values() if isinstance(one, Message)]
        else:
            values = list(value) if field.is_repeated else [value]
        for one in values:
            yield from payloads_of(one)


async def everything_in_sql(world: World) -> str:
    async with world.database.read() as connection:
        rows = [[str(row) for row in await connection.execute(table.select())] for table in metadata.sorted_tables]
        sealed = (await connection.execute(select(notifications.c.sealed_request))).scalars()
        ring = KeyRing(world.settings.encryption_keys)
        opened = [ring.decrypt_text(one) for one in sealed if one]
    return json.dumps([rows, opened])


async def test_the_workflow_never_sees_number_or_text(world: World) -> None:
    event = world.event(operatorNote="calls himself the badger")
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    (text,) = await world.phones.texts(event["phone"])
    for seen in (await history(world, event), await everything_in_sql(world)):
        assert event["phone"] not in seen
        assert text["body"] not in seen
        assert "badger" not in seen


async def test_to_be_forgotten_leaves_the_bare_id_and_the_guard_against_a_second_text(world: World) -> None:
    event = world.event()
    await world.post(event)
    story = await world.until(event["eventId"], "delivered")
    before = await everything_in_sql(world)
    await world.outcome(event)
    assert (await forget(world, event["phone"]))["events"] == 1
    assert (await purge(world)).forgotten >= 1
    left = await world.story(event["eventId"])
    assert (left["status"], left["sid"]) == ("delivered", story["sid"])
    assert [entry["what"] for entry in left["timeline"]] == ["erased"]
    assert "***" + event["phone"][-4:] in before
    assert "***" + event["phone"][-4:] not in await everything_in_sql(world)
    await until_gone(world, event)
    repeat = await world.post(event)
    assert (repeat.status_code, repeat.json()["duplicate"]) == (200, True)
    assert await world.phones.texts(event["phone"]) == []  # Twilio's copy is gone too
    assert await world.phones.requests(event["phone"]) == 1


async def test_a_backup_of_history_and_sql_cannot_be_read_without_his_key(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    async with world.database.read() as connection:
        row = (
            await connection.execute(select(notifications).where(notifications.c.event_id == event["eventId"]))
        ).one()
    request = json.loads(KeyRing(world.settings.encryption_keys).decrypt_text(row.sealed_request))
    assert request["recipient"]["phone"].startswith("sealed:r/")
    key_id = request["recipient"]["phone"].split("/")[1].split(":")[0]
    await forget(world, event["phone"])
    async with world.database.read() as connection:
        keys = list((await connection.execute(select(recipients.c.key_id))).scalars())
    assert key_id not in keys


async def test_a_key_that_a_restored_backup_brings_back_is_destroyed_again(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    mine = recipients.c.recipient_hash == select(notifications.c.recipient_hash).where(
        notifications.c.event_id == event["eventId"]
    ).scalar_subquery()  # fmt: skip
    async with world.database.read() as connection:
        row = (await connection.execute(select(recipients).where(mine))).one()
    await forget(world, event["phone"])
    async with world.database.write() as connection:
        await connection.execute(recipients.insert().values(**row._mapping))
    await purge(world)
    async with world.database.read() as connection:
        assert (await connection.execute(select(recipients).where(mine))).first() is None


async def test_what_is_held_for_him_is_never_sent(world: World) -> None:
    event = appointment(world, timedelta(days=3), "PT24H")
    await post_appointment(world, event)
    await forget(world, event["phone"])
    await world.until(event["eventId"], lambda story: story["status"] in ("canceled", "suppressed"), 30)
    await purge(world)
    assert await world.phones.requests(event["phone"]) == 0
    moved = await world.http.post(
        f"/api/notifications/{event['eventId']}/reschedule", json={"startsAt": event["startsAt"]}
    )
    assert moved.status_code == 409


async def test_a_send_that_is_late_finds_him_forgotten(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "429", "retryAfter": 2}])
    await world.post(event)
    await world.until(event["eventId"], lambda story: "not_accepted" in str(story["timeline"]))
    await forget(world, event["phone"])
    await world.until(event["eventId"], "suppressed", 20)
    assert await world.phones.texts(event["phone"]) == []


async def test_an_opt_out_outlives_him_and_his_consent_does_not(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    await inbound(world, event["phone"], "STOP", sid(100))
    assert (await forget(world, event["phone"]))["optedOut"]
    records = (await standing(world, event["phone"]))["records"]
    assert [record["status"] for record in records] == ["opted_out"]


async def test_another_contact_of_the_same_alert_is_not_forgotten_with_him(world: World) -> None:
    one, other = world.event()["phone"], world.event()["phone"]
    event = alert(world, one, other)
    await post_alert(world, event)
    await until_texted(world, one)
    await forget(world, one)
    await until_texted(world, other)
    await acknowledge(world, event)


@pytest.mark.parametrize("phone", ["+15558675399"])
async def test_to_forget_somebody_unknown_is_fine(world: World, phone: str) -> None:
    assert await forget(world, phone) == {"phone": "***5399", "events": 0, "optedOut": False}


@asynccontextmanager
async def keeping(
    world: World, *, temporal: Client | None = None, twilio: str | None = None, **keep: Any
) -> AsyncIterator[Purge]:
    """A purge with other times than the worker's, or with another Temporal or Twilio."""
    settings = world.settings.model_copy(update={"twilio_api_base_url": twilio}) if twilio else world.settings
    messages, calls = Messages(settings), Calls(settings)
    times = {"bodies": PerName(None), "numbers": PerName(None), "stories": PerName(None), "redact_after": None}
    try:
        yield Purge(
            PurgeTables(world.database), Erasures(world.database),
            Timeline(world.database), Dispatch(temporal or world.client), messages, calls,
            **times | keep,
        )  # fmt: skip
    finally:
        await messages.close()
        await calls.close()


async def aged(world: World, event: dict[str, Any], days: float) -> None:
    past = datetime.now(UTC) - timedelta(days=days)
    async with world.database.write() as connection:
        await connection.execute(
            update(notifications).where(notifications.c.event_id == event["eventId"]).values(updated_at=past)
        )
        await connection.execute(update(recipients).values(created_at=past, used_at=past))


async def row(world: World, event: dict[str, Any]) -> Any:
    query = select(notifications).where(notifications.c.event_id == event["eventId"])
    async with world.database.read() as connection:
        return (await connection.execute(query)).one()


async def delivered(world: World, days: float) -> dict[str, Any]:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    await world.outcome(event)
    await aged(world, event, days)
    return event


@pytest.fixture
def heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.purge.activity.heartbeat", lambda *_: None)


@pytest.mark.usefixtures("heartbeats")
async def test_bodies_numbers_and_stories_go_each_in_their_time(world: World) -> None:
    old, new = await delivered(world, 31), await delivered(world, 1)
    async with keeping(world, bodies=PerName(30)) as purging:
        await purging.purge()
    assert ((await row(world, old)).sealed_request, (await row(world, new)).sealed_request is None) == (None, False)
    assert (await row(world, old)).masked_phone
    await until_gone(world, old)  # the history had the body too
    async with keeping(world, numbers=PerName(30)) as purging:
        await purging.purge()
    assert ((await row(world, old)).masked_phone, bool((await row(world, new)).masked_phone)) == ("", True)
    assert (await world.story(old["eventId"]))["timeline"]
    async with keeping(world, stories=PerName(30)) as purging:
        await purging.purge()
    assert (await world.story(old["eventId"]))["timeline"] == []
    assert (await world.post(old)).json()["duplicate"]
    assert (await world.story(new["eventId"]))["timeline"]


@pytest.mark.usefixtures("heartbeats")
async def test_a_kind_may_be_kept_for_another_time(world: World) -> None:
    event = await delivered(world, 8)
    for keep, kept in (
        (PerName(30), True),
        (PerName(7, {"order-shipped": 9}), True),
        (PerName(30, {"order-shipped": 7}), False),
    ):
        async with keeping(world, bodies=keep) as purging:
            await purging.purge()
        assert ((await row(world, event)).sealed_request is not None) is kept


@pytest.mark.usefixtures("heartbeats")
async def test_what_is_under_way_is_kept_however_old_it_is(world: World) -> None:
    event = appointment(world, timedelta(days=3), "PT24H")
    await post_appointment(world, event)
    await world.until(event["eventId"], "held")
    await aged(world, event, 500)
    async with keeping(world, bodies=PerName(1), numbers=PerName(1), stories=PerName(1)) as purging:
        await purging.purge()
    found = await row(world, event)
    assert found.sealed_request
    assert found.masked_phone
    async with world.database.read() as connection:
        query = select(recipients).where(recipients.c.recipient_hash == found.recipient_hash)
        assert (await connection.execute(query)).first() is not None


@pytest.mark.usefixtures("heartbeats")
async def test_with_the_last_number_the_key_goes_too(world: World) -> None:
    event = await delivered(world, 100)
    async with world.database.write() as connection:
        await connection.execute(text("UPDATE legs SET claimed_at = '2020-01-01 00:00:00'"))
    async with keeping(world, numbers=PerName(90)) as purging:
        await purging.purge()
    async with world.database.read() as connection:
        query = select(recipients).where(recipients.c.recipient_hash == (await row(world, event)).recipient_hash)
        assert (await connection.execute(query)).first() is None


@pytest.mark.usefixtures("heartbeats")
async def test_twilios_copy_loses_its_body_once(world: World) -> None:
    event = await delivered(world, 2)
    async with keeping(world, redact_after=timedelta(days=1)) as purging:
        assert (await purging.purge()).redacted >= 1
        (message,) = await world.phones.texts(event["phone"])
        assert message["body"] == ""
        assert (await purging.purge()).redacted == 0


@pytest.mark.usefixtures("heartbeats")
async def test_a_copy_that_twilio_will_not_change_keeps_no_other_its_body(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn, other = await delivered(world, 2), await delivered(world, 2)
    [(refused,), _] = [await world.phones.texts(event["phone"]) for event in (stubborn, other)]
    ask = Messages.redact

    async def redact(messages: Messages, sid: str) -> None:
        if sid == refused["sid"]:  # the simulator refuses none
            raise Refused("Cannot delete this resource before it is complete", code=20009, http_status=409)
        await ask(messages, sid)

    monkeypatch.setattr(Messages, "redact", redact)
    async with keeping(world, redact_after=timedelta(days=1)) as purging:
        await purging.purge()
    [(kept,), (emptied,)] = [await world.phones.texts(event["phone"]) for event in (stubborn, other)]
    assert (kept["body"], emptied["body"]) == (refused["body"], "")


@pytest.mark.usefixtures("heartbeats")
async def test_the_copy_of_what_never_got_an_end_loses_its_body_a_day_later(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    await world.until(event["eventId"], "sent")
    async with keeping(world, redact_after=timedelta(days=1)) as purging:
        for days, kept in ((1.9, True), (2.1, False)):
            await aged(world, event, days)
            await purging.purge()
            (message,) = await world.phones.texts(event["phone"])
            assert bool(message["body"]) is kept


async def test_the_text_of_what_is_not_kept_cannot_be_sent_again(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="undelivered")
    await world.post(event)
    await world.until(event["eventId"], "undelivered")
    await forget(world, event["phone"])
    await world.outcome(event)
    await purge(world)
    answer = await world.http.post(f"/api/notifications/{event['eventId']}/resend", json={"reason": "he asks for it"})
    assert (answer.status_code, answer.json()["error"]) == (409, "not_kept")


async def test_who_has_acknowledged_by_reply_is_forgotten_as_well(world: World) -> None:
    phone = world.event()["phone"]
    event = alert(world, phone)
    await post_alert(world, event)
    await until_texted(world, phone)
    await world.phones.reply(phone, "1")
    await world.until(event["eventId"], lambda story: "acknowledged" in str(story["timeline"]))
    assert f"reply from ***{phone[-4:]}" in await everything_in_sql(world)
    await forget(world, phone)
    assert f"reply from ***{phone[-4:]}" not in await everything_in_sql(world)


@pytest.mark.usefixtures("heartbeats")
async def test_who_has_acknowledged_is_kept_as_long_as_numbers_are(world: World) -> None:
    phone = world.event()["phone"]
    event = alert(world, phone)
    await post_alert(world, event)
    await until_texted(world, phone)
    await world.phones.reply(phone, "1")
    await world.until(event["eventId"], lambda story: story["status"] == "delivered" and "reply from" in str(story))
    await aged(world, event, 91)
    async with keeping(world, numbers=PerName(90), stories=PerName(90)) as purging:
        await purging.purge()
    assert f"reply from ***{phone[-4:]}" not in await everything_in_sql(world)


async def unfinished(world: World, phone: str) -> bool:
    who = KeyedHash(world.settings.hash_key).of("recipient", phone)
    return who in {one.recipient_hash for one in await Erasures(world.database).unfinished()}


async def sent_for_ever(world: World, **fields: Any) -> dict[str, Any]:
    """An event of which the carrier says nothing more; its workflow still listens."""
    event = world.event(**fields)
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    await world.until(event["eventId"], lambda story: "callback" in str(story["timeline"]))
    return event


async def test_what_he_agrees_to_afterwards_is_sent_while_the_rest_is_not_forgotten_yet(world: World) -> None:
    before = await sent_for_ever(world)
    await forget(world, before["phone"])
    anew = appointment(
        world, timedelta(days=3), "PT24H", phone=before["phone"], consentAt=datetime.now(UTC).isoformat()
    )
    assert (await post_appointment(world, anew)).json()["status"] == "held"
    await purge(world)
    await purge(world)
    assert await unfinished(world, before["phone"])
    assert (await world.story(anew["eventId"]))["status"] == "held"
    await world.leap(anew)
    await world.until(anew["eventId"], lambda story: story["sid"] is not None)


async def test_what_was_withdrawn_before_does_not_count_again_after(world: World) -> None:
    event = world.event()
    await consent(world, event["phone"], status="revoked")
    await forget(world, event["phone"])
    await world.post(event)  # with the shop's old date
    await world.until(event["eventId"], "suppressed")
    assert await world.phones.requests(event["phone"]) == 0


@pytest.mark.usefixtures("heartbeats")
async def test_what_stays_sent_for_ever_is_forgotten_once_nobody_listens(world: World) -> None:
    event = await sent_for_ever(world)
    await forget(world, event["phone"])
    async with keeping(world) as purging:
        await purging.purge()
        assert await world.run(event["eventId"]) is not None
        assert (await world.outcome(event)).status == "sent"
        await purging.purge()  # Twilio calls it under way, and may still hear of its end
        assert await unfinished(world, event["phone"])
        await aged(world, event, 1.1)
        await purging.purge()
    assert not await unfinished(world, event["phone"])
    assert [entry["what"] for entry in (await world.story(event["eventId"]))["timeline"]] == ["erased"]
    (message,) = await world.phones.texts(event["phone"])
    assert message["body"] == ""


async def test_a_contact_of_the_same_alert_is_told_of_its_end_though_another_was_forgotten(world: World) -> None:
    one, other = world.event()["phone"], world.event()["phone"]
    event = alert(world, one, other)
    await post_alert(world, event)
    await until_texted(world, other)
    await world.outcome(event)
    await forget(world, one)
    await purge(world)
    assert not await unfinished(world, one)
    assert await world.phones.texts(one) == []
    assert len(await world.phones.texts(other)) == 1
    await resolve(world, event)
    assert (await until_texted(world, other, 2))[1].startswith("RESOLVED")


@pytest.mark.usefixtures("heartbeats")
async def test_a_body_is_kept_for_as_long_as_its_history_is(world: World) -> None:
    event = await delivered(world, 31)
    away = await Client.connect(f"127.0.0.1:{free_port()}", lazy=True)
    async with keeping(world, temporal=away, bodies=PerName(30)) as purging:
        with pytest.raises((RPCError, RuntimeError)):
            await purging.purge()
    assert (await row(world, event)).sealed_request
    async with keeping(world, bodies=PerName(30)) as purging:
        assert (await purging.purge()).bodies >= 1
    assert (await row(world, event)).sealed_request is None


@pytest.mark.usefixtures("heartbeats")
async def test_a_body_is_kept_while_its_workflow_is_open(world: World) -> None:
    event = alert(world, world.event()["phone"], acknowledgeWithinSeconds=600)
    await post_alert(world, event)
    await world.until(event["eventId"], "delivered")
    await aged(world, event, 31)
    async with keeping(world, bodies=PerName(30)) as purging:
        await purging.purge()
        assert (await row(world, event)).sealed_request
        await acknowledge(world, event)
        await world.outcome(event)
        await aged(world, event, 31)
        await purging.purge()
    assert (await row(world, event)).sealed_request is None


@pytest.mark.usefixtures("heartbeats")
async def test_a_twilio_that_hangs_keeps_nothing_else_from_its_turn(world: World) -> None:
    forgotten = [await delivered(world, 1) for _ in range(3)]
    old = await delivered(world, 31)
    asked = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", port := free_port()):
        for event in forgotten:
            await Erasures(world.database).erase((await row(world, event)).recipient_hash, "***", "shop")
        async with keeping(world, twilio=f"http://127.0.0.1:{port}", bodies=PerName(30)) as purging:
            purged = await purging.purge()
    assert len(asked) == 1
    assert purged.bodies >= 1
    assert (await row(world, old)).sealed_request is None
    await purge(world)
    assert [await unfinished(world, event["phone"]) for event in forgotten] == [False] * 3


@pytest.mark.usefixtures("heartbeats")
async def test_forgetting_takes_no_more_than_its_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    event = await delivered(world, 1)
    await Erasures(world.database).erase((await row(world, event)).recipient_hash, "***", "shop")
    with monkeypatch.context() as patched:
        patched.setattr("activities.purge.FORGETS_FOR", timedelta(0))
        async with keeping(world) as purging:
            await purging.purge()
    assert await unfinished(world, event["phone"])
    await purge(world)
    assert not await unfinished(world, event["phone"])


class BetweenTheLooks(Interceptor):
    """Does something once, right after a workflow was described."""

    def __init__(self, do: Callable[[], Awaitable[None]]) -> None:
        self.do: Callable[[], Awaitable[None]] | None = do

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002  # the SDK's name
        return _Describing(next, self)


class _Describing(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, between: BetweenTheLooks) -> None:
        super().__init__(following)
        self._between = between

    async def describe_workflow(self, input: DescribeWorkflowInput) -> WorkflowExecutionDescription:  # noqa: A002
        found = await super().describe_workflow(input)
        do, self._between.do = self._between.do, None
        if do is not None:
            await do()
        return found


async def test_a_run_that_begins_meanwhile_is_not_deleted(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="undelivered")
    await world.post(event)
    await world.until(event["eventId"], "undelivered")
    await world.outcome(event)

    async def resend() -> None:
        await world.phones.behave(event["phone"], outcome="sent")
        answer = await world.http.post(
            f"/api/notifications/{event['eventId']}/resend", json={"reason": "the phone is on again"}
        )
        assert answer.status_code == 200, answer.text
        async with asyncio.timeout(10):
            while await listed(world, event) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    config = world.client.config()
    config["interceptors"] = [BetweenTheLooks(resend)]
    assert not await Dispatch(Client(**config)).forget(event["eventId"])
    await world.until(event["eventId"], "sent")
    await asyncio.sleep(1)  # Temporal deletes a little later
    assert (await world.workflow(event["eventId"]).describe()).status is WorkflowExecutionStatus.RUNNING


async def listed(world: World, event: dict[str, Any]) -> int:
    return len([run async for run in world.client.list_workflows(f"WorkflowId = '{event['eventId']}'")])
