"""Typographic look-alikes do not make a text cost twice; nothing else is changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.segments import Encoding, measure
from notifications.smart_encoding import economical


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("It’s “here” – now…", 'It\'s "here" - now...'),
        ("5\u202f%\u00a0of «all»", '5 % of "all"'),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("cafe\u0301", "café"),
        ("plain", "plain"),
    ],
)
def test_look_alikes_are_replaced(typed: str, sent: str) -> None:
    assert economical(typed) == sent


@pytest.mark.parametrize("typed", ["‘日本’", "sábado – “hoy”", "👩\u200d🚒 – “on her way”"])
def test_a_text_that_needs_ucs_2_anyway_stays_as_it_is(typed: str) -> None:
    assert economical(typed) == typed


@given(st.text(max_size=300))
def test_it_never_costs_more_and_twice_is_once(text: str) -> None:
    sent = economical(text)
    assert sent == text or measure(sent).encoding is Encoding.GSM_7
    assert economical(sent) == sent
    if measure(text).encoding is Encoding.GSM_7:
        assert sent == text
