"""Seals again, under the key that encrypts now, what is sealed under an older one of PAYLOAD_KEYS."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, func, select, tuple_, update

from privacy.encryption import DecryptionError, KeyRing, key_id_of
from privacy.sealing import seal_without_recipient, tokens
from store.database import Database
from store.schema import held_ranges, legs, notifications, recipients

AT_ONCE = 200  # rows in one transaction

# Each with its table's primary key. `recipients.sealed_phone` is not among them: the recipient's own key opens it.
SEALED: Sequence[tuple[Column[Any], Sequence[Column[Any]]]] = (
    (recipients.c.sealed_key, (recipients.c.recipient_hash,)),
    (notifications.c.sealed_request, (notifications.c.event_id,)),
    (legs.c.sealed_recipient, (legs.c.event_id, legs.c.number)),
    (held_ranges.c.sealed_range, (held_ranges.c.range_hash,)),
)


@dataclass(slots=True)
class Rekeyed:
    """What one pass has done."""

    looked_at: int = 0
    resealed: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    """By the id of the key that is missing, or that does not open what bears its name."""


class Rekey:
    """May run beside all processes, be broken off and run again. Raises SQLAlchemyError."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    async def run(self) -> Rekeyed:
        done = Rekeyed()
        for column, key in SEALED:
            last: tuple[Any, ...] | None = None
            while (last := await self._batch(column, key, last, done)) is not None:
                pass
        return done

    async def in_use(self) -> Counter[str]:
        """How many texts are sealed under which key, by its id."""
        found: Counter[str] = Counter()
        async with self._database.read() as connection:
            for column, _ in SEALED:
                key_id = self._key_id(column)
                rows = await connection.execute(
                    select(key_id, func.count()).where(column.is_not(None)).group_by(key_id)
                )
                found.update({str(row[0]): int(row[1]) for row in rows})
        return found

    async def _batch(
        self, column: Column[Any], key: Sequence[Column[Any]], after: tuple[Any, ...] | None, done: Rekeyed
    ) -> tuple[Any, ...] | None:
        """The primary key of the last row that it looked at; None when there was none left."""
        query = select(*key, column).where(column.is_not(None)).order_by(*key).limit(AT_ONCE)
        if after is not None:
            query = query.where(tuple_(*key) > tuple_(*after))
        async with self._database.write() as connection:
            rows = (await connection.execute(query)).all()
            for *place, sealed in rows:
                done.looked_at += 1
                if (again := self._sealed_again(sealed, done)) is None:
                    continue
                # Only over what was read: meanwhile it may have been erased, or written anew.
                here = [part == value for part, value in zip(key, place, strict=True)]
                changed = update(column.table).where(*here, column == sealed).values({column.name: again})
                done.resealed += (await connection.execute(changed)).rowcount
        return tuple(rows[-1][:-1]) if rows else None

    def _sealed_again(self, sealed: str, done: Rekeyed) -> str | None:
        """None where nothing is to be done, or nothing can be."""
        try:
            clear = self._ring.decrypt_text(sealed)
            inside = self._within(clear)
        except DecryptionError:
            done.unreadable[key_id_of(sealed)] += 1
            return None
        return None if inside == clear and key_id_of(sealed) == self._ring.current else self._ring.encrypt_text(inside)

    def _within(self, text: str) -> str:
        """What was sealed while the recipients' keys were out of reach is under PAYLOAD_KEYS a second time."""
        for written, one in tokens(text).items():
            if not one.of_recipient and one.key_id != self._ring.current:
                clear = self._ring.decrypt(one.key_id, one.sealed).decode()
                text = text.replace(written, seal_without_recipient(self._ring, clear))
        return text

    def _key_id(self, column: Column[Any]) -> Any:
        if self._database.engine.dialect.name == "sqlite":
            return func.substr(column, 1, func.instr(column, ":") - 1)
        return func.split_part(column, ":", 1)
