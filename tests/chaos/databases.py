"""The databases of a campaign, and what is done to them."""

import asyncio
import os
import signal
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import asyncpg

from tests import postgres


class Tortured(Protocol):
    """A database and its faults; each one lasts for some seconds."""

    url: str | None
    """None for the stack's own."""

    @property
    def pid(self) -> int | None:
        """Of its server, if it has one."""
        ...

    async def lock(self, seconds: float) -> None: ...

    async def vanish(self, seconds: float) -> None: ...

    def close(self) -> None: ...


class Sqlite:
    """The default: a file under the stack's data."""

    url: str | None = None
    pid: int | None = None

    def __init__(self, folder: Path) -> None:
        self._file = folder / "heliograph.db"

    async def lock(self, seconds: float) -> None:
        """Longer than the busy time-out at times: then every write fails."""
        await asyncio.to_thread(self._lock, seconds)

    async def vanish(self, seconds: float) -> None:
        await self.lock(seconds)  # a file does not go away

    def close(self) -> None:
        pass

    def _lock(self, seconds: float) -> None:
        connection = sqlite3.connect(self._file, isolation_level=None, timeout=30)
        try:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")
        finally:
            connection.close()


class Postgres:
    """A server of our own, which can go away too."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._server = postgres.start(folder / "pg")
        self.url: str | None = self._server.get_uri()

    @property
    def pid(self) -> int | None:
        with suppress(AssertionError, OSError):  # it is away
            found: int | None = self._server.get_pid()
            return found
        return None

    async def lock(self, seconds: float) -> None:
        """Longer than the command time-out at times: then every statement fails."""
        connection = await asyncpg.connect(self.url)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE notifications, legs, timeline IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(seconds)
        finally:
            await connection.close()

    async def vanish(self, seconds: float) -> None:
        """As a crash: no shutdown, no farewell; and it recovers."""
        pid = self._server.get_pid()
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._server.ensure_postgres_running)

    def close(self) -> None:
        self._server.cleanup()
