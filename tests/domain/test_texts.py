"""What is said in which language, and what it takes."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.kinds import KINDS
from notifications.segments import Encoding, measure
from notifications.texts import Texts

HELLO = Texts({"en": "Hello {name}", "de": "Hallo {name}", "pt-BR": "Olá {name}"})
VECTORS = json.loads((Path(__file__).parent / "segment_vectors.json").read_text())


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        (None, "Hello Ann"),
        ("de", "Hallo Ann"),
        ("de-AT", "Hallo Ann"),
        ("de_CH", "Hallo Ann"),
        ("DE-de-x-private", "Hallo Ann"),
        ("pt-BR", "Olá Ann"),
        ("pt", "Hello Ann"),  # Brazilian words are not everyone's Portuguese
        ("sv", "Hello Ann"),
    ],
)
def test_a_locale_gets_its_language_or_the_nearest(locale: str | None, said: str) -> None:
    assert HELLO.say(locale, name="Ann") == said


def test_braces_in_a_value_mean_nothing() -> None:
    assert HELLO.say("en", name="{name} {0} {x.__class__}") == "Hello {name} {0} {x.__class__}"


def test_every_language_has_the_same_fields() -> None:
    with pytest.raises(ValueError, match="other fields"):
        Texts({"en": "Hello {name}", "de": "Hallo"})
    with pytest.raises(ValueError, match="needs 'en'"):
        Texts({"de": "Hallo"})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_speaks_four_languages_in_one_segment(kind: str) -> None:
    texts = KINDS[kind].texts
    assert {"en", "es", "de", "ja"} <= texts.languages
    for language in texts.languages:
        assert measure(texts.say(language, **dict.fromkeys(texts.fields, "48151623"))).segments == 1


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{len(vector['text'])}-{vector['encoding']}")
def test_segments_are_counted_as_twilio_counts_them(vector: dict[str, object]) -> None:
    """The vectors were made with Twilio's own calculator, the npm package sms-segments-calculator 1.3.0."""
    size = measure(str(vector["text"]))
    assert (size.encoding, size.segments) == (vector["encoding"], vector["segments"])


@given(st.text(max_size=400))
def test_more_text_never_takes_fewer_segments(text: str) -> None:
    whole = measure(text)
    assert whole.segments >= measure(text[: len(text) // 2]).segments
    assert (whole.encoding is Encoding.UCS_2) or whole.units >= len(text)
