"""The last guard: a leg is granted once. On SQLite and on PostgreSQL."""

import asyncio

import pytest

from notifications.notification import CarrierReport, Leg, NotificationRequest
from notifications.status import DeliveryStatus, from_twilio
from store.database import Database
from store.ledger import Ledger, LegState
from store.timeline import Entry, Timeline
from tests.drafts import request
from tests.gates import RING, ledger_of

SID, OTHER_SID = "SM" + "a" * 32, "SM" + "b" * 32


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return ledger_of(database)


@pytest.fixture
def timeline(database: Database) -> Timeline:
    return Timeline(database)


def leg(event_id: str = "event-1", number: int = 1) -> Leg:
    return Leg(request=request(event_id=event_id), number=number)


def report(status: str, sid: str = SID, error_code: int | None = None) -> CarrierReport:
    ours = from_twilio(status)
    assert ours is not None
    return CarrierReport(sid=sid, carrier_status=status, status=ours, error_code=error_code)


async def test_of_many_claims_at_once_one_is_granted(ledger: Ledger) -> None:
    claims = await asyncio.gather(*(ledger.claim(leg(), f"run/{n}", n) for n in range(20)))
    assert [claim.granted for claim in claims].count(True) == 1


async def test_a_claim_that_was_never_settled_is_not_granted_again(ledger: Ledger) -> None:
    await ledger.claim(leg(), "run-1/1", 1)
    again = await ledger.claim(leg(), "run-2/1", 1)
    assert (again.granted, again.state) == (False, LegState.CLAIMED)


async def test_a_repeated_call_of_the_same_attempt_is_not_granted_either(ledger: Ledger) -> None:
    await ledger.claim(leg(), "run-1/1", 1)
    assert not (await ledger.claim(leg(), "run-1/1", 1)).granted


async def test_each_leg_is_granted_for_itself(ledger: Ledger) -> None:
    assert (await ledger.claim(leg(number=1), "run/1", 1)).granted
    assert (await ledger.claim(leg(number=2), "run/1", 1)).granted


async def test_an_accepted_leg_answers_with_its_sid(ledger: Ledger) -> None:
    await ledger.claim(leg(), "run-1/1", 1)
    await ledger.accepted(leg(), SID, "queued", Entry("sent", sid=SID))
    again = await ledger.claim(leg(), "run-2/1", 1)
    assert (again.granted, again.state, again.sid) == (False, LegState.ACCEPTED, SID)


async def test_a_released_leg_is_granted_once_more(ledger: Ledger) -> None:
    await ledger.claim(leg(), "run/1", 1)
    await ledger.not_sent(leg(), LegState.RELEASED, Entry("not_accepted"))
    claims = await asyncio.gather(*(ledger.claim(leg(), f"run/{n}", n) for n in range(2, 12)))
    assert [claim.granted for claim in claims].count(True) == 1


async def test_a_leg_in_doubt_is_granted_after_a_look_up_only(ledger: Ledger) -> None:
    await ledger.claim(leg(), "run/1", 1)
    await ledger.not_sent(leg(), LegState.IN_DOUBT, Entry("server_error"))
    assert not (await ledger.claim(leg(), "run/2", 2)).granted
    assert (await ledger.claim_after_look_up(leg(), "run/2", 2)).granted
    assert not (await ledger.claim_after_look_up(leg(), "run/3", 3)).granted


@pytest.mark.parametrize("state", [LegState.UNKNOWN, LegState.REFUSED])
async def test_an_unknown_or_refused_leg_is_never_granted_again(ledger: Ledger, state: LegState) -> None:
    await ledger.claim(leg(), "run/1", 1)
    if state is LegState.REFUSED:
        await ledger.refused(leg(), Entry("refused", error_code=21610))
    else:
        await ledger.not_sent(leg(), state, Entry("unknown"))
    assert not (await ledger.claim(leg(), "run/2", 2)).granted
    assert not (await ledger.claim_after_look_up(leg(), "run/2", 2)).granted


async def test_a_callback_names_the_sid_of_a_claimed_leg(ledger: Ledger, timeline: Timeline) -> None:
    await ledger.claim(leg(), "run/1", 1)
    await timeline.callback("event-1", report("sent"), Entry("callback", sid=SID))
    await ledger.not_sent(leg(), LegState.UNKNOWN, Entry("unknown"))  # our own answer was lost
    found = await ledger.look(leg())
    assert found is not None
    assert (found.state, found.sid) == (LegState.ACCEPTED, SID)


async def test_a_message_belongs_to_one_event(ledger: Ledger) -> None:
    for event_id in ("event-1", "event-2"):
        await ledger.claim(leg(event_id), "run/1", 1)
    assert await ledger.accepted(leg("event-1"), SID, "queued", Entry("sent", sid=SID))
    assert not await ledger.accepted(leg("event-2"), SID, "queued", Entry("found", sid=SID))
    assert await ledger.owner(SID) == "event-1"


async def test_an_early_callback_is_not_undone_by_the_answer(ledger: Ledger, timeline: Timeline) -> None:
    await ledger.claim(leg(), "run/1", 1)
    await timeline.callback("event-1", report("delivered"), Entry("callback", sid=SID))
    await ledger.accepted(leg(), SID, "queued", Entry("sent", sid=SID))
    record = await timeline.record("event-1")
    assert record is not None
    assert (record.status, record.sid) == (DeliveryStatus.DELIVERED, SID)
    late = await timeline.callback("event-1", report("sent"), Entry("callback", sid=SID))
    assert not late.counted


async def test_a_second_message_for_one_leg_is_noticed(ledger: Ledger, timeline: Timeline) -> None:
    await ledger.claim(leg(), "run/1", 1)
    await ledger.accepted(leg(), SID, "queued", Entry("sent", sid=SID))
    second = await timeline.callback("event-1", report("delivered", OTHER_SID), Entry("callback", sid=OTHER_SID))
    assert (second.second_sid, second.counted) == (True, False)
    record = await timeline.record("event-1")
    assert record is not None
    assert (record.status, record.sid) == (DeliveryStatus.SENT, SID)


async def test_a_callback_without_an_event_is_found_by_its_sid(ledger: Ledger, timeline: Timeline) -> None:
    await ledger.claim(leg(), "run/1", 1)
    await ledger.accepted(leg(), SID, "queued", Entry("sent", sid=SID))
    recorded = await timeline.callback(None, report("delivered"), Entry("callback", sid=SID))
    assert (recorded.event_id, recorded.counted) == ("event-1", True)


async def test_a_callback_of_an_unknown_message_is_kept(timeline: Timeline) -> None:
    recorded = await timeline.callback(None, report("delivered", OTHER_SID), Entry("callback", sid=OTHER_SID))
    assert (recorded.event_id, recorded.counted) == (None, False)


async def test_callbacks_at_once_count_once(ledger: Ledger, timeline: Timeline) -> None:
    await ledger.claim(leg(), "run/1", 1)
    callbacks = (timeline.callback("event-1", report("delivered"), Entry("callback", sid=SID)) for _ in range(10))
    assert [recorded.counted for recorded in await asyncio.gather(*callbacks)].count(True) == 1
    assert len([entry for entry in await timeline.story("event-1") if entry.what == "callback"]) == 10


async def test_number_and_body_are_in_no_row_in_clear(ledger: Ledger, database: Database) -> None:
    await ledger.claim(leg(), "run/1", 1)
    async with database.read() as connection:
        for table in ("notifications", "legs", "timeline"):
            rows = (await connection.exec_driver_sql(f"SELECT * FROM {table}")).fetchall()
            assert rows
            assert "8675310" not in str(rows)
            assert "has shipped" not in str(rows)
        sealed = (await connection.exec_driver_sql("SELECT sealed_request FROM notifications")).scalar_one()
    assert NotificationRequest.model_validate_json(RING.decrypt_text(sealed)).recipient.phone == "+15558675310"
