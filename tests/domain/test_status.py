"""The lifecycle only moves forward."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.status import FINAL, DeliveryStatus, advance, from_twilio, rank, why_no_news

statuses = st.sampled_from(DeliveryStatus)
twilio = st.sampled_from(
    ["accepted", "scheduled", "queued", "sending", "sent", "delivered", "read", "undelivered", "failed", "canceled"]
)


def test_the_way_of_a_delivered_text() -> None:
    way = [DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.SENT, DeliveryStatus.DELIVERED]
    for before, after in itertools.pairwise(way):
        assert advance(before, after) is after
        assert advance(after, before) is after


@given(st.lists(statuses))
def test_no_sequence_of_reports_goes_back(reports: list[DeliveryStatus]) -> None:
    status = DeliveryStatus.PENDING
    for report in reports:
        moved = advance(status, report)
        assert rank(moved) >= rank(status)
        status = moved


@given(st.sampled_from(sorted(FINAL)), statuses)
def test_the_first_final_status_stands(final: DeliveryStatus, report: DeliveryStatus) -> None:
    assert advance(final, report) is final


@given(st.permutations([DeliveryStatus.SENDING, DeliveryStatus.SENT, DeliveryStatus.DELIVERED]))
def test_the_order_of_reports_does_not_matter(reports: list[DeliveryStatus]) -> None:
    status = DeliveryStatus.PENDING
    for report in reports:
        status = advance(status, report)
    assert status is DeliveryStatus.DELIVERED


@given(twilio)
def test_every_status_of_twilios_has_a_word_of_ours(status: str) -> None:
    assert from_twilio(status) is not None


def test_a_status_that_twilio_has_added_since_is_no_news() -> None:
    assert from_twilio("teleported") is None
    assert why_no_news("sent", "teleported") == "a status that is not known here"


@pytest.mark.parametrize(
    ("known", "reported", "why"),
    [
        (None, "sent", None),
        ("queued", "sent", None),
        ("sent", "delivered", None),
        ("sent", "sent", "repeated"),
        ("delivered", "sent", "late"),
        ("delivered", "undelivered", "contradicts the final status"),
        ("delivered", "read", None),
    ],
)
def test_why_a_callback_does_not_count(known: str | None, reported: str, why: str | None) -> None:
    assert why_no_news(known, reported) == why
