"""How much of a number may be seen."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.masking import mask, scrub

numbers = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
sids = st.from_regex(r"SM[0-9a-f]{32}", fullmatch=True)


def test_the_last_four_digits_stay() -> None:
    assert mask("+15558675310") == "***5310"


@given(numbers)
def test_four_digits_at_least_are_hidden(number: str) -> None:
    shown = mask(number).lstrip("*")
    assert number.endswith(shown)
    assert len(shown) <= 4
    assert len(number) - 1 - len(shown) >= min(4, len(number) - 1)


@given(st.from_regex(r"\+[0-9]{1,6}", fullmatch=True))
def test_short_numbers_are_not_shown_whole(number: str) -> None:
    assert number[1:] not in mask(number)


@given(st.text(alphabet=" .,:;()'\"=/?&[]{}abc", max_size=20), numbers, st.text(alphabet=" .,:;'\"abc", max_size=20))
def test_no_number_survives_scrubbing(before: str, number: str, after: str) -> None:
    assert number[1:] not in scrub(before + number + after)
    assert number[1:] not in scrub(f"{before}%2B{number[1:]}{after}")


@given(st.from_regex(r"[1-9][0-9]{9,14}", fullmatch=True))
def test_numbers_without_a_plus_do_not_survive_either(digits: str) -> None:
    assert digits not in scrub(f"to {digits}.")


@given(sids)
def test_message_sids_stay_readable(sid: str) -> None:
    assert scrub(f"message {sid} delivered") == f"message {sid} delivered"


@given(st.text())
def test_scrubbing_twice_is_scrubbing_once(text: str) -> None:
    assert scrub(scrub(text)) == scrub(text)
    assert not re.search(r"\+[0-9]{9,15}", scrub(text))


@pytest.mark.parametrize(
    "written",
    ["(555) 867-5310", "555-867-5310", "555.867.5310", "555 867 5310", "555/867-5310", "0151 1234-5310", "41 23 53 10"],
)
def test_a_number_in_groups_does_not_survive(written: str) -> None:
    assert scrub(f"call {written}, please") == "call ***5310, please"


@pytest.mark.parametrize("written", ["8675310", "86753109", "867-5310"])
def test_nor_does_one_without_its_area(written: str) -> None:
    assert written not in scrub(f"call {written}, please")


@pytest.mark.parametrize(
    "text",
    [
        "until 2026-11-24 08:00 UTC", "2026-11-24T08:00:12.123456+00:00", "127.0.0.1:7233", "192.168.100.200",
        "took 12.3456789 s", "superseded by order-shipped:48151623", "Twilio error 30005", "1.35.0", "HTTP 503",
    ],
)  # fmt: skip
def test_dates_addresses_and_event_ids_stay_readable(text: str) -> None:
    assert scrub(text) == text
