"""SQLite without a thread between: locks are waited for asleep, and nothing is half committed."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from store.database import Database


@pytest.fixture
async def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    async with database.write() as connection:
        await connection.execute(text("CREATE TABLE things (name TEXT UNIQUE)"))
    return database


@pytest.fixture
def other(database: Database, tmp_path: Path) -> sqlite3.Connection:
    """Another process's connection."""
    return sqlite3.connect(tmp_path / "test.db", isolation_level=None, timeout=0)


async def add(database: Database, *names: str) -> None:
    async with database.write() as connection:
        for name in names:
            await connection.execute(text("INSERT INTO things VALUES (:name)"), {"name": name})


async def names(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(text("SELECT name FROM things ORDER BY name"))).scalars())


async def test_another_processs_transaction_is_waited_for_while_others_go_on(
    database: Database, other: sqlite3.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(add(database, "ours"))
    for _ in range(20):  # the loop is not held up
        await asyncio.sleep(0.01)
        assert await names(database) == []
    assert not writing.done()
    other.execute("COMMIT")
    await asyncio.wait_for(writing, 1)
    assert await names(database) == ["ours"]


async def test_who_waits_too_long_is_told(
    database: Database, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.sqlite.BUSY", 0.2)
    other.execute("BEGIN IMMEDIATE")
    began = monotonic()
    with pytest.raises(OperationalError):
        await add(database, "ours")
    assert 0.2 <= monotonic() - began < 1
    other.execute("ROLLBACK")
    await add(database, "ours")


async def test_what_fails_is_rolled_back_and_the_next_one_begins_anew(database: Database) -> None:
    await add(database, "one")
    with pytest.raises(IntegrityError):
        await add(database, "two", "one")
    await add(database, "three")
    assert await names(database) == ["one", "three"]


async def test_who_is_cancelled_leaves_all_or_nothing_and_no_lock(database: Database) -> None:
    """At every point of a transaction, the commit included."""
    for moment in range(12):
        writing = asyncio.create_task(add(database, f"{moment:02}"))
        for _ in range(moment):
            await asyncio.sleep(0)
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing
        await asyncio.wait_for(add(database, f"{moment:02} after"), 2)
    found = await names(database)
    assert [name for name in found if name.endswith("after")] == [f"{moment:02} after" for moment in range(12)]


async def test_a_hundred_at_once_all_get_through(database: Database) -> None:
    await asyncio.gather(*(add(database, f"{number:03}") for number in range(100)))
    assert len(await names(database)) == 100
