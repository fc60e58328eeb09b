"""Budgets of callers and countries in segments, on both databases."""

import asyncio

from notifications.notification import Leg
from notifications.per_name import PerName
from notifications.plan import Channel
from store.caps import SendLimits
from store.database import Database
from store.ledger import Claim
from store.timeline import Timeline
from tests.drafts import request
from tests.gates import ledger_of

LONG = "x" * 161  # two segments


async def claims(database: Database, limits: SendLimits, *requests: object) -> list[Claim]:
    ledger = ledger_of(database, limits)
    return [await ledger.claim(Leg(request=one), "run/1", 1) for one in requests]


async def test_a_callers_budget_is_hard(database: Database) -> None:
    some = [request(f"+1555000000{number}", event_id=f"order-{number}") for number in range(3)]
    found = await claims(database, SendLimits(per_caller=PerName(2)), *some)
    assert [claim.granted for claim in found] == [True, True, False]
    assert found[2].forbidden == "CALLER_BUDGET: today's 2 segments of shop are used up (UTC)"
    record = await Timeline(database).record("order-2")
    assert record is not None
    assert record.status == "suppressed"


async def test_segments_count_and_a_shorter_text_still_finds_room(database: Database) -> None:
    long, longer, short = (
        request(event_id=name, body=body) for name, body in (("long", LONG), ("longer", LONG), ("short", "hello"))
    )
    found = await claims(database, SendLimits(per_caller=PerName(3)), long, longer, short)
    assert [claim.granted for claim in found] == [True, False, True]


async def test_a_call_counts_as_one(database: Database) -> None:
    call = request(event_id="call", body=LONG, channel=Channel.VOICE)
    (claim,) = await claims(database, SendLimits(per_caller=PerName(1)), call)
    assert claim.granted


async def test_callers_and_countries_may_have_budgets_of_their_own(database: Database) -> None:
    limits = SendLimits(per_caller=PerName(0, {"shop": 9}), per_country=PerName(None, {"US": 1}))
    found = await claims(database, limits, request(event_id="one"), request(event_id="two"))
    assert found[0].granted
    assert found[1].forbidden == "COUNTRY_BUDGET: today's 1 segments of US are used up (UTC)"
    (other,) = await claims(database, limits, request(event_id="three", caller="other"))
    assert other.forbidden is not None


async def test_what_one_budget_forbids_is_given_back_to_the_other(database: Database) -> None:
    limits = SendLimits(per_caller=PerName(1), per_country=PerName(2))
    found = await claims(database, limits, *(request(event_id=f"shop-{number}") for number in range(3)))
    assert [claim.granted for claim in found] == [True, False, False]
    (other,) = await claims(database, limits, request(event_id="other", caller="other"))
    assert other.granted  # the country's second segment was not lost to the shop's vain tries


async def test_of_many_at_once_as_many_pass_as_there_is_room_for(database: Database) -> None:
    ledger = ledger_of(database, SendLimits(per_caller=PerName(5)))
    some = [Leg(request=request(f"+155500000{number:02}", event_id=f"order-{number}")) for number in range(20)]
    found = await asyncio.gather(*(ledger.claim(leg, "run/1", 1) for leg in some))
    assert [claim.granted for claim in found].count(True) == 5


async def test_every_text_over_a_budget_names_the_same_alarm(database: Database) -> None:
    found = await claims(
        database, SendLimits(per_caller=PerName(0)), request(event_id="one"), request("+15550000002", event_id="two")
    )
    assert found[0].alarm is not None
    assert found[0].alarm == found[1].alarm
