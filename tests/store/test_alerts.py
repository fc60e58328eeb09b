"""Alerts of one incident, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from notifications.caps import parse_caps
from notifications.notification import Leg, NotificationRequest, Role
from notifications.per_name import PerName
from notifications.storm import Storm
from store.alerts import Alerts, AlertState
from store.caps import SendLimits
from store.database import Database
from store.ledger import LegState
from store.timeline import Entry, Timeline
from tests.drafts import recipient, request
from tests.gates import RING, ledger_of

WINDOW = timedelta(minutes=5)


@pytest.fixture
def alerts(database: Database) -> Alerts:
    return Alerts(database, RING)


def alert(number: int, *, weight: int = 3, subject: str = "fire", **fields: object) -> NotificationRequest:
    storm = Storm(weight=weight, window=WINDOW, climbs_for=timedelta(minutes=9), alone="one", digest=("", " more"))
    values = {"subject_hash": subject, "storm": storm, "acknowledge_within": timedelta(minutes=3)} | fields
    return request(event_id=f"alert-{number}", **values)


async def admitted(database: Database, alerts: Alerts, *requests: NotificationRequest) -> list[Role]:
    ledger = ledger_of(database)
    for one in requests:
        await ledger.open(one)
    return [admission.role for admission in await asyncio.gather(*(alerts.admit(one) for one in requests))]


async def test_of_many_at_once_one_is_first_one_is_the_digest_and_the_rest_are_folded(
    database: Database, alerts: Alerts
) -> None:
    roles = await admitted(database, alerts, *(alert(number) for number in range(20)))
    assert (roles.count(Role.FIRST), roles.count(Role.DIGEST), roles.count(Role.FOLDED)) == (1, 1, 18)


async def test_asking_again_gives_the_same_answer_and_counts_once(database: Database, alerts: Alerts) -> None:
    first, digest, folded = alert(1), alert(2), alert(3)
    for one in (first, digest, folded):
        await admitted(database, alerts, one)
    for one, role in ((first, Role.FIRST), (digest, Role.DIGEST), (folded, Role.FOLDED)):
        assert (await alerts.admit(one)).role is role
    assert await alerts.close_digest(digest) == 2
    assert await alerts.close_digest(digest) == 2


async def test_after_a_digest_a_new_one_is_opened_while_the_incident_goes_on(
    database: Database, alerts: Alerts
) -> None:
    assert await admitted(database, alerts, alert(1)) == [Role.FIRST]
    assert await admitted(database, alerts, alert(2)) == [Role.DIGEST]
    await alerts.close_digest(alert(2))
    assert await admitted(database, alerts, alert(3)) == [Role.DIGEST]


async def test_other_subjects_and_graver_alerts_are_first(database: Database, alerts: Alerts) -> None:
    await admitted(database, alerts, alert(1, weight=1))
    assert await admitted(database, alerts, alert(2, subject="flood")) == [Role.FIRST]
    assert await admitted(database, alerts, alert(3, weight=3)) == [Role.FIRST]
    assert await admitted(database, alerts, alert(4, weight=1)) == [Role.DIGEST]


async def test_recovery_ends_all_and_names_those_who_were_alerted_each_once(database: Database, alerts: Alerts) -> None:
    ledger = ledger_of(database)
    await admitted(database, alerts, first := alert(1))
    await admitted(database, alerts, alert(2))
    for number, phone in ((1, "+15558675310"), (2, "+15550000002"), (3, "+15558675310")):
        leg = Leg(request=first.model_copy(update={"recipient": recipient(phone)}), number=number)
        await ledger.claim(leg, f"run/{number}", 1)
        await ledger.accepted(leg, f"SM{number:032}", "queued", Entry("sent"))
    recovery = request(event_id="recovery", subject_hash="fire")
    for _ in range(2):  # a repeated call names the same ones
        ended = await alerts.resolve(recovery)
        assert [one.event_id for one in ended] == ["alert-1", "alert-2"]
    told = await alerts.alerted([one.event_id for one in ended])
    assert [one.phone for one in told] == ["+15558675310", "+15550000002"]
    assert await alerts.close_digest(alert(2)) == 0
    late = alert(3, accepted_at=recovery.accepted_at - timedelta(seconds=1))
    assert await admitted(database, alerts, late) == [Role.FOLDED]
    assert await admitted(database, alerts, alert(4, accepted_at=datetime.now(UTC))) == [Role.FIRST]


async def test_a_reply_means_the_latest_alert_or_the_one_of_the_code(database: Database, alerts: Alerts) -> None:
    ledger = ledger_of(database)
    for number in (1, 2):
        one = alert(number, subject=f"fire-{number}")
        await admitted(database, alerts, one)
        await ledger.claim(Leg(request=one), f"run/{number}", 1)
    sent = await alerts.sent_to(recipient().hash)
    assert [one.event_id for one in sent] == ["alert-2", "alert-1"]
    await alerts.acknowledged("alert-2", "by shop")
    await alerts.acknowledged("alert-2", "by another")
    assert [one.event_id for one in await alerts.sent_to(recipient().hash)] == ["alert-1"]
    found = await alerts.of("alert-2")
    assert found is not None
    assert found.state is AlertState.ACKNOWLEDGED
    story = await Timeline(database).story("alert-2")
    assert [entry.detail for entry in story if entry.what == "acknowledged"] == ["by shop"]


async def test_of_many_alerts_at_once_one_phone_gets_as_many_as_its_cap(database: Database) -> None:
    ledger = ledger_of(database, SendLimits(parse_caps("3/1m,100/1h")))
    requests = [request(event_id=f"alert-{number}", policy={"capped": True}) for number in range(20)]
    claims = await asyncio.gather(*(ledger.claim(Leg(request=one), "run/1", 1) for one in requests))
    assert [claim.granted for claim in claims].count(True) == 3
    assert {claim.forbidden for claim in claims if not claim.granted} == {
        "RECIPIENT_CAPS: this phone has had 3/1m already"
    }
    other = request("+15550000002", event_id="alert-other", policy={"capped": True})
    assert (await ledger.claim(Leg(request=other), "run/1", 1)).granted
    assert (await ledger.claim(Leg(request=request(event_id="order-1")), "run/1", 1)).granted  # not of a capped kind


async def test_a_try_after_429_does_not_count_twice(database: Database) -> None:
    ledger = ledger_of(database, SendLimits(parse_caps("1/1m"), per_caller=PerName(1)))
    leg = Leg(request=request(policy={"capped": True}))
    for attempt in (1, 2, 3):
        assert (await ledger.claim(leg, f"run/{attempt}", attempt)).granted
        await ledger.not_sent(leg, LegState.RELEASED, Entry("not_accepted"))
