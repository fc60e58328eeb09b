"""A first start of several at once, as an orchestrator makes it."""

import asyncio
import uuid
from pathlib import Path

import asyncpg

from bootstrap import missing_search_attributes
from devstack.stack import Stack
from engine import connect
from store.database import Database
from store.schema import HEAD
from tests.world import bootstrapped, settings_for
from workflows import names

AT_ONCE = 4


async def test_several_bootstraps_at_once_ready_an_empty_postgresql_and_temporal(
    stack: Stack, postgres: str, tmp_path: Path
) -> None:
    name = f"first_{uuid.uuid4().hex[:8]}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    settings = settings_for(
        tmp_path,
        temporal_address=f"127.0.0.1:{stack.ports.temporal}",
        temporal_namespace=name.replace("_", "-"),
        database_url=postgres.replace("/postgres?", f"/{name}?"),
        send_rate_per_second=50,
    )
    clients = [await connect(settings) for _ in range(AT_ONCE)]
    said = await asyncio.gather(*(bootstrapped(settings, client) for client in clients))
    assert {lines[0].endswith(HEAD) for lines in said} == {True}

    database = Database(settings.database)
    assert await database.ready()
    await database.close()
    assert await missing_search_attributes(clients[0]) == {}
    for schedule in (names.RECONCILIATION, names.RETENTION):
        assert (await clients[0].get_schedule_handle(schedule).describe()).schedule.spec.intervals
