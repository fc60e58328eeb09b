"""Counters per key and window of time, in the database that all API processes share."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete

from store.database import Database, insert_or
from store.schema import counters


class Limits:
    """Fixed windows: simple, exact across processes, and never more than twice the limit around a window's edge."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hit(self, name: str, key: str, *, limit: int, per: timedelta) -> float | None:
        """Counts one; the seconds until the window ends when that is over the limit, else None.

        `key` must hold nothing personal: a keyed hash. Raises SQLAlchemyError when the database is away.
        """
        now = datetime.now(UTC)
        seconds = per.total_seconds()
        begins = datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)
        ends = begins + per
        async with self._database.write() as connection:
            count = (
                await connection.execute(
                    insert_or(connection, counters)
                    .values(bucket=f"{name}:{key}", begins_at=begins, ends_at=ends, count=1)
                    .on_conflict_do_update(
                        index_elements=[counters.c.bucket, counters.c.begins_at], set_={"count": counters.c.count + 1}
                    )
                    .returning(counters.c.count)
                )
            ).scalar_one()
            if count == 1:  # a new window: time to forget the old ones
                await connection.execute(delete(counters).where(counters.c.ends_at < now - timedelta(hours=1)))
        return (ends - now).total_seconds() if count > limit else None
