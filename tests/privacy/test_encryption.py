"""What is encrypted opens with its key alone; keys rotate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.failure.v1 import Failure
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError

from engine import data_converter
from notifications.operator_text import OperatorText
from privacy.encryption import DecryptionError, KeyedHash, KeyRing

OLD, NEW = {"old": b"0" * 32}, {"new": b"1" * 32}


@given(st.text())
def test_what_goes_in_comes_out(text: str) -> None:
    ring = KeyRing(NEW)
    sealed = ring.encrypt_text(text)
    assert ring.decrypt_text(sealed) == text
    assert len(text) < 6 or text not in sealed


def test_the_same_text_never_looks_the_same() -> None:
    ring = KeyRing(NEW)
    assert ring.encrypt_text("+15558675310") != ring.encrypt_text("+15558675310")


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    sealed = KeyRing(OLD).encrypt_text("hello")
    rotated = KeyRing(NEW | OLD)
    assert rotated.decrypt_text(sealed) == "hello"
    assert rotated.encrypt_text("hello").startswith("new:")
    with pytest.raises(DecryptionError, match="'old' is not in PAYLOAD_KEYS"):
        KeyRing(NEW).decrypt_text(sealed)


def test_tampering_is_noticed() -> None:
    key_id, sealed = KeyRing(NEW).encrypt(b"hello")
    for broken in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:10], b""):
        with pytest.raises(DecryptionError):
            KeyRing(NEW).decrypt(key_id, broken)
    with pytest.raises(DecryptionError):
        KeyRing(NEW | {"x": b"1" * 32}).decrypt("x", sealed)  # the key's name is authenticated too


@pytest.mark.parametrize("keys", [{}, {"short": b"0" * 31}])
def test_a_ring_needs_keys_of_32_bytes(keys: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="key"):
        KeyRing(keys)


async def test_temporal_gets_nothing_in_clear() -> None:
    converter = data_converter(KeyRing(NEW))
    [payload] = await converter.encode([{"phone": "+15558675310"}])
    assert payload.metadata["encoding"] == b"binary/encrypted"
    assert b"8675310" not in payload.SerializeToString()
    assert await converter.decode([payload]) == [{"phone": "+15558675310"}]


async def test_a_failure_gives_nothing_away() -> None:
    converter, failure = data_converter(KeyRing(NEW)), Failure()
    error = ApplicationError("no luck with +15558675310", {"to": "+15558675310"}, type="Refused")
    error.__cause__ = ValueError("+15558675310 is engaged")
    await converter.encode_failure(error, failure)
    assert b"8675310" not in failure.SerializeToString()
    assert failure.application_failure_info.type == "Refused"
    told = await converter.decode_failure(failure)
    assert "no luck with +15558675310" in str(told)
    assert "engaged" in str(told.__cause__)


async def test_only_what_was_written_for_operators_stays_readable() -> None:
    converter = data_converter(KeyRing(NEW))
    summary, word, details = await converter.encode(
        [OperatorText("order-shipped to ***5310"), "a word", WorkflowMetadata(current_details="waits")]
    )
    assert b"***5310" in summary.data
    assert b"waits" in details.data
    assert b"a word" not in word.data
    assert (await converter.decode([summary, word])) == ["order-shipped to ***5310", "a word"]


async def test_what_was_not_encrypted_is_read_all_the_same() -> None:
    [plain] = await pydantic_data_converter.encode([{"from": "the UI"}])
    assert await data_converter(KeyRing(NEW)).decode([plain]) == [{"from": "the UI"}]


def test_hashes_differ_by_purpose_and_key() -> None:
    hashes = {
        KeyedHash(b"a" * 32).of("recipient", "+15558675310"),
        KeyedHash(b"a" * 32).of("content", "+15558675310"),
        KeyedHash(b"b" * 32).of("recipient", "+15558675310"),
    }
    assert len(hashes) == 3
    assert all(len(one) == 32 for one in hashes)
