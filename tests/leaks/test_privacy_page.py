"""docs/privacy.md names every place, and every setting as it is."""

from typing import Any

import pytest

from notifications.per_name import PerName
from settings import Settings
from store.schema import metadata
from tests.leaks.page import NOT_PERSONAL, PLACES, SETTINGS
from workflows import search_attributes

COLUMNS = {f"{table.name}.{column.name}" for table in metadata.sorted_tables for column in table.columns}
ATTRIBUTES = {f"search attribute {key.name}" for key in search_attributes.ALL}


def test_every_column_and_every_search_attribute_is_listed_as_personal_or_not() -> None:
    """A new one has to be thought about before it is there."""
    assert not (COLUMNS | ATTRIBUTES) - PLACES.keys() - NOT_PERSONAL


def test_nothing_is_listed_that_is_not_there_or_twice() -> None:
    listed = {place for place in PLACES.keys() | NOT_PERSONAL if "." in place or place.startswith("search attribute")}
    assert listed <= COLUMNS | ATTRIBUTES, listed - COLUMNS - ATTRIBUTES
    assert not PLACES.keys() & NOT_PERSONAL


def test_no_search_attribute_is_more_than_a_hash() -> None:
    """Temporal encrypts none of them."""
    assert [place for place in PLACES if place.startswith("search attribute")] == ["search attribute RecipientHash"]


@pytest.mark.parametrize(("name", "default"), SETTINGS.items())
def test_the_settings_have_the_defaults_that_are_told(name: str, default: str) -> None:
    assert _told(Settings.model_fields[name.lower()].default) == default


def test_the_settings_of_retention_are_all_told() -> None:
    assert {name for name in Settings.model_fields if name.startswith(("retain_", "redact_"))} <= {
        name.lower() for name in SETTINGS
    }


def _told(value: Any) -> str:
    if isinstance(value, PerName):
        return f"{value.default} days"
    return "not set" if value is None else f"{value} days" if isinstance(value, int) else str(value)
