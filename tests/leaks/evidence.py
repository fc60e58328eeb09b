"""Everything that was written while the tour lasted, and the search in it."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import MetaData, select

from store.database import Database
from tests.leaks.canaries import Canary, Search

# The simulator stands in for Twilio, which has numbers, texts and codes: it has to.
TWILIO = ("simulator.db", "simulator.db-wal", "simulator.db-shm", "simulator.log")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was written."""

    sort: str
    """What it is evidence of: a log, a database file, an answer, ..."""
    name: str
    data: bytes
    may_hold: frozenset[str] = frozenset()
    """Canaries that belong there: what a caller is told of his own event, say."""

    def columns(self) -> dict[str, list[str]]:
        """Of a table: its values by the name of their column."""
        names, *lines = [json.loads(line) for line in self.data.decode().splitlines()]
        return {name: [line[place] for line in lines] for place, name in enumerate(names)}


@dataclass(frozen=True, slots=True)
class Leak:
    """A canary where it must not be."""

    evidence: Evidence
    canary: Canary
    form: bytes

    def __str__(self) -> str:
        data, place = self.evidence.data, self.evidence.data.find(self.form)
        around = data[max(0, place - 150) : place + len(self.form) + 80]
        return f"{self.canary.what} in {self.evidence.sort} {self.evidence.name}: …{around!r}…"


def leaks(evidence: Iterable[Evidence], canaries: Iterable[Canary]) -> list[Leak]:
    """Every canary that was found, once for each piece of evidence."""
    search = Search(canaries)
    return [
        Leak(one, canary, form)
        for one in evidence
        for what, (canary, form) in search(one.data).items()
        if what not in one.may_hold
    ]


def files(data: Path) -> list[Evidence]:
    """All that is below a folder; SQLite's write-ahead log and free pages too."""
    found = []
    for path in sorted(data.rglob("*")):
        if path.is_file() and path.name not in TWILIO:
            sort = "log" if path.suffix == ".log" else "file"
            found.append(Evidence(sort, str(path.relative_to(data)), path.read_bytes()))
    return found


def twilio(data: Path) -> bytes:
    """What Twilio has."""
    return b"".join((data / name).read_bytes() for name in TWILIO[:2] if (data / name).exists())


async def rows(database: Database) -> list[Evidence]:
    """Every row of every table that the database itself names, so that no new column is forgotten."""
    everything = MetaData()
    async with database.read() as connection:
        await connection.run_sync(everything.reflect)
        found = []
        for table in everything.sorted_tables:
            lines = [list(table.columns.keys()), *await connection.execute(select(table))]
            text = [json.dumps([str(value) for value in line], ensure_ascii=False) for line in lines]
            found.append(Evidence("SQL", table.name, "\n".join(text).encode()))
    return found


def tables_of(file: Path) -> list[Evidence]:
    """The same of any SQLite file: Temporal's own."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [
            Evidence(
                "Temporal", name, b"\n".join(_written(row) for row in connection.execute(f'SELECT * FROM "{name}"'))
            )
            for name in names
        ]


def _written(row: tuple[object, ...]) -> bytes:
    return b"\t".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
