"""Who is alerted when, by severity; what the texts and calls say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from notifications.caps import parse_caps
from notifications.kinds.incident_alert import IncidentAlert
from notifications.plan import Channel
from notifications.storm import code_of

NOW = datetime(2026, 11, 20, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "eventId": "incident:1207",
    "groupKey": "checkout-api/5xx",
    "service": "checkout-api",
    "severity": "critical",
    "summary": "5xx over 5 %",
    "contacts": [{"phone": "+15558675310", "name": "Ada"}, {"phone": "030 123456", "region": "DE"}],
    "consentAt": "2026-10-01T09:00:00+02:00",
}


def alert(**fields: Any) -> IncidentAlert:
    return IncidentAlert.model_validate(GOOD | fields)


def rungs(event: IncidentAlert) -> list[tuple[str | None, str]]:
    return [(step.phone, step.channel.value) for step in event.plan(NOW).steps]


def test_a_critical_alert_climbs_by_text_and_call_and_tells_operators_after_the_first_round_and_the_last() -> None:
    ada, bob = "+15558675310", "+4930123456"
    contacts = [(ada, "sms"), (ada, "voice"), (bob, "sms"), (bob, "voice")]
    operators = (None, "operations-webhook")
    assert rungs(alert()) == [*contacts, operators, *contacts, *contacts, operators]


def test_a_high_one_climbs_once_and_a_low_one_is_a_text() -> None:
    assert len(rungs(alert(severity="high"))) == 5
    assert rungs(alert(severity="low")) == [("+15558675310", "sms")]
    assert "Reply" not in alert(severity="low").plan(NOW).steps[0].text


def test_callers_may_say_how_it_climbs() -> None:
    event = alert(channels=["voice"], acknowledgeWithinSeconds=30, rounds=2)
    assert [channel for _, channel in rungs(event)] == ["voice", "voice", "operations-webhook"] + ["voice"] * 2 + [
        "operations-webhook"
    ]
    assert {step.acknowledge_within for step in event.plan(NOW).steps} == {timedelta(seconds=30)}


def test_calls_speak_to_their_contact_and_name_the_key() -> None:
    spoken = [step.text for step in alert(rounds=1).plan(NOW).steps if step.channel is Channel.VOICE]
    assert spoken[0] == (
        "Ada. This is an alert. Severity CRITICAL. checkout-api. 5xx over 5 %. Press 1 to acknowledge."
    )
    assert not spoken[1].startswith("Ada")


def test_what_a_group_was_alerted_of_comes_in_one_digest() -> None:
    storm = alert().storm(timedelta(minutes=5))
    assert storm.text(37) == "CRITICAL checkout-api: and 37 more alerts. Last: 5xx over 5 %"
    assert storm.text(1) == "CRITICAL checkout-api: 5xx over 5 %"
    assert "{count}" in alert(summary="{count}").storm(timedelta(minutes=5)).text(2)


@pytest.mark.parametrize("locale", ["en", "es", "de", "ja"])
def test_every_language_asks_for_an_acknowledgement_with_the_code(locale: str) -> None:
    assert code_of(GOOD["eventId"]) in alert(locale=locale).plan(NOW).steps[0].text


def test_codes_are_four_letters_that_are_no_word() -> None:
    codes = {code_of(f"event-{number}") for number in range(1000)}
    assert len(codes) > 980
    assert all(len(code) == 4 and not set(code) & set("AEIOUY1") for code in codes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("contacts", []),
        ("contacts", [{"phone": "+15558675310"}] * 9),
        ("contacts", [{"phone": "not a number"}]),
        ("severity", "terrible"),
        ("groupKey", ""),
        ("summary", "x" * 301),
        ("summary", "two\nlines"),
        ("channels", ["email"]),
        ("channels", []),
        ("rounds", 6),
        ("acknowledgeWithinSeconds", 4),
        ("acknowledgeWithinSeconds", "30"),
        ("consentAt", None),
    ],
)
def test_what_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        alert(**{field: value})
    assert {str(error["loc"][0]) for error in refused.value.errors()} == {field}


def test_no_contacts_number_may_be_in_the_event_id() -> None:
    with pytest.raises(ValidationError):
        alert(eventId="incident-4930123456")


def test_caps_are_read_as_they_are_written() -> None:
    caps = parse_caps("2/1m, 6/15m,12/1h,40/1d")
    assert [(cap.count, cap.per) for cap in caps] == [
        (2, timedelta(minutes=1)),
        (6, timedelta(minutes=15)),
        (12, timedelta(hours=1)),
        (40, timedelta(days=1)),
    ]
    for wrong in ("2", "0/1m", "2/m", "2/1w", "2/1m;3/1h", "-1/1m"):
        with pytest.raises(ValueError, match="must be a list"):
            parse_caps(wrong)
