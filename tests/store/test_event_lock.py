"""Whoever changes an event waits for its lock with nothing else in his hands: nobody can wait for him meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text

from store.database import Database
from store.erasures import Erasures
from store.event_lock import lock_event
from store.ledger import LegState
from store.resends import Resends
from store.schema import legs
from store.steps import StepRecords
from store.timeline import Entry, Timeline
from tests.drafts import request
from tests.gates import RING, ledger_of
from tests.store.test_ledger import SID, leg, report

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

HIS = leg().request.recipient
CHANGES: dict[str, Callable[[Database], Awaitable[object]]] = {
    "a claim": lambda database: ledger_of(database).claim(leg(), "run/2", 2),
    "a claim after a look-up": lambda database: ledger_of(database).claim_after_look_up(leg(), "run/2", 2),
    "an acceptance": lambda database: ledger_of(database).accepted(leg(), SID, "queued", Entry("sent", sid=SID)),
    "a refusal": lambda database: ledger_of(database).refused(leg(), Entry("refused", error_code=21211)),
    "no acceptance": lambda database: ledger_of(database).not_sent(leg(), LegState.UNKNOWN, Entry("unknown")),
    "a callback": lambda database: Timeline(database).callback("event-1", report("delivered"), Entry("callback")),
    "an operator's order": lambda database: Resends(database).order("event-1", caller="o", reason="r", force=True),
    "a further step": lambda database: StepRecords(database, RING).turn_to(request(planned=True, leg=1)),
    "forgetting him": lambda database: Erasures(database).erase(HIS.hash, HIS.masked, "shop"),
    "wiping it": lambda database: Erasures(database).wipe("event-1", HIS.hash),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_who_waits_for_the_event_holds_no_leg(database: Database, change: str) -> None:
    await ledger_of(database).open(leg().request)
    await ledger_of(database).claim(leg(), "run/1", 1)
    await ledger_of(database).not_sent(leg(), LegState.IN_DOUBT, Entry("server_error"))
    async with database.write() as holder:
        await lock_event(holder, "event-1")
        changing = asyncio.ensure_future(CHANGES[change](database))
        await _waits_for_a_lock(database)
        async with database.write() as other:  # raises when somebody has it
            await other.execute(select(legs).where(legs.c.event_id == "event-1").with_for_update(nowait=True))
        assert not changing.done()
    await changing


async def test_what_is_read_after_the_wait_is_new(database: Database) -> None:
    """A callback of an earlier leg that waits for an operator's order does not take it for the latest leg's."""
    ledger, timeline = ledger_of(database), Timeline(database)
    await ledger.open(leg().request)
    await ledger.claim(leg(), "run/1", 1)
    await ledger.accepted(leg(), SID, "queued", Entry("sent", sid=SID))
    async with database.write() as holder:
        await lock_event(holder, "event-1")
        changing = asyncio.create_task(timeline.callback("event-1", report("failed"), Entry("callback", sid=SID)))
        await _waits_for_a_lock(database)
        further = {"number": 2, "state": LegState.RELEASED, "claim": "", "claimed_at": datetime.now(UTC), "looks": 0}
        await holder.execute(legs.insert().values(event_id="event-1", **further))
    await changing
    record = await timeline.record("event-1")
    assert record is not None
    assert record.status == "sent"


async def _waits_for_a_lock(database: Database) -> None:
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(10):
        while True:
            async with database.read() as connection:
                if (await connection.execute(query)).scalar_one():
                    return
            await asyncio.sleep(0.01)
