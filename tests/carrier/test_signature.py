"""Twilio's signature: its own published example, and what proxies and attackers do."""

import pytest
from starlette.datastructures import FormData
from twilio.request_validator import RequestValidator

from carrier.signature import Signatures

TOKEN = "12345"
BASE = "https://example.com"
# https://www.twilio.com/docs/usage/security, "Validating signatures from Twilio"
PATH, QUERY, SIGNATURE = b"/myapp.php", b"foo=1&bar=2", "L/OH5YylLD5NRKLltdqwSvS0BnU="
FORM = FormData(
    [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675310"),
        ("Digits", "1234"),
        ("From", "+14158675310"),
        ("To", "+18005551212"),
    ]
)


def test_twilios_published_example() -> None:
    assert Signatures([TOKEN], BASE).genuine(PATH, QUERY, FORM, SIGNATURE)


def test_during_a_rotation_either_token_signs() -> None:
    assert Signatures(["new", TOKEN], BASE).genuine(PATH, QUERY, FORM, SIGNATURE)
    assert not Signatures(["new"], BASE).genuine(PATH, QUERY, FORM, SIGNATURE)


@pytest.mark.parametrize("signature", [None, "", "x", "L/OH5YylLD5NRKLltdqwSvS0BnU", SIGNATURE.lower(), "ü"])
def test_other_signatures_do_not_pass(signature: str | None) -> None:
    assert not Signatures([TOKEN], BASE).genuine(PATH, QUERY, FORM, signature)


@pytest.mark.parametrize(
    ("path", "query"),
    [(b"/myapp.php/", QUERY), (b"/Myapp.php", QUERY), (PATH, b"bar=2&foo=1"), (PATH, b""), (PATH, b"foo=1&bar=%32")],
)
def test_another_url_does_not_pass(path: bytes, query: bytes) -> None:
    assert not Signatures([TOKEN], BASE).genuine(path, query, FORM, SIGNATURE)


def test_another_host_does_not_pass() -> None:
    assert not Signatures([TOKEN], "https://example.org").genuine(PATH, QUERY, FORM, SIGNATURE)


@pytest.mark.parametrize(
    "base", ["https://example.com:8443", "http://127.0.0.1:8080", "https://example.com/behind/a/prefix"]
)
def test_ports_and_prefixes_count_as_twilio_was_given_them(base: str) -> None:
    form = FormData([("Blank", ""), ("Name", "ü 💌"), ("Same", "b"), ("Same", "a")])
    signature = RequestValidator(TOKEN).compute_signature(f"{base}/x?y=%2f", form)
    assert Signatures([TOKEN], base).genuine(b"/x", b"y=%2f", form, signature)


@pytest.mark.parametrize("query", [b"bodySHA256=abc", b"bodySHA256=", b"\xff\xfe", b"x" * 5000])
def test_nothing_makes_the_check_fail_otherwise_than_by_no(query: bytes) -> None:
    for form in (FormData(), FORM):
        assert not Signatures([TOKEN], BASE).genuine(PATH, query, form, SIGNATURE)
