"""Every counter counts what has happened, once, whatever is repeated."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from api.samples import Samples
from engine import connect
from notifications.kinds import KINDS
from notifications.policy import Rung
from notifications.status import DeliveryStatus
from store.backlog import Backlog
from store.database import Database
from store.timeline import Entry, Timeline, advance_status
from telemetry import metrics
from telemetry.exposition import Exposition
from telemetry.temporal import SdkMetrics
from tests.api.test_callbacks import call_back, form
from tests.api.test_holding import ASLEEP, delayed
from tests.drafts import request
from tests.gates import ledger_of
from tests.workflow.test_consent import inbound, sid
from tests.workflow.test_reconciliation import sweep
from tests.workflow.test_settling import urgent
from tests.world import World, another, bootstrapped, free_port, living
from workflows.dispatch import Dispatch


class Counts:
    """How far a metric has moved since the test began."""

    def __init__(self) -> None:
        self._before = self._all()

    @staticmethod
    def _all() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        found = [sample for family in REGISTRY.collect() for sample in family.samples]
        return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}

    def of(self, name: str, **labels: str) -> float:
        """Summed over the labels that are not given."""
        wanted = set(labels.items())
        return sum(
            value - self._before.get(key, 0)
            for key, value in self._all().items()
            if key[0] == f"heliograph_{name}" and wanted <= set(key[1])
        )


async def until(world: World, event_id: str, *arguments: Any, **options: Any) -> dict[str, Any]:
    """The story as soon as a condition holds, and what it counts for: that is counted a moment after the commit."""
    story = await world.until(event_id, *arguments, **options)
    await asyncio.sleep(0.1)
    return story


@pytest.fixture
def counts() -> Counts:
    return Counts()


def gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"heliograph_{name}", labels)


def has(what: str) -> Callable[[dict[str, Any]], bool]:
    return lambda story: any(entry["what"] == what for entry in story["timeline"])


async def test_a_delivery_counts_once_and_its_repeated_callback_as_a_stopped_duplicate(
    world: World, counts: Counts
) -> None:
    event = world.event()
    await world.post(event)
    story = await until(world, event["eventId"], "delivered")
    final = form(MessageSid=story["sid"], MessageStatus="delivered")
    await call_back(world, f"?eventId={event['eventId']}", final)
    assert counts.of("events_total", kind="order-shipped", result="accepted") == 1
    assert counts.of("sends_total", outcome="accepted", country="US", channel="sms", code="none") == 1
    assert counts.of("ended_total", status="delivered", country="US", code="none") == counts.of("ended_total") == 1
    assert counts.of("request_to_twilio_seconds_count", kind="order-shipped") == 1
    assert counts.of("request_to_handset_seconds_count", kind="order-shipped") == 1
    assert 0 < counts.of("request_to_handset_seconds_sum") < 15
    assert counts.of("twilio_request_seconds_count", operation="POST Messages", outcome="accepted") == 1
    assert counts.of("callback_lag_seconds_count") == 1
    assert counts.of("callbacks_total", status="delivered", counted="true") == 1
    assert counts.of("callbacks_total", status="delivered", counted="false") == 1
    assert counts.of("duplicates_stopped_total", guard="callback") == counts.of("duplicates_stopped_total") == 1


async def test_callbacks_that_overtake_the_answer_count_the_way_to_twilio_once(world: World, counts: Counts) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], callbacks={"early": True}, sentAfter=0, finalAfter=0)
    await world.post(event)
    await until(world, event["eventId"], has("sent"))
    assert counts.of("request_to_twilio_seconds_count") == counts.of("request_to_handset_seconds_count") == 1


async def test_repeated_posts_count_by_the_guard_that_stopped_them(world: World, counts: Counts) -> None:
    event = world.event()
    await world.post(event)
    await until(world, event["eventId"], "delivered")
    await world.post(event)
    assert counts.of("duplicates_stopped_total", guard="database") == 1
    await world.post(event | {"orderId": "another"})
    assert counts.of("duplicates_stopped_total", guard="content") == 1
    assert counts.of("events_total", kind="order-shipped", result="duplicate") == 1
    assert counts.of("events_total", kind="order-shipped", result="event_id_reused") == 1
    assert counts.of("events_total") == 3


async def test_a_repeat_while_the_database_knows_nothing_counts_for_the_workflow_id(
    world: World, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "slow", "seconds": 1}])
    await world.post(event)
    record, looks = Timeline.record, 0

    async def blind_at_first(self: Timeline, event_id: str) -> Any:
        nonlocal looks
        looks += 1
        return None if looks == 1 else await record(self, event_id)

    monkeypatch.setattr(Timeline, "record", blind_at_first)
    assert (await world.post(event)).json()["duplicate"] is True
    assert counts.of("duplicates_stopped_total", guard="workflow_id") == 1


async def test_a_repeat_that_waits_with_the_first_counts_for_the_update_id(world: World, counts: Counts) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "slow", "seconds": 1}])
    await world.post(event)
    answer = await world.post(event, Prefer="wait=10")
    assert answer.json()["duplicate"] is True
    assert counts.of("duplicates_stopped_total", guard="update_id") == 1


async def test_a_refusal_counts_with_its_code_and_operators_once(world: World, counts: Counts) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="refused", errorCode=21614)
    await world.post(event, Prefer="wait=10")
    await until(world, event["eventId"], lambda story: "escalated" in story)
    assert counts.of("sends_total", outcome="refused", code="21614") == counts.of("sends_total") == 1
    assert counts.of("ended_total", status="failed", code="21614") == counts.of("ended_total") == 1
    assert counts.of("escalated_total", kind="order-shipped", reason="refused") == counts.of("escalated_total") == 1
    assert counts.of("webhooks_total", audience="operators", result="taken") == 1
    assert counts.of("events_total", result="accepted") == counts.of("events_total") == 1


async def test_a_code_that_nobody_knows_makes_no_series_of_its_own(world: World, counts: Counts) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="undelivered", errorCode=39999)
    await world.post(event)
    await until(world, event["eventId"], "undelivered")
    assert counts.of("ended_total", status="undelivered", code="other") == 1


async def test_a_reset_counts_for_the_ledger_and_nothing_twice(world: World, counts: Counts) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    story = await until(world, event["eventId"], "sent")
    await world.reset(event)
    async with asyncio.timeout(10):
        while not counts.of("duplicates_stopped_total", guard="ledger"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await world.phones.move(story["sid"], "delivered")
    await until(world, event["eventId"], "delivered")
    assert counts.of("duplicates_stopped_total", guard="ledger") == 1
    assert counts.of("sends_total") == counts.of("ended_total") == counts.of("request_to_twilio_seconds_count") == 1


async def test_each_request_of_a_send_that_is_retried_counts(world: World, counts: Counts) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "429"}, {"fault": "429"}])
    await world.post(event)
    await until(world, event["eventId"], "delivered", seconds=20)
    assert counts.of("sends_total", outcome="not_accepted", code="20429") == 2
    assert counts.of("sends_total", outcome="accepted") == counts.of("ended_total") == 1


async def test_a_server_error_that_took_the_text_counts_for_the_look_up(world: World, counts: Counts) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "500", "accept": True}], callbacks={"lose": "all"})
    await world.post(event)
    await until(world, event["eventId"], has("server_error"))
    await world.outcome(event)
    assert counts.of("sends_total", outcome="server_error") == counts.of("sends_total") == 1
    assert counts.of("duplicates_stopped_total", guard="look_up") == 1


@pytest.mark.parametrize(("lost", "by"), [("all", "look_up"), ([], "callback")])
async def test_an_unknown_outcome_counts_and_so_does_what_settled_it(
    world: World, counts: Counts, lost: Any, by: str
) -> None:
    event = world.event()
    fault = {"fault": "reset", "accept": True}
    await world.phones.behave(event["phone"], create=[fault], callbacks={"lose": lost}, sentAfter=1, finalAfter=1.5)
    await world.post(event)
    await until(world, event["eventId"], "unknown")
    assert counts.of("unknown_total", kind="order-shipped") == 1
    assert counts.of("unknown_settled_total") == 0
    if by == "callback":
        await until(world, event["eventId"], "delivered")
    await world.outcome(event)
    assert counts.of("unknown_total") == counts.of("ended_total", status="delivered") == 1
    assert counts.of("unknown_settled_total", by=by) == counts.of("unknown_settled_total") == 1


async def test_what_was_opted_out_of_counts_as_suppressed(world: World, counts: Counts) -> None:
    event = world.event()
    await inbound(world, event["phone"], "STOP", sid(7101))
    await world.post(event)
    await until(world, event["eventId"], "suppressed")
    await world.outcome(event)
    assert counts.of("suppressed_total", reason="opted_out") == counts.of("suppressed_total") == 1
    assert counts.of("ended_total", status="suppressed") == 1
    assert counts.of("sends_total") == 0


async def test_who_sleeps_counts_as_held(world: World, counts: Counts) -> None:
    event, _ = await delayed(world, timeZone=ASLEEP)
    await world.http.post("/api/order-delayed-sms", json=event)
    await until(world, event["eventId"], "held")
    assert counts.of("held_total", kind="order-delayed", reason="quiet_hours") == counts.of("held_total") == 1


async def test_what_a_kind_refuses_counts_in_a_batch_too(world: World, counts: Counts) -> None:
    bad = world.event(phone="12")
    await world.post(bad)
    batch = {"events": [{"kind": "order-shipped", **bad}, {"kind": "no such kind"}]}
    await world.http.post("/api/batches", json=batch)
    await world.http.post("/api/order-shipped-sms?dryRun=true", json=bad)
    assert counts.of("events_total", kind="order-shipped", result="invalid_request") == 2
    assert counts.of("events_total", kind="none", result="invalid_request") == 1
    assert counts.of("events_total") == 3


async def test_forged_requests_count_by_what_is_wrong(world: World, counts: Counts) -> None:
    await call_back(world, "?eventId=no-such-event", form(), signature="bm90IGEgc2lnbmF0dXJl")
    await world.http.post("/twilio/inbound", data={"From": "+15558675310"})
    name = "callback_signature_failures_total"
    assert counts.of(name, route="/twilio/status-callback", signature="wrong") == 1
    assert counts.of(name, route="/twilio/inbound", signature="missing") == 1


async def test_a_second_message_counts(world: World, counts: Counts) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    await until(world, event["eventId"], "sent")
    await call_back(world, f"?eventId={event['eventId']}", form(MessageSid="SM" + "7" * 32))
    await until(world, event["eventId"], lambda story: story.get("escalated") == "duplicate_send")
    assert counts.of("second_messages_total") == 1
    assert counts.of("escalated_total", reason="duplicate_send") == counts.of("escalated_total") == 1


async def test_who_calls_too_often_counts(world: World, tmp_path: Path, counts: Counts) -> None:
    async with another(world, tmp_path, caller_rate_per_second=1) as other:
        answers = [await other.story("no-such-event") for _ in range(5)]
    assert len(answers) == 5
    assert 1 <= counts.of("rate_limited_total", caller="shop") <= 4


async def test_what_the_sweep_settles_counts(world: World, counts: Counts) -> None:
    event = world.event(deliveryTimeoutSeconds=86_400)
    await world.phones.behave(event["phone"], callbacks={"lose": "all"})
    await world.post(event)
    await until(world, event["eventId"], "sent")
    await until(world, event["eventId"], lambda story: story["updatedAt"] is not None)
    swept = await sweep(world, event)
    assert counts.of("swept_total") == swept.looked_at
    assert metrics.SWEPT_AT._value.get() > (datetime.now(UTC) - timedelta(minutes=1)).timestamp()


async def test_operators_who_cannot_be_told_are_counted_by_the_sdk(world: World, tmp_path: Path) -> None:
    sdk = SdkMetrics.start()
    settings = world.settings.model_copy(
        update={
            "port": free_port(),
            "data_dir": tmp_path,
            "temporal_namespace": "given-up",
            "operations_webhook_url": f"http://127.0.0.1:{free_port()}/nobody-is-here",
        }
    )
    client = await connect(settings, runtime=sdk.runtime)
    await bootstrapped(settings, client)
    async with living(settings, client, world.phones) as other:
        event = other.event()
        await other.phones.behave(event["phone"], outcome="refused")
        await Dispatch(client).start(urgent(event, ladder=(Rung.tell_operators(timedelta(seconds=3)),)))
        await other.until(event["eventId"], "failed")
        await other.outcome(event)
        told = (await Exposition(sdk.url).text()).decode()
    assert re.search(r"heliograph_operators_never_told_total\{.*\} 1\n", told)
    assert "heliograph_sends_total" in told


async def test_what_is_rolled_back_is_not_counted_and_what_is_repeated_once(database: Database, counts: Counts) -> None:
    timeline = Timeline(database)
    await ledger_of(database).open(request())
    with suppress(RuntimeError):
        async with database.write() as connection:
            assert await advance_status(connection, "event-1", DeliveryStatus.DELIVERED, why="callback")
            raise RuntimeError
    assert counts.of("ended_total") == 0
    for _ in range(2):
        await timeline.note("event-1", Entry("asked"), status=DeliveryStatus.DELIVERED, escalated="refused")
    assert counts.of("ended_total", status="delivered") == counts.of("escalated_total") == 1


async def test_what_is_open_and_how_long_it_has_been_due_is_looked_up(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], createForever={"fault": "429", "retryAfter": 3600})
    await world.post(event)
    await until(world, event["eventId"], has("not_accepted"))
    samples = Samples(Backlog(world.database), world.client)
    await samples.refresh()
    assert gauge("part_up", part="database") == gauge("part_up", part="temporal") == 1
    assert gauge("queue_pollers", queue="heliograph-send", type="activity") >= 1
    assert gauge("schedule_interval_seconds", schedule="reconciliation") == world.settings.reconcile_every_seconds
    assert gauge("open_notifications", status="sending") >= 1
    assert 0 < gauge("oldest_due_seconds", status="sending") < 600


async def test_what_cannot_be_asked_has_no_numbers_that_look_like_good_ones(world: World) -> None:
    await Samples(Backlog(world.database), world.client).refresh()
    gone = Database(f"postgresql://nobody:nothing@127.0.0.1:{free_port()}/nowhere")
    await Samples(Backlog(gone), world.client).refresh()
    assert (gauge("part_up", part="database"), gauge("part_up", part="temporal")) == (0, 1)
    assert gauge("open_notifications", status="sent") is None
    assert gauge("queue_pollers", queue="heliograph-send", type="activity") is not None
    await gone.close()


def test_every_label_is_bounded() -> None:
    assert metrics.code_label(12345678) == metrics.status_label("teleported") == "other"
    assert metrics.code_label(30034) == "30034"
    labels = {
        label for metric in vars(metrics).values() if hasattr(metric, "_labelnames") for label in metric._labelnames
    }
    assert labels <= {
        "audience", "by", "caller", "channel", "code", "counted", "country", "guard", "kind", "lane", "operation",
        "outcome", "part", "queue", "reason", "result", "route", "schedule", "signature", "status", "type",
    }  # fmt: skip
    assert len(KINDS) < 50
