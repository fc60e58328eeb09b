"""Brings a database to the schema of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from store.database import Database
from store.schema import HEAD

_LOCK = 0x48454C494F  # "HELIO": any number, the same for all who migrate


async def migrate(database: Database, to: str = "head") -> tuple[str | None, str | None]:
    """Runs what is missing; safe to run again, and from two places at once. Returns the revisions before and after.

    A schema that is newer than this version's stays as it is.
    """
    before = await database.revision()
    async with database.rebuilding() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(_upgrade, to)
    return before, await database.revision()


def _upgrade(connection: Connection, to: str) -> None:
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None and revision > HEAD:
        return
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
