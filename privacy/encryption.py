"""AES-256-GCM under named keys: the first one encrypts, all decrypt, so that keys rotate without downtime."""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import PayloadCodec

from notifications.operator_text import OperatorText

NONCE_BYTES = 12  # NIST SP 800-38D, 8.2: 96 bits
KEY_BYTES = 32


class DecryptionError(Exception):
    """No key of the ring opens it, or it was tampered with."""


class KeyRing:
    """Keys by their id, in order; the first encrypts."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise ValueError("at least one payload key is needed")
        for key_id, key in keys.items():
            if len(key) != KEY_BYTES:
                raise ValueError(f"payload key {key_id!r} must have {KEY_BYTES} bytes")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = next(iter(keys))

    def encrypt(self, clear: bytes) -> tuple[str, bytes]:
        """The id of the key that was used, and nonce + ciphertext + tag. The id is authenticated too."""
        nonce = os.urandom(NONCE_BYTES)
        return self.current, nonce + self._ciphers[self.current].encrypt(nonce, clear, self.current.encode())

    def decrypt(self, key_id: str, sealed: bytes) -> bytes:
        """Raises DecryptionError."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise DecryptionError(f"payload key {key_id!r} is not in PAYLOAD_KEYS")
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], key_id.encode())
        except (InvalidTag, ValueError):
            raise DecryptionError(f"what payload key {key_id!r} should open was tampered with") from None

    def encrypt_text(self, clear: str) -> str:
        """For a database column: `keyid:base64`."""
        key_id, sealed = self.encrypt(clear.encode())
        return f"{key_id}:{base64.b64encode(sealed).decode()}"

    def decrypt_text(self, sealed: str) -> str:
        """Raises DecryptionError."""
        encoded = sealed.rpartition(":")[2]
        return self.decrypt(key_id_of(sealed), base64.b64decode(encoded)).decode()


def key_id_of(sealed: str) -> str:
    """Of a database column: which key it is sealed under."""
    return sealed.rpartition(":")[0]


class KeyedHash:
    """HMAC-SHA256 under `PII_HASH_KEY`: the same number always has the same hash, and only the key's owner can
    go through all numbers to undo it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, purpose: str, text: str) -> str:
        """32 hex digits. Another purpose gives another hash, so that columns cannot be joined by accident."""
        return hmac.new(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()[:32]


READABLE = "heliograph-readable"  # marks a payload that stays as it is


class OperatorReadableConverter(PydanticPayloadConverter):
    """Marks what was written for operators: summaries made as OperatorText, and a workflow's current details."""

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        payloads = super().to_payloads(values)
        for value, payload in zip(values, payloads, strict=True):
            if isinstance(value, OperatorText | WorkflowMetadata):
                payload.metadata[READABLE] = b"1"
        return payloads


class EncryptingCodec(PayloadCodec):
    """Everything that Temporal stores of ours but OperatorText: inputs, results, signals, memos and failures."""

    ENCODING = b"binary/encrypted"

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._open(payload) for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        if READABLE in payload.metadata:
            return payload
        key_id, sealed = self._ring.encrypt(payload.SerializeToString())
        return Payload(metadata={"encoding": self.ENCODING, "encryption-key-id": key_id.encode()}, data=sealed)

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != self.ENCODING:
            return payload
        key_id = payload.metadata["encryption-key-id"].decode(errors="replace")
        return Payload.FromString(self._ring.decrypt(key_id, payload.data))
