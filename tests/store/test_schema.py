"""The migrations make what the code expects."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

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


async def test_an_empty_database_is_not_ready(tmp_path: object) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    assert await database.revision() is None
    assert not await database.ready()
    await database.close()
