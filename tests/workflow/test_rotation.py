"""Payload keys are replaced under way: the new one encrypts, the old one opens until nothing needs it any more."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from devstack.stack import TEMPORAL_FLAGS, Ports, Stack
from doctor import Finding, Verdict, examine
from engine import connect
from notifications.notification import NotificationRequest
from privacy.encryption import KeyRing
from privacy.sealing import RecipientKey, seal_without_recipient, tokens
from settings import Settings
from store.cases import Cases
from store.database import Database
from store.event_rows import open_event, sealed_recipient
from store.rekey import AT_ONCE, SEALED, Rekey, Rekeyed
from store.schema import held_ranges, legs, metadata, notifications, recipients
from tests.conftest import LEAPING
from tests.drafts import request
from tests.workflow.test_forgetting import payloads_of
from tests.workflow.test_reminders import appointment
from tests.workflow.test_reminders import post as post_appointment
from tests.world import Phones, World, bootstrapped, living, settings_for

A = "a:" + base64.b64encode(b"a" * 32).decode()
B = "b:" + base64.b64encode(b"b" * 32).decode()
OLD, NEW = KeyRing({"a": b"a" * 32}), KeyRing({"b": b"b" * 32, "a": b"a" * 32})
ONLY_NEW = KeyRing({"b": b"b" * 32})


@dataclass
class House:
    """Temporal, the simulator and a database that outlive the processes of ours."""

    stack: Stack
    data: Path
    phones: Phones

    @asynccontextmanager
    async def living(self, keys: str) -> AsyncIterator[World]:
        """API and worker, started with these keys."""
        settings = self.settings(keys)
        client = await connect(settings)
        await bootstrapped(settings, client)
        async with living(settings, client, self.phones) as world:
            yield world

    def settings(self, keys: str) -> Settings:
        return settings_for(
            self.data,
            payload_keys=keys,
            port=self.stack.ports.api,
            temporal_address=f"127.0.0.1:{self.stack.ports.temporal}",
            simulator_port=self.stack.ports.simulator,
        )

    async def doctor(self, keys: str) -> dict[str, Finding]:
        return {finding.what: finding async for finding in examine(self.settings(keys))}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    stack = Stack(Ports.free(), tmp_path / "stack", {}, temporal_flags=(*TEMPORAL_FLAGS, *LEAPING))
    stack.data.mkdir()
    try:
        await asyncio.to_thread(stack.start_temporal)
        await asyncio.to_thread(stack.start_simulator)
        phones = Phones(stack.simulator_url)
        yield House(stack, tmp_path / "data", phones)
        await phones.close()
    finally:
        await asyncio.to_thread(stack.stop)


async def keys_of(world: World, event: dict[str, Any]) -> set[str]:
    events = (await world.workflow(event["eventId"]).fetch_history()).events
    payloads = [payload for event in events for payload in payloads_of(event)]
    return {one.metadata["encryption-key-id"].decode() for one in payloads if "encryption-key-id" in one.metadata}


async def on_its_way(world: World, **fields: Any) -> dict[str, Any]:
    """A text of which nothing has been heard yet."""
    event = world.event(**fields)
    await world.phones.behave(event["phone"], finalAfter=600)
    await world.post(event)
    await world.until(event["eventId"], "sent")
    return event


async def rekeyed(house: House, keys: str) -> Rekeyed:
    settings = house.settings(keys)
    database = Database(settings.database)
    try:
        return await Rekey(database, KeyRing(settings.encryption_keys)).run()
    finally:
        await database.close()


async def forgotten_by_temporal(world: World, event: dict[str, Any]) -> None:
    """Every run of an event, as retention does it in time."""
    runs = f"WorkflowId = '{event['eventId']}'"
    async for run in world.client.list_workflows(runs):
        await world.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=world.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id),
            )
        )
    async with asyncio.timeout(20):
        while (await world.client.count_workflows(runs)).count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def sealed_texts(database: Database) -> dict[str, str]:
    """Every text in a column that is sealed under the ring, by its place."""
    async with database.read() as connection:
        return {
            f"{column} {row[:-1]}": str(row[-1])
            for column, key in SEALED
            for row in await connection.execute(select(*key, column).where(column.is_not(None)))
        }


async def test_a_key_is_replaced_under_way_and_the_old_one_is_told_of_until_nothing_needs_it(house: House) -> None:
    async with house.living(A) as world:
        old = await on_its_way(world)
        held = appointment(world, timedelta(days=3), "PT24H")
        await post_appointment(world, held)
    async with house.living(f"{B},{A}") as world:
        await world.phones.move((await world.story(old["eventId"]))["sid"], "delivered")
        await world.until(old["eventId"], "delivered")
        new = world.event()
        await world.post(new)
        await world.until(new["eventId"], "delivered")
        assert (await keys_of(world, old), await keys_of(world, new)) == ({"a", "b"}, {"b"})
        before = await house.doctor(f"{B},{A}")
        assert {before[what].verdict for what in ("keys in SQL", "keys in Temporal")} == {Verdict.WARNING}
        assert (await rekeyed(house, f"{B},{A}")).resealed == 4  # two requests, two recipients' keys
        after = await house.doctor(f"{B},{A}")
        assert (after["keys in SQL"].verdict, after["keys in Temporal"].says) == (Verdict.GOOD, "b, a")
        times = {"startsAt": held["startsAt"]}
        moved = await world.http.post(f"/api/notifications/{held['eventId']}/reschedule", json=times)
        assert moved.status_code == 200
        for event in (old, held):
            await forgotten_by_temporal(world, event)
    last = await house.doctor(B)
    assert {last[what].verdict for what in ("keys in SQL", "keys in Temporal")} == {Verdict.GOOD}
    async with house.living(B) as world:
        assert (await world.post(old)).json()["duplicate"]
        assert (await world.story(old["eventId"]))["status"] == "delivered"


async def test_a_key_that_is_taken_out_too_early_is_named_and_nothing_is_lost(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.living(A) as world:
        old, held = await on_its_way(world), appointment(world, timedelta(days=3), "PT24H")
        await post_appointment(world, held)
    reschedule = f"/api/notifications/{held['eventId']}/reschedule", {"startsAt": held["startsAt"]}
    async with house.living(B) as world:
        answer = await world.http.post(reschedule[0], json=reschedule[1])
        assert (answer.status_code, answer.json()["error"]) == (503, "cannot_be_decrypted")
        assert "payload key 'a' is not in PAYLOAD_KEYS" in answer.json()["detail"]
        await world.phones.move((await world.story(old["eventId"]))["sid"], "delivered")
        new = world.event()
        await world.post(new)
        await world.until(new["eventId"], "delivered")
        found = await house.doctor(B)
        for what in ("keys in SQL", "keys in Temporal"):
            assert (found[what].verdict, found[what].do) == (Verdict.BAD, "put a back into PAYLOAD_KEYS")
        assert (await rekeyed(house, B)).unreadable == {"a": 4}
        assert "payload key 'a' is not in PAYLOAD_KEYS" in caplog.text
    async with house.living(f"{B},{A}") as world:
        await world.until(old["eventId"], "delivered", 60)
        assert (await world.http.post(reschedule[0], json=reschedule[1])).status_code == 200


async def test_all_that_sql_has_sealed_is_sealed_again(database: Database) -> None:
    await filled(database, rows=AT_ONCE + 3)
    before = await sealed_texts(database)
    assert await Rekey(database, NEW).in_use() == {"a": len(before)}
    done = await Rekey(database, NEW).run()
    assert (done.looked_at, done.resealed, done.unreadable) == (len(before), len(before), {})
    after = await sealed_texts(database)
    assert await Rekey(database, NEW).in_use() == {"b": len(before)}
    opened = NotificationRequest.model_validate_json(
        ONLY_NEW.decrypt_text(after["notifications.sealed_request ('e0',)"])
    )
    (inside,) = tokens(opened.body).values()  # sealed under the ring once more
    assert ONLY_NEW.decrypt(inside.key_id, inside.sealed).decode() == "a text without a key of its own"
    for place, sealed in before.items():
        if "sealed_request" not in place:
            assert ONLY_NEW.decrypt_text(after[place]) == OLD.decrypt_text(sealed)
    assert (await Rekey(database, NEW).run()).resealed == 0


async def test_what_is_erased_or_written_meanwhile_is_left_as_it_is(database: Database) -> None:
    await filled(database, rows=2)
    erased = update(notifications).where(notifications.c.event_id == "e0").values(sealed_request=None)
    async with database.write() as connection:
        await connection.execute(erased)
        resealing = asyncio.create_task(Rekey(database, NEW).run())
        await asyncio.sleep(0.5)  # it has read the row as it was, where the database lets it
    assert (await resealing).resealed == 7
    async with database.read() as connection:
        row = (await connection.execute(select(notifications).where(notifications.c.event_id == "e0"))).one()
    assert row.sealed_request is None


async def test_what_no_key_opens_does_not_keep_others_from_being_looked_after(database: Database) -> None:
    await filled(database, rows=1)
    now = datetime.now(UTC)
    async with database.write() as connection:
        await open_event(connection, NEW, request(event_id="readable"), now)
    due = await Cases(database, ONLY_NEW).due(quiet_since=now + timedelta(hours=1), now=now, at_most=10)
    assert [case.event_id for case in due] == ["readable"]


def test_no_sealed_column_is_left_out() -> None:
    sealed = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name.startswith("sealed_")
    }
    assert {str(column) for column, _ in SEALED} == sealed - {"recipients.sealed_phone"}


async def filled(database: Database, rows: int) -> None:
    """Everything under the old key, as many of each as `rows`."""
    now = datetime.now(UTC)
    body = seal_without_recipient(OLD, "a text without a key of its own")
    async with database.write() as connection:
        for number in range(rows):
            asked = request(event_id=f"e{number}", body=body, acknowledge_within=timedelta(minutes=3))
            await open_event(connection, OLD, asked, now)
            await connection.execute(
                insert(legs).values(
                    event_id=f"e{number}", number=1, state="released", claim="c", claimed_at=now, looks=0, capped=False,
                    sealed_recipient=sealed_recipient(OLD, asked),
                )
            )  # fmt: skip
            key, sealed_key = RecipientKey.new(OLD)
            await connection.execute(
                insert(recipients).values(
                    recipient_hash=str(number), key_id=key.id, sealed_key=sealed_key, sealed_phone=key.seal("+1"),
                    created_at=now, used_at=now,
                )
            )  # fmt: skip
            await connection.execute(
                insert(held_ranges).values(
                    range_hash=str(number), country="US", sealed_range=OLD.encrypt_text("+1555867"), since=now
                )
            )
