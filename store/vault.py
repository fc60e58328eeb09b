"""The recipients' keys, and what they seal. To forget a recipient is to delete his row here."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.confidential import Confidential
from notifications.notification import Leg, Message, NotificationRequest, Recipient
from notifications.storm import Storm
from privacy.encryption import DecryptionError, KeyRing
from privacy.sealing import RecipientKey, Token, seal_without_recipient, token, tokens
from store.database import Database, insert_new
from store.schema import recipients

USED_AT_LAGS = timedelta(days=1)
"""How far `recipients.used_at` may be behind: a busy recipient costs one write a day."""

PATIENCE = 1.5  # seconds for the database, while a caller waits

log = structlog.stdlib.get_logger("heliograph.vault")


# Built once: to build one anew takes longer than SQLite takes to run it.
_KEY = select(recipients.c.sealed_key).where(recipients.c.key_id == bindparam("key_id"))
_KNOWN = select(recipients.c.recipient_hash, recipients.c.key_id, recipients.c.sealed_key).where(
    recipients.c.recipient_hash.in_(bindparam("hashes", expanding=True))
)
_KNOWN_SINCE = _KNOWN.where(recipients.c.used_at >= bindparam("used_since"))
_USED = update(recipients).where(
    recipients.c.recipient_hash == bindparam("of_recipient"), recipients.c.used_at < bindparam("used_before")
)


class Erased(Exception):
    """The recipient was forgotten: the key that would open it is destroyed."""


class Vault:
    """Seals what an event says to whom, and opens it for the one moment in which it is handed to Twilio."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    async def seal(self, request: NotificationRequest) -> NotificationRequest:
        """The request with every number and every text sealed, each under its recipient's key; other texts of the
        event under the first one's.

        Where the database is away they are sealed under PAYLOAD_KEYS: an event is not refused for that.
        """
        everyone = {one.hash: one for one in (request.recipient, *(step.recipient for step in request.steps)) if one}
        keys = await self._keys(one for one in everyone.values() if one.phone)
        steps = tuple(
            step.model_copy(
                update={
                    "recipient": self._sealed_recipient(step.recipient, keys) if step.recipient else None,
                    "body": self._seal(step.recipient, step.body, keys),
                }
            )
            for step in request.steps
        )
        first = request.recipient
        storm = request.storm and request.storm.model_copy(
            update={
                "alone": self._seal(first, request.storm.alone, keys),
                "digest": tuple(self._seal(first, part, keys) for part in request.storm.digest),
            }
        )
        return request.model_copy(
            update={
                "recipient": self._sealed_recipient(first, keys),
                "body": self._seal(first, request.body, keys),
                "steps": steps,
                "storm": storm,
                "operator_note": request.operator_note and self._seal(first, request.operator_note, keys),
                "content": request.content and self._seal(first, request.content, keys),
            }
        )

    async def reworded(self, request: NotificationRequest, body: str) -> NotificationRequest:
        """The request with another text, sealed as the number is. Raises SQLAlchemyError, Erased."""
        async with self._database.read() as connection:
            number = token(request.recipient.phone)
            key = await self._key(connection, number) if number and number.of_recipient else None
        sealed = key.seal(body) if key else seal_without_recipient(self._ring, body)
        return request.model_copy(update={"body": sealed})

    async def message(self, leg: Leg, connection: AsyncConnection | None = None) -> Message:
        """What is handed to Twilio for a leg. Raises Erased, SQLAlchemyError."""
        to, body = await self.open_all((leg.request.recipient.phone, leg.request.body), connection)
        return Message(to=to, body=body)

    async def storm(self, storm: Storm) -> Storm:
        """Raises Erased, SQLAlchemyError."""
        alone, *digest = await self.open_all((storm.alone, *storm.digest))
        return storm.model_copy(update={"alone": alone, "digest": tuple(digest)})

    async def open(self, text: str) -> str:
        """Raises Erased, SQLAlchemyError."""
        return (await self.open_all((text,)))[0]

    async def open_all(self, texts: Iterable[str], connection: AsyncConnection | None = None) -> list[str]:
        """Each text opened; one that was never sealed as it is. Raises Erased, SQLAlchemyError."""
        keys: dict[str, RecipientKey] = {}  # number and text of a message have the same
        if connection is not None:
            return [await self._open(connection, text, keys) for text in texts]
        async with self._database.read() as reading:
            return [await self._open(reading, text, keys) for text in texts]

    async def numbers(self, sealed: Iterable[str | None]) -> list[str | None]:
        """Each number opened; None for one that is not there, or was erased meanwhile."""
        opened: list[str | None] = []
        keys: dict[str, RecipientKey] = {}
        async with self._database.read() as connection:
            for one in sealed:
                try:
                    opened.append(await self._open(connection, one, keys) if one else None)
                except Erased:
                    opened.append(None)
        return opened

    async def clear(self, text: str) -> tuple[str, int]:
        """A JSON text with every sealed one in it opened that can be, and how many were erased: in the place of these
        stands that they are. What was tampered with, or sealed under a key that is not here, stays. Raises
        SQLAlchemyError."""
        erased = 0
        found, keys = tokens(text), dict[str, RecipientKey]()
        if not found:
            return text, erased
        async with self._database.read() as connection:
            for written, one in found.items():
                try:
                    clear = await self._open_token(connection, one, keys)
                except Erased:
                    erased += 1
                    clear = f"erased: the recipient was forgotten (key {one.key_id})"
                except DecryptionError:
                    continue
                text = text.replace(written, json.dumps(clear, ensure_ascii=False)[1:-1])
        return text, erased

    async def _open(self, connection: AsyncConnection, text: str, keys: dict[str, RecipientKey]) -> str:
        one = token(text)
        return text if one is None else await self._open_token(connection, one, keys)

    async def _open_token(self, connection: AsyncConnection, one: Token, keys: dict[str, RecipientKey]) -> str:
        """`keys` are those that were read already."""
        if not one.of_recipient:
            return self._ring.decrypt(one.key_id, one.sealed).decode()
        if one.key_id not in keys:
            keys[one.key_id] = await self._key(connection, one)
        return keys[one.key_id].open(one)

    async def _key(self, connection: AsyncConnection, one: Token) -> RecipientKey:
        if (sealed := (await connection.execute(_KEY, {"key_id": one.key_id})).scalar()) is None:
            raise Erased("The recipient was forgotten.")
        return RecipientKey.opened(self._ring, one.key_id, sealed)

    def _seal(self, recipient: Recipient | None, text: str, keys: Mapping[str, RecipientKey]) -> Confidential:
        key = keys.get(recipient.hash) if recipient else None
        return key.seal(text) if key else seal_without_recipient(self._ring, text)

    def _sealed_recipient(self, recipient: Recipient, keys: Mapping[str, RecipientKey]) -> Recipient:
        if not recipient.phone:
            return recipient
        return recipient.model_copy(update={"phone": self._seal(recipient, recipient.phone, keys)})

    async def _keys(self, people: Iterable[Recipient]) -> dict[str, RecipientKey]:
        wanted = {one.hash: one for one in people}
        if not wanted:
            return {}
        try:
            async with asyncio.timeout(PATIENCE):
                async with self._database.read() as connection:
                    known = await self._known(connection, wanted, used_since=datetime.now(UTC) - USED_AT_LAGS)
                others = [one for one in wanted.values() if one.hash not in known]
                if others:
                    known |= await self.enrol(others)
                return known
        except (SQLAlchemyError, OSError, TimeoutError) as failure:
            log.warning("sealed without the recipient's key", error=type(failure).__name__)
            return {}

    async def enrol(self, people: Sequence[Recipient]) -> dict[str, RecipientKey]:
        """Gives each a key; who has one keeps it, and it counts as used. Their numbers must be clear. Raises
        SQLAlchemyError."""
        now = datetime.now(UTC)
        keys: dict[str, RecipientKey] = {}
        async with self._database.write() as connection:
            for one in sorted(people, key=lambda one: one.hash):  # each waits for the others in the same order
                key, sealed_key = RecipientKey.new(self._ring)
                row = {
                    "recipient_hash": one.hash,
                    "key_id": key.id,
                    "sealed_key": sealed_key,
                    "sealed_phone": key.seal(one.phone),
                    "created_at": now,
                    "used_at": now,
                }
                if await insert_new(connection, recipients, row):
                    keys[one.hash] = key
                    continue
                stale = {"of_recipient": one.hash, "used_before": now - USED_AT_LAGS}
                await connection.execute(_USED, stale | {"used_at": now})
            others = [one.hash for one in people if one.hash not in keys]
            return keys | (await self._known(connection, others) if others else {})

    async def _known(
        self, connection: AsyncConnection, hashes: Iterable[str], *, used_since: datetime | None = None
    ) -> dict[str, RecipientKey]:
        """The keys that there are; with `used_since`, those of which it is written down that they were used since."""
        since = {} if used_since is None else {"used_since": used_since}
        rows = await connection.execute(_KNOWN_SINCE if since else _KNOWN, {"hashes": list(hashes)} | since)
        return {row.recipient_hash: RecipientKey.opened(self._ring, row.key_id, row.sealed_key) for row in rows}
