"""The documents tell of every alert and every metric, and of no others."""

import re

from prometheus_client.metrics import MetricWrapperBase

from telemetry import metrics
from tests.monitoring.drill import FAULTS, SHORTENED, shortened
from tests.monitoring.tools import ROOT, RULES, rules

ALERTS = {rule["alert"] for rule in rules()}


def test_every_alert_has_a_section_that_says_what_it_means_what_to_look_at_and_what_to_do() -> None:
    text = (ROOT / "docs/runbook.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.+?)(?=^# |^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert sections.keys() == ALERTS
    for alert, section in sections.items():
        for part in ("**Means**", "**Look at**", "**Do**", "*Tried*: "):
            assert section.count(part) == 1, f"{alert}: {part}"


def test_every_alert_leads_to_its_section_and_says_how_urgent_it_is() -> None:
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_runbook_names_alerts_that_exist() -> None:
    text = (ROOT / "docs/runbook.md").read_text()
    assert set(re.findall(r"\bHeliograph[A-Z]\w+", text)) == ALERTS


def test_every_alert_has_been_caused_on_purpose() -> None:
    assert {alert for alerts, _, _ in FAULTS for alert in alerts} == ALERTS
    assert len(re.findall("for: ", RULES.read_text())) == shortened().count("for: 2s")
    assert all(re.search(pattern, RULES.read_text()) for pattern, _ in SHORTENED)


def test_every_metric_is_told_of() -> None:
    text = (ROOT / "docs/monitoring.md").read_text()
    ours = [metric.describe()[0] for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    told = {f"{one.name}_total" if one.type == "counter" else one.name for one in ours}
    assert set(re.findall(r"`(heliograph_\w+)`", text)) == told | {"heliograph_operators_never_told_total"}
    for rule in rules():
        for name in re.findall(r"\bheliograph_\w+", rule["expr"]):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in told


def test_the_labels_of_every_metric_are_told_of() -> None:
    rows = re.findall(r"^\| (`heliograph_[^|]+)\|([^|]*)\|", (ROOT / "docs/monitoring.md").read_text(), re.MULTILINE)
    labels = {
        name: set(re.split(r"[,;] ", known.strip())) for names, known in rows for name in re.findall(r"\w+", names)
    }
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            described = metric.describe()[0]
            name = f"{described.name}_total" if described.type == "counter" else described.name
            assert set(metric._labelnames) <= labels[name], name
