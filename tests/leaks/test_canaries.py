"""The search finds what it is to find, and nothing else."""

import base64
import json
from urllib.parse import quote

import pytest

from tests.leaks.canaries import Canary, Search, code, phone, secret, words

NUMBER = phone("a number", "+15557310042")
WRITTEN = (
    "+15557310042", "15557310042", "5557310042", "(555) 731-0042", "555-731-0042", "555.731.0042", "555 731 0042",
    "+1 555-731-0042", "tel:+1-555-731-0042", "%2B15557310042", "0015557310042", "x5557310042x",
)  # fmt: skip


def found(canary: Canary, data: bytes) -> bool:
    return canary.what in Search([canary])(data)


@pytest.mark.parametrize("text", WRITTEN)
@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_a_number_is_found_however_it_is_written_and_encoded(text: str, before: str) -> None:
    clear = f"{before}{text} and more"
    assert found(NUMBER, clear.encode())
    if "5557310042" in text:
        for encoded in (base64.b64encode(clear.encode()), clear.encode().hex().encode(), clear.encode("utf-16-le")):
            assert found(NUMBER, encoded)


@pytest.mark.parametrize("text", ["***0042", "731-0042", "+15557310043", "555731004", "5 557310042"])
def test_other_numbers_and_masked_ones_are_not(text: str) -> None:
    assert not found(NUMBER, text.encode())


def test_a_short_number_counts_as_a_word_of_its_own() -> None:
    short = phone("short", "+29051731")
    assert found(short, b"to 29051731.")
    assert found(short, b"to 51731,")
    assert not found(short, b"SMa29051731f0")


@pytest.mark.parametrize("write", [json.dumps, lambda text: quote(text, safe=""), str])
def test_words_are_found_escaped(write: object) -> None:
    assert callable(write)
    assert found(words("a name", "Zoë/Wrenbury"), f"<{write('Zoë/Wrenbury')}>".encode())


def test_a_secret_is_found_in_an_authorization_header_and_as_the_bytes_that_it_stands_for() -> None:
    token = secret("a token", "gannet-token-of-somebody")
    assert found(token, b"Authorization: Basic " + base64.b64encode(b"SK123:gannet-token-of-somebody"))
    key = secret("a key", base64.b64encode(b"k" * 32).decode(), b"k" * 32)
    assert found(key, b"payload=" + b"k" * 32)


def test_a_code_is_no_part_of_a_time_or_a_longer_number() -> None:
    sent = code("a code", "004917")
    assert found(sent, b'{"code": "004917"}')
    assert found(sent, base64.b64encode(b"x code 004917"))
    for other in (b"12:00:01.004917+00:00", b"1004917", b"004917f"):
        assert not found(sent, other)
