"""An auditor that cannot find a planted loss or duplicate is no auditor."""

import dataclasses
from typing import Any

import pytest

from tests.chaos.auditor import Records, audit

SID, OTHER = "SM" + "a" * 32, "SM" + "b" * 32


def records(
    *,
    status: str = "delivered",
    texts: tuple[tuple[str, str], ...] = ((SID, "delivered"),),
    told: tuple[str, ...] = (),
    sid: str | None = SID,
    answers: tuple[dict[str, Any], ...] = (),
) -> Records:
    """One event, as the three records have it."""
    return Records(
        acknowledged={"event-1": "+15550000001"},
        answers={"event-1": [{"accepted": True}, *answers]},
        texts={"+15550000001": [{"sid": one, "status": state, "callbacks": []} for one, state in texts]},
        stories={"event-1": {"status": status, "sid": sid}},
        notices={"event-1": list(told)},
    )


def test_a_delivered_event_is_in_order() -> None:
    found = audit(records())
    assert found.clean
    assert (found.acknowledged, found.delivered) == (1, 1)


@pytest.mark.parametrize("status", ["undelivered", "failed", "expired", "canceled"])
def test_what_was_not_delivered_must_have_been_told(status: str) -> None:
    told = audit(records(status=status, texts=(), sid=None, told=("refused",)))
    assert (told.clean, told.not_delivered_and_told) == (True, 1)
    untold = audit(records(status=status, texts=(), sid=None))
    assert list(untold.lost) == ["event-1"]


@pytest.mark.parametrize("status", ["unknown", "sent", "sending", "pending"])
def test_what_has_no_end_must_have_been_told(status: str) -> None:
    texts = ((SID, "sent"),)
    told = audit(records(status=status, texts=texts, told=("unknown",)))
    assert (told.clean, told.unknown_and_told) == (True, 1)
    assert list(audit(records(status=status, texts=texts)).lost) == ["event-1"]


def test_an_event_that_heliograph_does_not_know_is_lost() -> None:
    forgotten = dataclasses.replace(records(), stories={"event-1": None})
    assert list(audit(forgotten).lost) == ["event-1"]


@pytest.mark.parametrize("status", ["delivered", "unknown", "failed"])
def test_two_texts_are_found_whatever_heliograph_says(status: str) -> None:
    twice = records(status=status, texts=((SID, "delivered"), (OTHER, "sent")), told=("unknown",))
    assert list(audit(twice).texted_twice) == ["event-1"]


def test_two_texts_for_an_event_that_nobody_was_answered_for_are_found() -> None:
    twice = records(texts=((SID, "delivered"), (OTHER, "delivered")))
    found = audit(dataclasses.replace(twice, acknowledged={}, stories={}, answers={}))
    assert list(found.texted_twice) == ["+15550000001"]


def test_where_twilio_contradicts_itself_either_word_is_right() -> None:
    both = records(status="undelivered", told=("not_delivered",))
    both.texts["+15550000001"][0]["callbacks"] += [{"status": "delivered"}, {"status": "undelivered"}]
    assert audit(both).clean


@pytest.mark.parametrize(
    "wrong",
    [
        records(status="delivered", texts=((SID, "undelivered"),)),
        records(status="delivered", texts=(), sid=None),
        records(status="undelivered", texts=((SID, "delivered"),), told=("not_delivered",)),
        records(sid=OTHER),
        records(answers=({"duplicate": True, "sid": OTHER},)),
        records(answers=({"sid": SID}, {"sid": OTHER})),
    ],
)
def test_what_heliograph_or_its_answers_say_wrongly_is_found(wrong: Records) -> None:
    assert list(audit(wrong).wrong) == ["event-1"]
