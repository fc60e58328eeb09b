"""What is kept too long goes, all of it or none. On SQLite and on PostgreSQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from notifications.kinds import KINDS
from notifications.per_name import PerName
from notifications.policy import LISTENS_FOR
from notifications.status import DeliveryStatus
from store.cases import NO_ANSWER_AFTER, Cases
from store.database import Database
from store.event_rows import open_event
from store.purge import Purge
from store.schema import notifications, recipients, timeline
from store.vault import Vault
from tests.drafts import recipient, request
from tests.gates import RING

NOW = datetime.now(UTC)
A_DAY = timedelta(days=1)


async def event(database: Database, status: DeliveryStatus, days: float, **values: Any) -> None:
    """One that has been at this status for so many days."""
    async with database.write() as connection:
        await open_event(connection, RING, request(), NOW)
        await connection.execute(update(notifications).values(status=status, updated_at=NOW - days * A_DAY, **values))


async def is_due(database: Database) -> bool:
    cases = Cases(database, RING)
    return bool(await cases.due(quiet_since=NOW - timedelta(minutes=10), now=NOW, at_most=10))


def test_no_kind_is_listened_for_longer_than_the_purge_waits() -> None:
    assert all(kind.policy.listen_for <= LISTENS_FOR for kind in KINDS.values())


@pytest.mark.parametrize("status", [DeliveryStatus.SENT, DeliveryStatus.UNKNOWN])
@pytest.mark.parametrize(("days", "goes"), [(30.9, False), (31.1, True)])
async def test_what_never_gets_an_end_is_not_kept_for_ever(
    database: Database, status: DeliveryStatus, days: float, goes: bool
) -> None:
    await event(database, status, days)
    purge, keep = Purge(database), PerName(30)
    assert await purge.with_bodies(keep, NOW) == (["event-1"] if goes else [])
    assert (await purge.numbers(keep, NOW), await purge.stories(keep, NOW)) == (goes, goes)


@pytest.mark.parametrize("status", [DeliveryStatus.PENDING, DeliveryStatus.HELD, DeliveryStatus.SENDING])
async def test_what_is_still_to_come_is_kept(database: Database, status: DeliveryStatus) -> None:
    await event(database, status, 500)
    assert await Purge(database).numbers(PerName(30), NOW) == 0


@pytest.mark.parametrize("status", [DeliveryStatus.SENT, DeliveryStatus.UNKNOWN])
async def test_what_operators_know_is_not_asked_after_for_ever(database: Database, status: DeliveryStatus) -> None:
    await event(database, status, (NO_ANSWER_AFTER + A_DAY).days, escalated="no_final_status")
    assert not await is_due(database)


@pytest.mark.parametrize(
    ("status", "days", "escalated"),
    [
        (DeliveryStatus.SENT, 5, None),  # nobody knows of it
        (DeliveryStatus.SENT, 3, "no_final_status"),  # it may still come
        (DeliveryStatus.HELD, 5, "not_acknowledged"),  # its next step waits
        (DeliveryStatus.PENDING, 5, "not_accepted"),
    ],
)
async def test_everything_else_without_an_end_is_looked_after(
    database: Database, status: DeliveryStatus, days: float, escalated: str | None
) -> None:
    await event(database, status, days, escalated=escalated)
    assert await is_due(database)


@pytest.mark.parametrize(("what", "table"), [("stories", "webhooks"), ("numbers", "alerts")])
async def test_a_purge_that_breaks_off_has_done_nothing(database: Database, what: str, table: str) -> None:
    await event(database, DeliveryStatus.DELIVERED, 31)
    step = getattr(Purge(database), what)
    async with database.write() as connection:
        await connection.execute(text(f"ALTER TABLE {table} RENAME TO elsewhere"))
    try:
        with pytest.raises(SQLAlchemyError):
            await step(PerName(30), NOW)
    finally:
        async with database.write() as connection:
            await connection.execute(text(f"ALTER TABLE elsewhere RENAME TO {table}"))
    assert await step(PerName(30), NOW) == 1
    async with database.read() as connection:
        lines = (await connection.execute(select(func.count()).select_from(timeline))).scalar_one()
        masked = (await connection.execute(select(notifications.c.masked_phone))).scalar_one()
    assert (lines == 0) is (what == "stories")
    assert (masked == "") is (what == "numbers")


async def keyed(database: Database, days: float) -> None:
    """A key that is so old, and has not been used since."""
    await Vault(database, RING).enrol([recipient()])
    past = NOW - days * A_DAY
    async with database.write() as connection:
        await connection.execute(update(recipients).values(created_at=past, used_at=past))


async def test_a_key_that_nobody_has_used_goes(database: Database) -> None:
    await keyed(database, 92)
    assert await Purge(database).cards(PerName(90), NOW) == 1


async def test_an_old_key_that_an_event_was_sealed_with_stays_until_its_step_comes(database: Database) -> None:
    await keyed(database, 500)
    sealed = await Vault(database, RING).seal(request())  # SQL knows nothing else of it yet
    assert await Purge(database).cards(PerName(90), NOW) == 0
    assert await Vault(database, RING).open(sealed.body) == "hello"


async def test_to_be_used_is_written_down_once_a_day(database: Database) -> None:
    await keyed(database, 0.5)
    await Vault(database, RING).seal(request())
    async with database.read() as connection:
        assert (await connection.execute(select(recipients.c.used_at))).scalar_one() == NOW - A_DAY / 2


async def test_a_key_is_not_destroyed_between_its_use_and_the_next_note_of_it(database: Database) -> None:
    """With the shortest time that can be set."""
    await keyed(database, 1.5)
    assert await Purge(database).cards(PerName(1), NOW) == 0
