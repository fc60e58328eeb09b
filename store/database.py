"""One engine for SQLite and PostgreSQL, and the transactions on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from store.counted import count_on
from store.schema import HEAD
from store.sqlite import Connection, connected


class Database:
    """Transactions over `DATABASE_URL`; plain `sqlite:///…` and `postgresql://…` are accepted."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        # SQLite has one writer at a time. Queued here they go in their order; left to its busy handler, which wakes
        # whom it will, some of a hundred wait for longer than it lets them.
        self._turn: AbstractAsyncContextManager[Any] = (
            asyncio.Lock() if self.engine.dialect.name == "sqlite" else nullcontext()
        )
        # Neither asks the database for a transaction; each would be two round trips more.
        self._reading: dict[str, Any] = (
            {"read_only": True} if self.engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
        )

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction; on SQLite it holds the write lock from the start, so that it cannot fail half-way."""
        async with self._turn, self.engine.begin() as connection:
            counts = await count_on(connection)
            yield connection
        for count in counts:
            count()

    @asynccontextmanager
    async def rebuilding(self) -> AsyncIterator[AsyncConnection]:
        """One transaction for migrations. SQLite changes a column by making its table anew, and would not drop the old
        one while rows of others point at it (sqlite.org, "Making other kinds of table schema changes")."""
        if self.engine.dialect.name != "sqlite":
            async with self.write() as connection:
                yield connection
            return
        async with self._turn, self.engine.connect() as connection:
            sqlite3 = (await connection.get_raw_connection()).driver_connection
            assert isinstance(sqlite3, Connection)
            await sqlite3.cursor().execute("PRAGMA foreign_keys=OFF")  # within a transaction it would do nothing
            try:
                async with connection.begin():
                    yield connection
            finally:
                await sqlite3.cursor().execute("PRAGMA foreign_keys=ON")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Without a transaction: each statement sees what was committed when it began."""
        async with self.engine.connect() as connection:
            await connection.execution_options(**self._reading)
            yield connection

    async def revision(self) -> str | None:
        """The schema revision of the database; None for an empty one. Raises SQLAlchemyError when out of reach."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))
            try:
                return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
            except SQLAlchemyError:
                return None

    async def ready(self) -> bool:
        """Whether it has this version's schema, or a newer one's: migrations only add, so that a version that is being
        replaced, or comes back, works on what its successor has migrated."""
        revision = await self.revision()
        return revision is not None and revision >= HEAD

    async def close(self) -> None:
        await self.engine.dispose()


def insert_or(connection: AsyncConnection, table: Table) -> Any:
    """INSERT with ON CONFLICT, which both dialects write alike and SQLAlchemy's common insert lacks."""
    return _insert(connection.dialect.name, table)


async def insert_new(connection: AsyncConnection, table: Table, row: dict[str, Any]) -> bool:
    """Inserts a row; False when there is one of its key."""
    inserted = await connection.execute(_insert_new(connection.dialect.name, table), row)
    return inserted.rowcount == 1


def _insert(dialect: str, table: Table) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


@cache
def _insert_new(dialect: str, table: Table) -> Any:
    return _insert(dialect, table).on_conflict_do_nothing()


def _engine(url: str) -> AsyncEngine:
    parsed = make_url(url)
    # hide_parameters: phone numbers and bodies are parameters, and an exception's text reaches the log.
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        path = parsed.database or ":memory:"
        engine = create_async_engine(
            parsed.set(drivername="sqlite+aiosqlite"), hide_parameters=True, async_creator=lambda: connected(path)
        )
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    return create_async_engine(
        parsed.set(drivername="postgresql+asyncpg"),
        hide_parameters=True,
        pool_size=10,
        max_overflow=10,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={"timeout": 5, "command_timeout": 10},
    )


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # a claim that a power cut takes back would let a text be posted twice
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A deferred transaction that later wants to write fails at once when another one has written meanwhile.
    if not connection.get_execution_options().get("read_only", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
