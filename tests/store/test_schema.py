"""The migrations make what the code expects."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from store import migrations
from store.database import Database
from store.migrate import migrate
from store.schema import HEAD, metadata


async def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(database: Database) -> None:
    assert await migrate(database) == (HEAD, HEAD)


async def test_a_newer_schema_is_worked_with_and_left_as_it_is(database: Database) -> None:
    """The version that is being replaced, or comes back, finds its successor's."""
    revise = "UPDATE alembic_version SET version_num = '{}'"
    async with database.write() as connection:
        await connection.execute(text(revise.format("9999")))
    try:
        assert await database.ready()
        assert await migrate(database) == ("9999", "9999")
    finally:
        async with database.write() as connection:
            await connection.execute(text(revise.format(HEAD)))


async def test_an_older_schema_is_not_ready(tmp_path: object) -> None:
    database = Database(f"sqlite:///{tmp_path}/old.db")
    await migrate(database, to="0003")
    assert not await database.ready()
    await database.close()


def test_migrations_only_add() -> None:
    """Processes of the version before work on the new schema while they are replaced, and after a rollback."""
    taken_away = {"drop_column", "drop_table", "rename_table"}
    files = sorted(Path(migrations.__path__[0], "versions").glob("[0-9]*.py"))
    assert files[-1].name.startswith(HEAD)
    for file in files:
        (upgrade,) = (
            one
            for one in ast.parse(file.read_text()).body
            if isinstance(one, ast.FunctionDef) and one.name == "upgrade"
        )
        assert not {one.attr for one in ast.walk(upgrade) if isinstance(one, ast.Attribute)} & taken_away, file.name
        assert not list(demanding(upgrade)), file.name


def demanding(upgrade: ast.AST) -> Iterator[str]:
    """Columns that are added to a table in use and have no value in the rows of those who do not know them."""
    for call in (one for one in ast.walk(upgrade) if isinstance(one, ast.Call)):
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("add_column", "alter_column"):
            continue
        for part in (one for one in ast.walk(call) if isinstance(one, ast.Call)):
            said = {word.arg: ast.unparse(word.value) for word in part.keywords}
            if said.get("nullable") == "False" and "server_default" not in said:
                yield ast.unparse(part)


def test_a_column_that_the_version_before_would_leave_empty_is_found() -> None:
    column = "table.add_column(sa.Column('size', sa.Integer, nullable=False{}))"
    assert list(demanding(ast.parse(column.format(""))))
    assert not list(demanding(ast.parse(column.format(", server_default='1'"))))


async def test_an_empty_database_is_not_ready(tmp_path: object) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    assert await database.revision() is None
    assert not await database.ready()
    await database.close()


async def test_a_database_that_was_in_use_is_migrated_too(tmp_path: object) -> None:
    """SQLite makes some tables anew, to which rows of others point."""
    database = Database(f"sqlite:///{tmp_path}/used.db")
    await migrate(database, to="0003")
    async with database.write() as connection:
        await connection.execute(
            text(
                "INSERT INTO notifications (event_id, kind, caller, content_hash, recipient_hash, masked_phone,"
                " country, sealed_request, status, attempts, duplicate_send, accepted_at, updated_at, first_leg)"
                " VALUES ('event-1', 'order-shipped', 'shop', 'c', 'r', '***5310', 'US', 'k:AA==', 'delivered', 1, 0,"
                " '2026-01-01', '2026-01-01', 1)"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO legs (event_id, number, state, claim, claimed_at, looks, capped) VALUES ('event-1', 1,"
                " 'accepted', 'run/1', '2026-01-01', 0, 0)"
            )
        )
    assert (await migrate(database))[1] == HEAD
    async with database.write() as connection:
        assert (await connection.execute(text("SELECT event_id FROM legs"))).scalars().all() == ["event-1"]
        with pytest.raises(IntegrityError):  # rows are held to what they point at, as before
            await connection.execute(text("DELETE FROM notifications"))
    await database.close()
