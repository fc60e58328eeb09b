"""Counters that all processes share. On SQLite and on PostgreSQL."""

import asyncio
from datetime import timedelta

from store.database import Database
from store.limits import Limits

MINUTE = timedelta(minutes=1)


async def test_so_many_pass_and_no_more(database: Database) -> None:
    limits = Limits(database)
    waits = await asyncio.gather(*(limits.hit("a", "key", limit=5, per=timedelta(days=1)) for _ in range(20)))
    assert waits.count(None) == 5
    assert all(0 < wait <= 86_400 for wait in waits if wait is not None)


async def test_keys_and_names_are_counted_apart(database: Database) -> None:
    limits = Limits(database)
    for name, key in (("a", "1"), ("a", "2"), ("b", "1")):
        assert await limits.hit(name, key, limit=1, per=timedelta(days=1)) is None
        assert await limits.hit(name, key, limit=1, per=timedelta(days=1)) is not None


async def test_a_new_window_begins_anew(database: Database) -> None:
    limits = Limits(database)
    window = timedelta(seconds=1)
    async with asyncio.timeout(10):
        while await limits.hit("a", "key", limit=1, per=window) is None:
            pass
        while await limits.hit("a", "key", limit=1, per=window) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
