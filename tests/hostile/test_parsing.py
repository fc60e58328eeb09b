"""Everything that reads what somebody else has written: it is understood or refused, and nothing else happens."""

import json
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.events import LONGEST_WAIT, _wait
from bulk import UnreadableFile, lines
from carrier.twiml import asks_for_key, replies
from notifications import phone
from notifications.duration import Duration
from notifications.fields import EventId, Printable, Timestamp, WebUrl
from notifications.opt_out import wish_of
from settings import SettingsError, load_settings

ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.text())
EVENT_ID: TypeAdapter[str] = TypeAdapter(EventId)
WEB_URL: TypeAdapter[str] = TypeAdapter(WebUrl)
PRINTABLE: TypeAdapter[str] = TypeAdapter(Printable)
TIMESTAMP: TypeAdapter[Any] = TypeAdapter(Timestamp)


@given(st.text() | st.from_regex(r"(?i)wait *= *\"?\d+", fullmatch=False))
@example("wait=" + "9" * 400)
@example("wait=٣")
@example("wait" + " " * 100_000)
@example("wait=1" * 20_000)
def test_prefer_is_a_number_of_seconds_or_nothing(prefer: str) -> None:
    wait = _wait(prefer)
    assert wait is None or 0 < wait <= LONGEST_WAIT


@given(st.text() | st.from_regex(r"\+?[0-9 ()./-]{3,40}"), st.none() | st.sampled_from(["US", "DE", "BR", "AQ"]))
@example("+" + "٣" * 10, None)
@example("+1555867531０", None)
@example("\0" * 8, "US")
def test_a_number_is_e164_or_refused_without_being_repeated(text: str, region: str | None) -> None:
    try:
        normal = phone.normalise(text, region)
    except phone.InvalidPhone as invalid:
        says = str(invalid)
    else:
        assert phone.E164.fullmatch(normal)
        assert phone.normalise(normal) == normal
        return
    assert len(text) < 8 or text not in says


@given(ANYTHING)
@example("heliograph-retention")
@example("heliograph-retention-2026-11-24T21:00:00Z")
@example("temporal-sys-scheduler:heliograph-retention")
@example("abcdef\n")
@example("аbcdef")
@example("ａｂｃｄｅｆ")
def test_an_event_id_is_harmless_wherever_it_is_put(value: Any) -> None:
    try:
        event_id = EVENT_ID.validate_python(value)
    except ValidationError:
        return
    assert event_id.isascii()
    assert not set(event_id) & set("'\"\\/ %?#&<>\n\r\0")
    assert not event_id.startswith(("heliograph-", "temporal-sys-"))


@pytest.mark.parametrize("event_id", ["heliograph-retention", "heliograph-reconciliation", "temporal-sys-scheduler:x"])
def test_ids_of_other_workflows_are_no_event_ids(event_id: str) -> None:
    with pytest.raises(ValidationError):
        EVENT_ID.validate_python(event_id)


@given(st.text() | st.text("htps:/@.\\%#?[]a1。／＠\u202e\u200b").map("https://".__add__))
def test_a_link_leads_where_it_says(value: str) -> None:
    try:
        url = WEB_URL.validate_python(value)
    except ValidationError:
        return
    parts = urlsplit(url)
    assert parts.scheme.lower() in ("http", "https")
    assert parts.hostname
    assert "@" not in parts.netloc
    assert "\\" not in url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "https:evil.example",
        "https:///evil.example",
        "https://good.example@evil.example/",
        "https://good.example:x@evil.example/",
        "https://good.example\\@evil.example/",
        "https:\\\\evil.example",
        "https://good.example／.evil.example/",
        "https://good.example＠evil.example/",
        "https://good.example\u202e/elpmaxe.live",
        "https://good\u200b.example/",
        "https://good\u00ad.example/",
        "https://good.example:0/",
        "https://good.example:99999/",
        "https://[::1",
        "https://good.example/\nx",
        "//evil.example",
        "https://good.example/ evil",
        "https://good.example/<script>",
    ],
)
def test_a_trick_with_a_link_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        WEB_URL.validate_python(url)


@given(st.text())
@example("\u202edlrow")
@example("a\u2066b")
@example("a\r\nb")
def test_what_is_put_into_a_text_stays_in_its_line_and_its_order(value: str) -> None:
    try:
        printable = PRINTABLE.validate_python(value)
    except ValidationError:
        return
    assert len(printable.splitlines()) <= 1
    assert not set(printable) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\0\x1b\x7f")


@given(ANYTHING)
def test_times_and_durations_are_read_or_refused(value: Any) -> None:
    for read in (TIMESTAMP.validate_python, Duration.parse):
        with suppress(ValueError):
            read(value)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
@example('</Message><Redirect>https://evil.example</Redirect><Message foo="')
@example("]]>&lt;&#10;")
def test_no_text_becomes_twiml(text: str) -> None:
    said = ElementTree.fromstring(replies(text))
    assert [(part.tag, part.text or "") for part in said.iter()] == [("Response", ""), ("Message", text)]
    assert asks_for_key(text, language="en-US", action="https://a.example/?x=1&y=2", timeout=5).count("<Say") == 2


@given(st.text(max_size=1600))
@example("1" + " " * 1_590 + "x")
@example("do not " * 220)
@example("stop " * 300)
def test_a_reply_is_understood_in_no_time(body: str) -> None:
    wish_of(body)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@example(b"eventId,kind\n" + b"[" * 100_000 + b",x")
@example(b"eventId,kind\n\xff")
@example(b"eventId,kind\nx,x\0")
@example(b'eventId,kind\n"' + b"x" * 200_000)
@example(b"eventId,kind,rounds\nx,x," + b"9" * 5_000)
@example("eventId,kind,rounds\nx,x,²".encode())
def test_a_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "events.csv"
    path.write_bytes(content)
    with suppress(UnreadableFile):
        json.dumps([line.event for line in lines(path, "order-shipped")])


NAMES = ["api_keys", "payload_keys", "quiet_hours", "recipient_caps", "link_hosts", "allowed_countries", "port", "host",
         "public_base_url", "twilio_api_base_url", "twilio_from_number", "retain_body_days", "events_webhook_url",
         "events_webhook_secret", "pii_hash_key", "max_body_bytes"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), st.text() | st.from_regex(r"[a-z]+[=:][A-Za-z0-9+/]+,?"), min_size=1))
def test_settings_are_read_or_refused_without_a_secret(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]
) -> None:
    says = ""
    try:
        load_settings(_env_file=None, data_dir=tmp_path_factory.getbasetemp(), **values)
    except SettingsError as wrong:
        says = str(wrong)
    for name in ("api_keys", "payload_keys", "events_webhook_secret", "pii_hash_key"):
        assert len(values.get(name, "")) < 12 or values[name] not in says
