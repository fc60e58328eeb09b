"""A recipient's own key: destroying it makes every copy of what was said to him unreadable, in backups too."""

import base64
import os
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from notifications.confidential import Confidential
from privacy.encryption import KEY_BYTES, NONCE_BYTES, DecryptionError, KeyRing

# "r" and a recipient's key, or "k" and one of PAYLOAD_KEYS.
_TOKEN = re.compile(r"sealed:([rk])/([A-Za-z0-9._-]{1,40}):([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class Token:
    """What a sealed text says of itself."""

    of_recipient: bool
    """Whether a recipient's key opens it, or one of PAYLOAD_KEYS."""
    key_id: str
    sealed: bytes


def token(text: str) -> Token | None:
    """None for a text that was never sealed."""
    if (found := _TOKEN.fullmatch(text)) is None:
        return None
    kind, key_id, data = found.groups()
    return Token(kind == "r", key_id, base64.b64decode(data))


def tokens(text: str) -> dict[str, Token]:
    """All sealed texts that stand somewhere in a text, by themselves."""
    found = {match.group(): token(match.group()) for match in _TOKEN.finditer(text)}
    return {written: one for written, one in found.items() if one is not None}


class RecipientKey:
    """AES-256-GCM; its id is authenticated with every text."""

    def __init__(self, key_id: str, key: bytes) -> None:
        self.id = key_id
        self._cipher = AESGCM(key)

    @classmethod
    def new(cls, ring: KeyRing) -> "tuple[RecipientKey, str]":
        """A random one, and itself sealed under the ring, for the database."""
        key_id, key = os.urandom(8).hex(), os.urandom(KEY_BYTES)
        return cls(key_id, key), ring.encrypt_text(base64.b64encode(key).decode())

    @classmethod
    def opened(cls, ring: KeyRing, key_id: str, sealed: str) -> "RecipientKey":
        """Raises DecryptionError."""
        return cls(key_id, base64.b64decode(ring.decrypt_text(sealed)))

    def seal(self, text: str) -> Confidential:
        nonce = os.urandom(NONCE_BYTES)
        return _written("r", self.id, nonce + self._cipher.encrypt(nonce, text.encode(), self.id.encode()))

    def open(self, sealed: Token) -> str:
        """Raises DecryptionError."""
        nonce, data = sealed.sealed[:NONCE_BYTES], sealed.sealed[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, data, self.id.encode()).decode()
        except (InvalidTag, ValueError):
            raise DecryptionError(f"what recipient key {self.id!r} should open was tampered with") from None


def seal_without_recipient(ring: KeyRing, text: str) -> Confidential:
    """Under PAYLOAD_KEYS: what is said to nobody in particular, or while the recipients' keys are out of reach."""
    key_id, sealed = ring.encrypt(text.encode())
    return _written("k", key_id, sealed)


def _written(kind: str, key_id: str, sealed: bytes) -> Confidential:
    return Confidential(f"sealed:{kind}/{key_id}:{base64.b64encode(sealed).decode()}")
