"""Pumping is found, held, and decided on, on both databases."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from notifications.caps import parse_caps
from notifications.consent import ConsentRules
from notifications.notification import Leg
from privacy.encryption import KeyedHash
from store.consents import Consents
from store.database import Database
from store.gate import Gate
from store.held_ranges import RELEASED_FOR, Decision, HeldRanges
from store.ledger import Claim, Ledger, LegState
from store.schema import held_ranges, legs
from store.timeline import Timeline
from store.vault import Vault
from tests.drafts import request
from tests.gates import RING


def ranges_of(database: Database, limit: str | None = "3/10m") -> HeldRanges:
    return HeldRanges(database, RING, KeyedHash(b"key"), parse_caps(limit)[0] if limit else None)


class Range:
    """Texts to numbers of one range, and of another."""

    def __init__(self, database: Database, limit: str | None = "3/10m") -> None:
        self.ranges = ranges_of(database, limit)
        gate = Gate(Vault(database, RING), Consents(database, ConsentRules()), ranges=self.ranges)
        self.ledger = Ledger(database, RING, gate)
        self.attempts = 0

    async def claim(self, number: int, begins: str = "+1555867") -> Claim:
        self.attempts += 1
        leg = Leg(request=request(f"{begins}{number:04}", event_id=f"order{begins}-{number}"))
        return await self.ledger.claim(leg, f"run/{self.attempts}", 1)


async def test_more_numbers_of_one_range_than_allowed_are_held(database: Database) -> None:
    texts = Range(database)
    found = [await texts.claim(number) for number in range(5)]
    assert [claim.granted for claim in found] == [True, True, True, False, False]
    assert {claim.state for claim in found[3:]} == {LegState.RELEASED}
    assert (await texts.claim(1, "+1555999")).granted
    (held,) = await texts.ranges.all()
    assert (held.digits, held.country, held.decision, held.waiting) == ("+1555867", "US", None, 2)


async def test_one_number_texted_often_is_no_pumping(database: Database) -> None:
    texts = Range(database, "1/10m")
    for number in range(4):
        leg = Leg(request=request("+15558671234", event_id=f"order-{number}"))
        assert (await texts.ledger.claim(leg, "run/1", 1)).granted


async def test_numbers_of_long_ago_do_not_count(database: Database) -> None:
    texts = Range(database, "1/10m")
    await texts.claim(1)
    async with database.write() as connection:
        await connection.execute(update(legs).values(claimed_at=datetime.now(UTC) - timedelta(minutes=11)))
    assert (await texts.claim(2)).granted


async def test_what_is_held_says_so_once_and_names_one_alarm(database: Database) -> None:
    texts = Range(database, "1/10m")
    await texts.claim(1)
    first, again, other = await texts.claim(2), await texts.claim(2), await texts.claim(3)
    assert first.alarm is not None
    assert (again.alarm, other.alarm) == (None, first.alarm)
    story = await Timeline(database).story("order+1555867-2")
    assert [entry.what for entry in story] == ["requested", "held"]
    assert "heliograph ranges" in str(story[-1].detail)


async def test_released_it_leaves_and_blocked_it_does_not(database: Database) -> None:
    texts = Range(database, "1/10m")
    await texts.claim(1)
    await texts.claim(2)
    (held,) = await texts.ranges.all()
    assert await texts.ranges.decide(held.id, Decision.RELEASE, "ops")
    assert (await texts.claim(2)).granted
    assert (await texts.claim(3)).granted
    assert await texts.ranges.decide(held.id, Decision.BLOCK, "ops")
    assert (await texts.claim(4)).forbidden == "its range of numbers was blocked by ops"
    (decided,) = await texts.ranges.all()
    assert (decided.decision, decided.decided_by, decided.waiting) == (Decision.BLOCK, "ops", 0)


async def test_a_release_does_not_last_for_ever(database: Database) -> None:
    texts = Range(database, "1/10m")
    await texts.claim(1)
    await texts.claim(2)
    (held,) = await texts.ranges.all()
    await texts.ranges.decide(held.id, Decision.RELEASE, "ops")
    long_ago = datetime.now(UTC) - RELEASED_FOR - timedelta(seconds=1)
    async with database.write() as connection:
        await connection.execute(update(held_ranges).values(decided_at=long_ago))
    assert not (await texts.claim(3)).granted


async def test_nothing_is_held_where_it_is_switched_off(database: Database) -> None:
    texts = Range(database, None)
    assert all([(await texts.claim(number)).granted for number in range(5)])
    assert not await texts.ranges.decide("0" * 32, Decision.BLOCK, "ops")


async def test_no_row_tells_the_range_in_clear(database: Database) -> None:
    texts = Range(database, "1/10m")
    await texts.claim(1)
    await texts.claim(2)
    async with database.read() as connection:
        row = (await connection.execute(select(held_ranges))).one()
    assert "1555867" not in str(row)
