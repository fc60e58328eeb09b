"""Who is forgotten, and who is not. On SQLite and on PostgreSQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from notifications.consent import ConsentRecord, ConsentRules, ConsentStatus
from notifications.notification import NotificationRequest
from notifications.per_name import PerName
from store.alerts import Alerts
from store.consents import Consents
from store.database import Database
from store.erasures import BLOTTED, Erasure, Erasures
from store.purge import Purge
from store.schema import consents, legs, notifications, timeline
from store.steps import StepRecords
from store.timeline import Timeline
from store.vault import Vault
from tests.drafts import recipient, request
from tests.gates import RING

HE, SHE = recipient("+15558675310"), recipient("+15558675311")
AN_HOUR = timedelta(hours=1)


@pytest.fixture
def erasures(database: Database) -> Erasures:
    return Erasures(database)


async def told(database: Database, *people: Any, event_id: str = "event-1") -> NotificationRequest:
    """An alert that has come to each of them, in turn."""
    step = request(event_id=event_id, accepted_at=datetime.now(UTC) - AN_HOUR, acknowledge_within=AN_HOUR)
    for number, one in enumerate(people, 1):
        step = step.model_copy(update={"recipient": one, "leg": number, "first_leg": number, "planned": True})
        await StepRecords(database, RING).turn_to(step)
    async with database.write() as connection:
        await connection.execute(update(legs).where(legs.c.event_id == event_id).values(state="accepted"))
        await connection.execute(
            update(notifications).where(notifications.c.event_id == event_id).values(status="delivered")
        )
    return step


async def forget(erasures: Erasures, who: Any) -> Erasure:
    await erasures.erase(who.hash, who.masked, "shop")
    return next(one for one in reversed(await erasures.unfinished()) if one.recipient_hash == who.hash)


async def story(database: Database) -> list[str]:
    async with database.read() as connection:
        return [row.detail or row.what for row in await connection.execute(select(timeline).order_by(timeline.c.id))]


async def row(database: Database) -> Any:
    async with database.read() as connection:
        return (await connection.execute(select(notifications))).one()


async def test_what_he_agreed_to_afterwards_is_none_of_its_business(database: Database, erasures: Erasures) -> None:
    await told(database, HE, event_id="before")
    erasure = await forget(erasures, HE)
    await StepRecords(database, RING).turn_to(request(event_id="after", recipient=HE, planned=True))
    assert [trace.event_id for trace in await erasures.traces(erasure)] == ["before"]


async def test_what_is_wiped_is_not_found_again(database: Database, erasures: Erasures) -> None:
    await told(database, HE)
    erasure = await forget(erasures, HE)
    await erasures.wipe("event-1", HE.hash)
    assert await erasures.traces(erasure) == []
    assert await story(database) == ["the recipient was forgotten"]
    assert (await row(database)).masked_phone == ""


@pytest.mark.parametrize("order", [(HE, SHE), (SHE, HE)])
async def test_others_who_were_told_keep_their_number_and_the_story(
    database: Database, erasures: Erasures, order: tuple[Any, Any]
) -> None:
    await told(database, *order)
    erasure = await forget(erasures, HE)
    await erasures.wipe("event-1", HE.hash)
    assert await erasures.traces(erasure) == []
    assert await Alerts(database, RING).alerted(["event-1"]) == [SHE]
    left = await story(database)
    assert f"sms to {SHE.masked}" in left
    assert "one of its recipients was forgotten" in left
    assert HE.masked not in str(left)
    async with database.read() as connection:
        redacted = await connection.execute(select(legs.c.redacted_at).where(legs.c.recipient_hash == SHE.hash))
        assert redacted.scalar() is None
    found = await row(database)
    assert found.sealed_request is None
    assert found.masked_phone == (SHE.masked if order[-1] is SHE else "***")


async def test_of_two_who_are_forgotten_each_is_wiped_for_himself(database: Database, erasures: Erasures) -> None:
    await told(database, HE, SHE)
    his, hers = await forget(erasures, HE), await forget(erasures, SHE)
    await erasures.wipe("event-1", HE.hash)
    assert [trace.event_id for trace in await erasures.traces(hers)] == ["event-1"]
    await erasures.wipe("event-1", SHE.hash)
    assert await erasures.traces(his) == await erasures.traces(hers) == []


async def test_what_is_kept_of_the_others_goes_in_its_time(database: Database, erasures: Erasures) -> None:
    await told(database, SHE, HE)
    await forget(erasures, HE)
    await erasures.wipe("event-1", HE.hash)
    later = datetime.now(UTC) + timedelta(days=2)
    assert await Purge(database).numbers(PerName(1), later) == 1
    assert await Purge(database).stories(PerName(1), later) == 1
    assert await Alerts(database, RING).alerted(["event-1"]) == []
    assert await story(database) == []


async def test_a_step_that_comes_after_he_was_forgotten_does_not_name_him(
    database: Database, erasures: Erasures
) -> None:
    first = await told(database, SHE)
    assert await erasures.traces(await forget(erasures, HE)) == []
    his = first.model_copy(update={"recipient": HE, "leg": 2, "first_leg": 2})
    await StepRecords(database, RING).turn_to(his)
    record = await Timeline(database).record("event-1")
    assert record is not None
    assert record.masked_phone == "***"
    assert (await story(database))[-1] == "sms to ***"
    opened = RING.decrypt_text((await row(database)).sealed_request)
    assert HE.masked not in opened


async def test_who_is_told_after_he_has_agreed_anew_is_named(database: Database, erasures: Erasures) -> None:
    await forget(erasures, HE)
    await Vault(database, RING).enrol([HE])
    await StepRecords(database, RING).turn_to(request(recipient=HE, planned=True))
    assert (await story(database))[-1] == f"sms to {HE.masked}"


@pytest.mark.parametrize("status", [ConsentStatus.REVOKED, ConsentStatus.LAPSED])
async def test_what_he_has_withdrawn_outlives_him_without_its_words(
    database: Database, erasures: Erasures, status: ConsentStatus
) -> None:
    ledger, now = Consents(database, ConsentRules()), datetime.now(UTC)
    for one, at in ((ConsentStatus.GRANTED, now - AN_HOUR), (status, now)):
        await ledger.add(HE.hash, ConsentRecord("*", one, at, "the form at his door", "shop", wording="words he saw"))
    await ledger.add(SHE.hash, ConsentRecord("*", status, now, "a form", "shop"))
    for _ in range(2):
        await forget(erasures, HE)
    async with database.read() as connection:
        (left,) = await connection.execute(select(consents).where(consents.c.recipient_hash == HE.hash))
        assert await ledger.why_not(connection, HE.hash, "order-updates", now)
    assert (left.status, left.source, left.wording) == (status, BLOTTED, None)
    assert (left.purpose, left.at) == ("*", now)
    assert "door" not in str(left)
    assert "words he saw" not in str(left)
    older = ConsentRecord("*", ConsentStatus.GRANTED, now - 2 * AN_HOUR, "event", "shop")
    await ledger.add(HE.hash, older)
    async with database.read() as connection:
        assert await ledger.why_not(connection, HE.hash, "order-updates", now)
    assert [record.source for record in await ledger.records(SHE.hash)] == ["a form"]


async def test_an_error_code_that_is_told_twice_counts_once_for_who_was_forgotten(
    database: Database, erasures: Erasures
) -> None:
    ledger = Consents(database, ConsentRules())
    record = ConsentRecord("*", ConsentStatus.LAPSED, datetime.now(UTC), "Twilio error 30005", "Twilio")
    await ledger.add(HE.hash, record, reference="30005:SM1")
    await forget(erasures, HE)
    assert not await ledger.add(HE.hash, record, reference="30005:SM1")
