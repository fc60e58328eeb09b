"""What an order-shipped event may hold."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from notifications.kinds import KINDS
from notifications.kinds.order_shipped import OrderShipped

GOOD: dict[str, Any] = {
    "eventId": "order-shipped:48151623",
    "phone": "+15558675310",
    "orderId": "48151623",
    "trackingUrl": "https://example.com/track/1Z999",
    "consentAt": "2026-10-01T09:00:00+02:00",
}


def wrong(**fields: Any) -> dict[str, str]:
    """The fields that are refused, with their code."""
    event = {name: value for name, value in (GOOD | fields).items() if value is not ...}
    with pytest.raises(ValidationError) as refused:
        OrderShipped.model_validate(event)
    return {".".join(map(str, error["loc"])): error["type"] for error in refused.value.errors()}


def right(**fields: Any) -> OrderShipped:
    return OrderShipped.model_validate(GOOD | fields)


def test_it_is_found_under_its_name() -> None:
    assert KINDS["order-shipped"] is OrderShipped


def test_its_text() -> None:
    assert right().text() == "Your order 48151623 has shipped. Tracking: https://example.com/track/1Z999"
    assert right(trackingUrl=None).text() == "Your order 48151623 has shipped."


@pytest.mark.parametrize("field", ["eventId", "phone", "orderId", "consentAt"])
def test_needed_fields(field: str) -> None:
    assert wrong(**{field: ...}) == {field: "missing"}


@pytest.mark.parametrize("event_id", ["a.b_c:d@e-F", "x" * 6, "x" * 120])
def test_event_ids_that_pass(event_id: str) -> None:
    assert right(eventId=event_id).event_id == event_id


@pytest.mark.parametrize(
    "event_id", ["x" * 5, "x" * 121, "with space", "umlaut-ä", "slash/es", "", "trailing\n", 123456, " padded "]
)
def test_event_ids_that_do_not(event_id: Any) -> None:
    assert list(wrong(eventId=event_id)) == ["eventId"]


@pytest.mark.parametrize("event_id", ["order-15558675310", "o.1-555-867-5310", "5558675310-shipped"])
def test_the_recipients_number_must_not_be_in_the_event_id(event_id: str) -> None:
    assert wrong(eventId=event_id) == {"": "phone_in_event_id"}


@pytest.mark.parametrize("order_id", ["", " ", "x" * 81, "7\n8", "7\u20288", 7])
def test_order_ids_that_do_not_pass(order_id: Any) -> None:
    assert list(wrong(orderId=order_id)) == ["orderId"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "javascript:alert(1)",
        "example.com",
        "http://",
        "https:///x",
        "https://u:p@example.com/",
        "https://exa mple.com",
        "http://[::1",
        "https://example.com:99999/",
        "https://e.com/" + "x" * 1000,
    ],
)
def test_tracking_urls_that_do_not_pass(url: str) -> None:
    assert list(wrong(trackingUrl=url)) == ["trackingUrl"]


@pytest.mark.parametrize(
    "moment",
    [
        "2026-10-01T09:00:00",
        "2026-10-01",
        "yesterday",
        1_790_000_000,
        "1790000000",
        "0001-01-01T00:00:00+14:00",
        "2026-02-30T00:00:00Z",
        None,
        True,
    ],
)
def test_consent_needs_a_moment_with_its_offset(moment: Any) -> None:
    assert list(wrong(consentAt=moment)) == ["consentAt"]


def test_consent_is_not_given_in_the_future() -> None:
    assert wrong(consentAt=(datetime.now(UTC) + timedelta(hours=1)).isoformat()) == {"consentAt": "in_future"}
    assert right(consentAt=(datetime.now(UTC) + timedelta(seconds=20)).isoformat())  # clocks differ a little


def test_unknown_fields_are_refused() -> None:
    assert wrong(body="buy now") == {"body": "extra_forbidden"}


@pytest.mark.parametrize("seconds", [4, 86_401, "600", 6.5, True])
def test_delivery_timeouts_that_do_not_pass(seconds: Any) -> None:
    assert list(wrong(deliveryTimeoutSeconds=seconds)) == ["deliveryTimeoutSeconds"]


def test_a_region_lets_the_number_be_national() -> None:
    assert right(phone="(555) 867-5310", region="US").phone == "+15558675310"
    assert list(wrong(region="XX")) == ["region"]


@given(st.fixed_dictionaries({name: st.text() | st.integers() | st.none() | st.floats() for name in GOOD}))
def test_no_input_is_more_than_refused(event: dict[str, Any]) -> None:
    with suppress(ValidationError):
        assert len(OrderShipped.model_validate(event).text()) <= 1600
