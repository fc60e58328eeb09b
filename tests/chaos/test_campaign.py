"""The short form of `make chaos`: the real stack, a storm of some seconds, no loss and no second text."""

import dataclasses
from pathlib import Path

from tests.chaos.auditor import audit
from tests.chaos.campaign import Plan, run
from tests.chaos.report import written

SHORT = Plan(
    events=36,
    seed=20261123,
    per_second=5,
    pause=(0.2, 1),
    deadline=(8, 12),
    list_lag=2,
    settle=20,
    reconcile_after=5,
)


async def test_no_event_is_lost_and_nobody_is_texted_twice(data: Path) -> None:
    result = await run(SHORT, data / "chaos")
    found = result.findings
    assert (found.lost, found.texted_twice, found.wrong) == ({}, {}, {})
    assert found.acknowledged == SHORT.events
    assert found.delivered > SHORT.events / 2
    assert result.faults.total() >= 3
    assert "| **lost** | **0** |" in written(SHORT, result, "commit")

    # The same records with a planted loss and a planted second text: an auditor who sees neither proves nothing.
    delivered = [event for event, story in result.records.stories.items() if story and story["status"] == "delivered"]
    lost, twice = delivered[0], delivered[1]
    phone = result.records.acknowledged[twice]
    [text] = result.records.texts[phone]
    planted = audit(
        dataclasses.replace(
            result.records,
            stories={**result.records.stories, lost: None},
            texts={**result.records.texts, phone: [text, {**text, "sid": "SM" + "0" * 32}]},
        )
    )
    assert (list(planted.lost), list(planted.texted_twice)) == ([lost], [twice])


SEVERAL = Plan(
    events=30,
    seed=20261124,
    per_second=6,
    pause=(0.4, 0.9),
    deadline=(5, 8),
    list_lag=1,
    settle=60,
    reconcile_after=5,
    postgres=True,
    processes=2,
)


async def test_processes_that_come_and_go_on_one_postgresql_lose_nothing_and_repeat_nothing(data: Path) -> None:
    result = await run(SEVERAL, data / "several")
    found = result.findings
    assert (found.lost, found.texted_twice, found.wrong) == ({}, {}, {})
    assert [result.records.stories[event] for event in result.unsettled] == []
    assert found.acknowledged == SEVERAL.events
    # Killed between claim and POST, or with no worker up until its time was over: then operators know.
    untexted = {event for event, phone in result.records.acknowledged.items() if not result.records.texts.get(phone)}
    assert untexted <= result.records.notices.keys()
    assert found.delivered > SEVERAL.events / 2
    assert {what.split(" of a ")[1] for what in result.faults} == {"worker", "api"}
    assert result.faults.total() >= 4
