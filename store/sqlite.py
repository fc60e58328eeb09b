"""SQLite without a thread between: a statement takes some dozen microseconds, a hop to a thread and back many more.

It stands where SQLAlchemy's asyncio dialect for SQLite asks for a connection of aiosqlite's (`async_creator`). What may
take long does not hold up the event loop: another process's transaction is waited for asleep, and the commit, which
waits for the disk, runs in a thread.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from time import monotonic
from typing import Any

BUSY = 5.0  # seconds that a writer waits for another process's transaction
PAUSES = (0.001, 0.002, 0.005, 0.01)  # seconds between looks; the last one from then on


class Cursor:
    """As aiosqlite's."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    async def __aenter__(self) -> "Cursor":
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> "Cursor":
        """Raises sqlite3.OperationalError when another process keeps the database locked for `BUSY` seconds."""
        await _patiently(lambda: self._cursor.execute(statement, parameters))
        return self

    async def executemany(self, statement: str, parameters: Any) -> "Cursor":
        await _patiently(lambda: self._cursor.executemany(statement, parameters))
        return self

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def fetchone(self) -> Any:
        return self._cursor.fetchone()

    async def fetchmany(self, size: int = 1) -> list[Any]:
        return self._cursor.fetchmany(size)

    async def close(self) -> None:
        self._cursor.close()

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount


class Connection:
    """As aiosqlite's."""

    def __init__(self, path: str) -> None:
        # Transactions are begun by `store.database`, and locks waited for here.
        self._connection: sqlite3.Connection | None = sqlite3.connect(
            path, timeout=0, isolation_level=None, check_same_thread=False
        )

    @property
    def isolation_level(self) -> str | None:
        return None

    def cursor(self) -> Cursor:
        return Cursor(self._open.cursor())

    async def create_function(self, *arguments: Any, **options: Any) -> None:
        self._open.create_function(*arguments, **options)

    async def commit(self) -> None:
        if self._open.in_transaction:
            # Shielded: whether it was committed must be known before the connection goes to somebody else.
            await asyncio.shield(asyncio.to_thread(self._open.commit))

    async def rollback(self) -> None:
        self._open.rollback()

    async def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError("connection closed")
        return self._connection


async def _patiently(call: Callable[[], Any]) -> None:
    end, pauses = monotonic() + BUSY, iter(PAUSES)
    while True:
        try:
            call()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > end:
                raise
        await asyncio.sleep(next(pauses, PAUSES[-1]))


async def connected(path: str) -> Connection:
    """For `async_creator`."""
    return Connection(path)
