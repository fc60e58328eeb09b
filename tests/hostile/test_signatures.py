"""Twilio's signature on whatever bytes come: genuine is what Twilio signed, and nothing makes the check fail."""

import re
from typing import Any
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData
from starlette.formparsers import FormParser
from starlette.requests import Request
from twilio.request_validator import RequestValidator

from api.inbound import Inbound
from api.problems import Problem
from api.twilio import Form, StatusCallback, event_of, leg_of, read
from api.voice import CallStatus, PressedKey
from carrier.signature import Signatures

TOKEN = "a-token-of-twenty-characters"
ACCOUNT = "AC" + "0" * 32
BASES = st.sampled_from(
    ["https://example.com", "http://127.0.0.1:8080", "https://example.com:8443", "https://example.com/behind/a/prefix",
     "https://example.com:443", "http://example.com:80", "https://xn--e1afmkfd.example"]
)  # fmt: skip
TEXT = st.text(max_size=40)
NAMES = st.from_regex(r"[B-Za-z][A-Za-z0-9]{0,19}", fullmatch=True)
RAW = st.binary(max_size=80)
FIELDS = ["MessageSid", "CallSid", "MessageStatus", "CallStatus", "ErrorCode", "From", "To", "Body", "Digits"]
PAIRS = st.lists(st.tuples(NAMES, TEXT), max_size=12)
SEGMENTS = st.text("abcXYZ019-._~!$&'()*+,=:@%", max_size=20)
QUERIES = st.lists(st.tuples(TEXT, TEXT), max_size=4).map(urlencode) | st.text("ab=&%+;/?:@19[]", max_size=40)


def form_as_it_comes(pairs: list[tuple[str, str]]) -> bytes:
    return urlencode([("AccountSid", ACCOUNT), *pairs]).encode()


async def parsed(body: bytes) -> FormData:
    """As the API reads it."""

    async def stream() -> Any:
        yield body

    return await FormParser({"content-type": "application/x-www-form-urlencoded"}, stream()).parse()  # type: ignore[arg-type]


def dictionary(pairs: list[tuple[str, str]]) -> FormData:
    return FormData([("AccountSid", ACCOUNT), *pairs])


@given(BASES, SEGMENTS, QUERIES, PAIRS)
async def test_what_twilio_signs_passes(base: str, path: str, query: str, pairs: list[tuple[str, str]]) -> None:
    """Repeated parameters, blank values, emoji, `+` and `%20`, ports and trailing slashes."""
    url = f"{base}/{path}" + (f"?{query}" if query else "")
    signature = RequestValidator(TOKEN).compute_signature(url, dictionary(pairs))
    form = await parsed(form_as_it_comes(pairs))
    assert Signatures([TOKEN], base, ACCOUNT).genuine(f"/{path}".encode(), query.encode(), form, signature)


@given(QUERIES, PAIRS, QUERIES, PAIRS)
async def test_nothing_else_passes_with_it(
    query: str, pairs: list[tuple[str, str]], other_query: str, other_pairs: list[tuple[str, str]]
) -> None:
    def row(query: str, pairs: list[tuple[str, str]]) -> str:
        return query + "".join(name + value for name, value in sorted(set(pairs)))

    base = "https://example.com"
    signature = RequestValidator(TOKEN).compute_signature(f"{base}/x?q={query}", dictionary(pairs))
    form = await parsed(form_as_it_comes(other_pairs))
    genuine = Signatures([TOKEN], base, ACCOUNT).genuine(b"/x", f"q={other_query}".encode(), form, signature)
    assert genuine == (row(query, pairs) == row(other_query, other_pairs))


@given(RAW, RAW, st.binary(max_size=200), st.none() | TEXT | RAW.map(lambda raw: raw.decode("latin-1")))
async def test_no_bytes_make_it_fail_or_pass(path: bytes, query: bytes, body: bytes, signature: str | None) -> None:
    form = await parsed(body)
    for account in (None, ACCOUNT):
        assert not Signatures([TOKEN, TOKEN[::-1]], "https://example.com", account).genuine(
            path, query, form, signature
        )


def test_the_end_of_the_url_cannot_be_moved() -> None:
    """`…eventId=12` + `AccountSid…` and `…eventId=1` + `2AccountSid…` are signed alike."""
    base, form = "https://example.com", FormData([("AccountSid", ACCOUNT), ("MessageSid", "SM1")])
    signature = RequestValidator(TOKEN).compute_signature(f"{base}/x?eventId=order-12", form)
    moved = FormData([("2AccountSid", ACCOUNT), ("MessageSid", "SM1")])
    blank = FormData([("2", ""), ("AccountSid", ACCOUNT), ("MessageSid", "SM1")])
    torn = FormData([("2Acc", f"ountSid{ACCOUNT}"), ("MessageSid", "SM1")])
    swallowed = FormData([("MessageSid", "SM1")])
    for query, other in (
        (b"eventId=order-1", moved),
        (b"eventId=order-1", blank),
        (b"eventId=order-1", torn),
        (f"eventId=order-12AccountSid{ACCOUNT}".encode(), swallowed),
    ):
        assert Signatures([TOKEN], base).genuine(b"/x", query, other, signature)
        assert not Signatures([TOKEN], base, ACCOUNT).genuine(b"/x", query, other, signature)
    for sid in ("AC1", ACCOUNT[::-1]):
        other = FormData([("AccountSid", sid), ("MessageSid", "SM1")])
        elsewhere = RequestValidator(TOKEN).compute_signature(f"{base}/x", other)
        assert not Signatures([TOKEN], base, ACCOUNT).genuine(b"/x", b"", other, elsewhere)
    twice = FormData([("AccountSid", ACCOUNT), ("AccountSid", "AC1"), ("MessageSid", "SM1")])
    assert not Signatures([TOKEN], base, ACCOUNT).genuine(b"/x", b"eventId=order-12", twice, signature)


def test_a_form_that_names_no_account_passes_when_it_was_signed() -> None:
    """Twilio's own always name one; who tries the endpoint by hand may not."""
    base, form = "https://example.com", FormData([("MessageSid", "SM1"), ("MessageStatus", "sent")])
    signature = RequestValidator(TOKEN).compute_signature(f"{base}/x?eventId=order-12", form)
    assert Signatures([TOKEN], base, ACCOUNT).genuine(b"/x", b"eventId=order-12", form, signature)


@given(
    st.sampled_from([StatusCallback, CallStatus, PressedKey, Inbound]),
    st.dictionaries(
        st.sampled_from(FIELDS) | TEXT,
        TEXT | st.integers().map(str) | st.sampled_from(["SM" + "0" * 32, "CA" + "0" * 32, "delivered", "completed"]),
    ),
)
def test_a_callback_is_read_or_refused(model: type[Form], fields: dict[str, str]) -> None:
    try:
        callback = read(model, FormData(fields))
    except Problem as problem:
        refusal = problem
    else:
        if isinstance(callback, StatusCallback | CallStatus):
            assert callback.error_code is None or 0 <= callback.error_code < 2**31
            callback.report(1)
        return
    assert refusal.status == 400
    assert not any(len(value) > 8 and value in str(refusal.details) for value in fields.values())


@given(st.binary(max_size=200))
def test_an_event_and_a_leg_are_read_from_any_query(query: bytes) -> None:
    request = Request({"type": "http", "query_string": query, "headers": []})
    event_id = event_of(request)
    assert event_id is None or re.fullmatch(r"[A-Za-z0-9._:@-]{6,120}", event_id)
    assert 1 <= leg_of(request) <= 9_999
