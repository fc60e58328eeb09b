"""Payloads in clear: what PAYLOAD_KEYS opens, and in it what the recipients' own keys open."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.common.v1 import Payload

from privacy.encryption import DecryptionError, EncryptingCodec, KeyRing
from store.vault import Vault

PATIENCE = 2.0  # seconds for the database; the UI would show nothing meanwhile

log = structlog.stdlib.get_logger("heliograph.codec")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Payloads in the order in which they came."""

    payloads: tuple[Payload, ...]
    erased: int
    """How many numbers and texts in them are gone with their recipient's key."""
    unreadable: int
    """How many payloads no key of the ring opens."""


class Decoder:
    """Never refuses a payload: beside one that cannot be opened, others can."""

    def __init__(self, ring: KeyRing, vault: Vault) -> None:
        self._codec = EncryptingCodec(ring)
        self._vault = vault

    async def decode(self, payloads: Sequence[Payload]) -> Decoded:
        opened, erased, unreadable = [], 0, 0
        for payload in payloads:
            try:
                (clear,) = await self._codec.decode([payload])
            except DecryptionError as failure:
                unreadable += 1
                opened.append(_note(f"cannot be read: {failure}"))
                continue
            clear, gone = await self._open_within(clear)
            opened.append(clear)
            erased += gone
        return Decoded(tuple(opened), erased, unreadable)

    async def _open_within(self, payload: Payload) -> tuple[Payload, int]:
        try:
            text = payload.data.decode()
        except UnicodeDecodeError:
            return payload, 0
        try:
            async with asyncio.timeout(PATIENCE):
                text, erased = await self._vault.clear(text)
        except (SQLAlchemyError, OSError, TimeoutError) as failure:
            log.warning("numbers and texts stay sealed: the database is away", error=type(failure).__name__)
            return payload, 0
        return Payload(metadata=payload.metadata, data=text.encode()), erased


def _note(says: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(says).encode())
