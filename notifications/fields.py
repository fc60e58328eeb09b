"""The sorts of fields that requests are made of, each with its rule and its example."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

CLOCK_SKEW = timedelta(minutes=1)  # by how much a caller's clock may be ahead of ours

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)", re.IGNORECASE | re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
_INVISIBLE = re.compile(r"[\u00ad\u034f\u061c\u180e\u200b-\u200f\u2060-\u206f\ufeff\U000e0000-\U000e0fff]")
# They turn the order of what is read around, so that a text shows another link or amount than it holds.
_REORDERING = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
# Workflows that are not events go by such IDs: our schedules and their runs, and Temporal's own.
RESERVED = re.compile(r"heliograph-|temporal-sys-", re.ASCII)


def timestamp(value: Any) -> datetime:
    """Keeps the offset that it was written with. Raises ValueError, for one without an offset too."""
    wrong = PydanticCustomError(
        "timestamp", "must be an ISO 8601 date and time with its offset, for example 2026-11-23T09:30:00+01:00"
    )
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise wrong
        return value
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        raise wrong
    try:
        moment = datetime.fromisoformat(value.upper())
        if not 2000 <= moment.astimezone(UTC).year < 2200:
            raise wrong
    except (ValueError, OverflowError):
        raise wrong from None
    return moment


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _not_in_future(moment: datetime) -> datetime:
    if moment > datetime.now(UTC) + CLOCK_SKEW:
        raise PydanticCustomError("in_future", "must not be in the future")
    return moment


def _web_url(value: str) -> str:
    wrong = PydanticCustomError("web_url", "must be an http or https URL, for example https://example.com/t/1Z999")
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise wrong from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise wrong
    if re.search(r"[\s\"<>\\^`{|}]", value) or _INVISIBLE.search(value):
        raise wrong
    if parts.username is not None or parts.password is not None:
        raise wrong
    return value


def _printable(value: str) -> str:
    if _CONTROL.search(value):
        raise PydanticCustomError("control_character", "must not hold line breaks or control characters")
    if _REORDERING.search(value):
        raise PydanticCustomError("reordering_character", "must not hold characters that change the order of others")
    return value


def _not_reserved(value: str) -> str:
    if RESERVED.match(value):
        raise PydanticCustomError("reserved", "must not begin with heliograph- or temporal-sys-: others go by such IDs")
    return value


ZonedTimestamp = Annotated[
    datetime,
    BeforeValidator(timestamp, json_schema_input_type=str),
    Field(json_schema_extra={"format": "date-time", "examples": ["2026-11-20T09:30:00+01:00"]}),
]
"""Keeps the offset that it was written with."""
Timestamp = Annotated[ZonedTimestamp, AfterValidator(_in_utc)]
PastTimestamp = Annotated[Timestamp, AfterValidator(_not_in_future)]
Printable = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_printable)]
WebUrl = Annotated[Printable, Field(max_length=1000), AfterValidator(_web_url)]
EventId = Annotated[
    str,
    Field(
        min_length=6,
        max_length=120,
        pattern=r"^[A-Za-z0-9._:@-]+$",
        description="Yours, unique per business event. It is the Temporal workflow ID; the same one never texts twice. "
        "Not beginning with `heliograph-` or `temporal-sys-`.",
        examples=["order-shipped:48151623"],
    ),
    AfterValidator(_not_reserved),
]
Locale = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$",
        max_length=35,
        description="The recipient's language, a BCP 47 tag.",
        examples=["en-US"],
    ),
]
