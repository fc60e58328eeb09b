"""Who ordered what: added, never changed, without anything personal. On SQLite and on PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from notifications.notification import Recipient
from privacy.encryption import KeyRing
from store.audit import Action, Audit, Order
from store.database import Database
from store.erasures import Erasures
from store.schema import audit
from store.vault import Vault
from tests.drafts import recipient, request
from tests.gates import RING, ledger_of


def order(**fields: Any) -> Order:
    return Order(**{"caller": "ops", "key_id": "9f86d081", "action": Action.CANCEL, "event_id": "event-1"} | fields)


def log_of(database: Database, ring: KeyRing = RING) -> Audit:
    return Audit(database, Vault(database, ring))


async def test_an_order_is_there_before_what_came_of_it(database: Database) -> None:
    log, begin = log_of(database), datetime.now(UTC)
    number = await log.ordered(order(detail="forced"))
    (entry,) = await log.entries(since=None, event_id="event-1", limit=10)
    assert (entry.id, entry.order, entry.result, entry.ended_at) == (number, order(detail="forced"), None, None)
    await log.ended(number, "too_late")
    (entry,) = await log.entries(since=None, event_id="event-1", limit=10)
    assert entry.result == "too_late"
    assert entry.ended_at is not None
    assert begin <= entry.at <= entry.ended_at <= datetime.now(UTC)


async def test_what_came_of_an_order_is_said_once(database: Database) -> None:
    log = log_of(database)
    number = await log.ordered(order())
    await log.ended(number, "done")
    with pytest.raises(IntegrityError):
        await log.ended(number, "too_late")
    with pytest.raises(IntegrityError):
        await log.ended(number + 1, "done")
    (entry,) = await log.entries(since=None, event_id=None, limit=10)
    assert entry.result == "done"


async def test_the_latest_or_the_first_since_a_moment_the_oldest_first(database: Database) -> None:
    log = log_of(database)
    numbers = [await log.ordered(order(event_id=f"event-{place}")) for place in range(5)]
    latest = await log.entries(since=None, event_id=None, limit=2)
    assert [entry.id for entry in latest] == numbers[3:]
    every = await log.entries(since=datetime.now(UTC) - timedelta(hours=1), event_id=None, limit=10)
    assert [entry.id for entry in every] == numbers
    first = await log.entries(since=every[1].at, event_id=None, limit=2)
    assert [entry.id for entry in first] == numbers[1:3]
    assert await log.entries(since=datetime.now(UTC), event_id=None, limit=10) == []


async def test_an_action_of_another_version_is_read_as_it_stands(database: Database) -> None:
    log = log_of(database)
    await log.ordered(order(action="release"))
    (entry,) = await log.entries(since=None, event_id=None, limit=10)
    assert entry.order.action == "release"


async def test_many_orders_at_once_are_all_there(database: Database) -> None:
    log = log_of(database)

    async def one() -> None:
        await log.ended(await log.ordered(order()), "done")

    await asyncio.gather(*(one() for _ in range(30)))
    entries = await log.entries(since=None, event_id="event-1", limit=100)
    assert [entry.result for entry in entries] == ["done"] * 30


async def test_of_a_recipient_the_hash_is_kept_and_the_masked_number_ends_with_his_key(database: Database) -> None:
    log, vault = log_of(database), Vault(database, RING)
    person: Recipient = recipient("+15558675310")
    await vault.enrol([person])
    await log.ordered(order(action=Action.CONSENT, event_id=None, recipient_hash=person.hash, detail="granted"))
    await log.ordered(order(action=Action.ERASE, event_id=None, recipient_hash=person.hash))
    before = await log.entries(since=None, event_id=None, limit=10)
    assert [entry.masked_phone for entry in before] == ["***5310", "***5310"]
    await Erasures(database).erase(person.hash, person.masked, "ops")
    after = await log.entries(since=None, event_id=None, limit=10)
    assert [(entry.order.recipient_hash, entry.masked_phone) for entry in after] == [(person.hash, None)] * 2
    async with database.read() as connection:
        assert "***" not in str((await connection.execute(audit.select())).all())


async def test_the_id_of_an_event_is_kept_as_it_is_and_what_is_none_is_masked(database: Database) -> None:
    known = "order:20261124120000"  # digits enough for a phone number
    await ledger_of(database).open(request(event_id=known))
    log = log_of(database)
    await log.ordered(order(event_id=known))
    await log.ordered(order(event_id="15558675310"))
    entries = await log.entries(since=None, event_id=None, limit=10)
    assert [entry.order.event_id for entry in entries] == [known, "***5310"]
