"""Each alert fires at what it should, and at nothing else: promtool runs the rules over made-up series."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.monitoring.tools import CONFIG, RULES, needs_prometheus, promtool, rules

API_UP = 'up{job="heliograph-api",instance="a"}'


@dataclass(frozen=True)
class Case:
    """Series at steps of a minute, in promtool's notation (`0+2x60`: 0, 2, 4, ...)."""

    alert: str
    fires: dict[str, str]
    calm: dict[str, str]
    minutes: int = 40
    also: frozenset[str] = field(default_factory=frozenset)
    """Other alerts that fire at the same."""


def sends(outcome: str, code: str = "none") -> str:
    return f'heliograph_sends_total{{kind="order-shipped",country="US",outcome="{outcome}",code="{code}"}}'


def ended(status: str, country: str = "US") -> str:
    return f'heliograph_ended_total{{kind="order-shipped",country="{country}",status="{status}",code="none"}}'


def buckets(name: str, le: str, labels: str = 'kind="order-shipped",') -> dict[str, str]:
    """A histogram in which everything falls into one bucket."""
    bounds = ("0.1", "1", "5", "10", "60", "120", "300", "900", "+Inf")
    reached = bounds.index(le)
    return {
        f'{name}_bucket{{{labels}le="{bound}"}}': "0+6x60" if index >= reached else "0x60"
        for index, bound in enumerate(bounds)
    }


CALLED_BACK = 'heliograph_callbacks_total{status="delivered"}'
QUEUE = '{queue="heliograph-send",type="activity"}'
RECONCILIATION = '{schedule="reconciliation"}'
CASES = (
    Case("HeliographApiDown", {API_UP: "1x5 0x60"}, {API_UP: "1x60"}),
    Case("HeliographApiDown", {}, {API_UP: "1x60"}),
    Case(
        "HeliographPartDown",
        {'heliograph_part_up{part="database"}': "0x60", 'heliograph_part_up{part="temporal"}': "1x60"},
        {'heliograph_part_up{part="database",instance="a"}': "0x60", 'heliograph_part_up{part="database"}': "1x60"},
    ),
    Case(
        "HeliographNoWorker",
        {f"heliograph_queue_pollers{QUEUE}": "2x5 0x60"},
        {f"heliograph_queue_pollers{QUEUE}": "2x5 0 2x60"},
    ),
    Case(
        "HeliographWorkerNotScraped",
        {'up{job="heliograph-worker",instance="w"}': "0x60"},
        {'up{job="heliograph-worker",instance="w"}': "1x60"},
    ),
    Case(
        "HeliographScheduleStopped",
        {
            f"heliograph_schedule_last_run_timestamp_seconds{RECONCILIATION}": "60x60",
            f"heliograph_schedule_interval_seconds{RECONCILIATION}": "300x60",
        },
        {
            f"heliograph_schedule_last_run_timestamp_seconds{RECONCILIATION}": "0+60x60",
            f"heliograph_schedule_interval_seconds{RECONCILIATION}": "300x60",
        },
    ),
    Case(
        "HeliographScheduleStopped",
        {f"heliograph_schedule_last_run_timestamp_seconds{RECONCILIATION}": "0x60"},  # it is missing
        {f"heliograph_schedule_last_run_timestamp_seconds{RECONCILIATION}": "1+60x60"},
    ),
    Case(
        "HeliographSchedulePaused",
        {f"heliograph_schedule_paused{RECONCILIATION}": "1x90"},
        {f"heliograph_schedule_paused{RECONCILIATION}": "1x40 0x60"},
        minutes=80,
    ),
    Case(
        "HeliographWorkflowTasksFail",
        {'temporal_workflow_task_execution_failed_total{workflow_type="Notification"}': "0+1x60"},
        {'temporal_workflow_task_execution_failed_total{workflow_type="Notification"}': "3x60"},
    ),
    Case(
        "HeliographBacklog",
        {f"heliograph_queue_backlog_age_seconds{QUEUE}": "0+60x60"},
        {f"heliograph_queue_backlog_age_seconds{QUEUE}": "59x60"},
    ),
    Case(
        "HeliographOverdue",
        {'heliograph_oldest_due_seconds{status="pending"}': "0+60x60"},
        {
            'heliograph_oldest_due_seconds{status="pending"}': "30x60",
            'heliograph_oldest_due_seconds{status="sent"}': "9000x60",
        },
    ),
    Case(
        "HeliographTwilioDown",
        {sends("not_accepted"): "0+6x60", sends("accepted"): "0+5x60"},
        {sends("not_accepted"): "0+4x60", sends("accepted"): "0+5x60"},
        also=frozenset({"HeliographNoCallbacks"}),
    ),
    Case(
        "HeliographTwilioRefuses",
        {sends("refused", "30034"): "0+2x60", sends("accepted"): "0+5x60", CALLED_BACK: "0+5x60"},
        {sends("refused", "30034"): "0+1x60", sends("accepted"): "0+5x60", CALLED_BACK: "0+5x60"},
    ),
    Case(
        "HeliographTwilioSlow",
        buckets("heliograph_twilio_request_seconds", "10", 'operation="POST Messages",'),
        buckets("heliograph_twilio_request_seconds", "5", 'operation="POST Messages",')
        | buckets("heliograph_twilio_request_seconds", "10", 'operation="GET Messages",'),
    ),
    Case(
        "HeliographUnknown",
        {'heliograph_open_notifications{status="unknown"}': "1x60"},
        {'heliograph_open_notifications{status="unknown"}': "0x15 1x5 0x15 1x5 0x20"},
    ),
    Case(
        "HeliographTextedTwice",
        {"heliograph_second_messages_total": "0x20 1x60"},
        {"heliograph_second_messages_total": "4x60"},
    ),
    Case(
        "HeliographNotDelivered",
        {ended("undelivered"): "0+2x60", ended("delivered"): "0+6x60", ended("delivered", "DE"): "0+600x60"},
        {ended("undelivered"): "0+1x60", ended("delivered"): "0+6x60", ended("suppressed"): "0+600x60"},
    ),
    Case("HeliographNotDelivered", {ended("failed"): "0x20 5x60"}, {ended("failed"): "0x20 3x60"}),
    Case(
        "HeliographSlowToTwilio",
        buckets("heliograph_request_to_twilio_seconds", "120"),
        buckets("heliograph_request_to_twilio_seconds", "60"),
    ),
    Case(
        "HeliographSlowToHandset",
        buckets("heliograph_request_to_handset_seconds", "900"),
        buckets("heliograph_request_to_handset_seconds", "300"),
        minutes=55,
    ),
    Case(
        "HeliographNoCallbacks",
        {sends("accepted"): "0+1x60", CALLED_BACK: "0+1x10 10x60"},
        {sends("accepted"): "0+1x60", CALLED_BACK: "0+1x60"},
    ),
    Case("HeliographNoCallbacks", {sends("accepted"): "0+1x60"}, {sends("accepted"): "4x60"}),
    Case(
        "HeliographCallbacksLate",
        buckets("heliograph_callback_lag_seconds", "900", ""),
        buckets("heliograph_callback_lag_seconds", "300", ""),
        minutes=55,
    ),
    Case(
        "HeliographForgedCallbacks",
        {'heliograph_callback_signature_failures_total{signature="wrong",route="/a"}': "0+1x60"},
        {'heliograph_callback_signature_failures_total{signature="wrong",route="/a"}': "0x30 2x60"},
    ),
    Case(
        "HeliographManyEscalations",
        {'heliograph_escalated_total{kind="order-shipped",reason="refused"}': "0+1x60"},
        {
            'heliograph_escalated_total{kind="order-shipped",reason="refused"}': "0x30 5x60",
            'heliograph_escalated_total{kind="order-shipped",reason="delivered_late"}': "0+10x60",
        },
    ),
    Case(
        "HeliographNobodyAcknowledges",
        {'heliograph_escalated_total{kind="incident-alert",reason="not_acknowledged"}': "0x30 1x60"},
        {'heliograph_escalated_total{kind="incident-alert",reason="refused"}': "0x30 1x60"},
    ),
    Case(
        "HeliographWebhooksNotTaken",
        {
            'heliograph_webhooks_total{audience="operators",result="not_taken"}': "0+1x60",
            'heliograph_webhooks_total{audience="operators",result="taken"}': "9x60",
        },
        {
            'heliograph_webhooks_total{audience="operators",result="not_taken"}': "0+1x60",
            'heliograph_webhooks_total{audience="operators",result="taken"}': "0+1x60",
        },
    ),
    Case(
        "HeliographWebhooksNotTaken",
        {
            'heliograph_webhooks_total{audience="caller",caller="shop",result="not_taken"}': "0+1x60",
            'heliograph_webhooks_total{audience="caller",caller="other",result="taken"}': "0+1x60",
        },
        {'heliograph_webhooks_total{audience="caller",caller="shop",result="given_up"}': "0+1x60"},
    ),
    Case(
        "HeliographEndpointDisabled",
        {'heliograph_escalated_total{kind="order-shipped",reason="endpoint_disabled"}': "0x30 1x60"},
        {'heliograph_escalated_total{kind="order-shipped",reason="refused"}': "0x30 1x60"},
    ),
    Case(
        "HeliographPumping",
        {'heliograph_held_total{kind="order-shipped",reason="pumping"}': "0x30 1x60"},
        {'heliograph_held_total{kind="order-shipped",reason="quiet_hours"}': "0+10x60"},
    ),
    Case(
        "HeliographBudgetSpent",
        {'heliograph_suppressed_total{kind="order-shipped",reason="country_budget"}': "0x30 1x60"},
        {'heliograph_suppressed_total{kind="order-shipped",reason="opted_out"}': "0+10x60"},
    ),
    Case(
        "HeliographCallerTooFast",
        {'heliograph_rate_limited_total{caller="shop"}': "0+10x60"},
        {'heliograph_rate_limited_total{caller="shop"}': "0+5x60"},
    ),
    Case(
        "HeliographOverloaded",
        {'heliograph_shed_total{lane="events"}': "0+20x60"},
        {'heliograph_shed_total{lane="events"}': "0+100x4 400x60"},
    ),
    Case(
        "HeliographEventsRefused",
        {
            'heliograph_events_total{kind="order-shipped",result="invalid_request"}': "0+2x60",
            'heliograph_events_total{kind="order-shipped",result="accepted"}': "0+6x60",
        },
        {
            'heliograph_events_total{kind="order-shipped",result="invalid_request"}': "0+1x60",
            'heliograph_events_total{kind="order-shipped",result="accepted"}': "0+6x60",
        },
    ),
)


def firing(series: dict[str, str], minutes: int, folder: Path) -> set[str]:
    """The alerts that fire after so many minutes, asked of promtool by letting it say what it got."""
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"}) * 0 + 1',
                        "eval_time": f"{minutes}m",
                        "exp_samples": [{"labels": '{alertname="nothing of this name"}', "value": 1}],
                    }
                ],
            }
        ],
    }
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(test))
    said = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, timeout=60, check=False)
    assert "got:" in said.stdout + said.stderr, said
    got = (said.stdout + said.stderr).split("got:", 1)[1]
    return set(re.findall(r'alertname="(\w+)"', got))


@needs_prometheus
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_at_what_it_should_and_nothing_else(case: Case, tmp_path: Path) -> None:
    up = {} if case.alert == "HeliographApiDown" else {API_UP: "1x200"}
    assert firing(up | case.fires, case.minutes, tmp_path) - case.also == {case.alert}
    assert firing({API_UP: "1x200"} | case.calm, case.minutes, tmp_path) - case.also == set()


def test_every_alert_is_tried() -> None:
    assert {case.alert for case in CASES} == {rule["alert"] for rule in rules()}


@needs_prometheus
def test_prometheus_takes_the_configuration() -> None:
    promtool("check", "rules", RULES)
    promtool("check", "config", CONFIG)
