"""The looks at real processes: what a process takes is seen, and so is what it gives back."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.soak.samples import of_family, of_process, tasks_of
from tests.world import World

GREEDY = """
import socket, sys, threading
kept = []
def take(what):
    if what == "memory": kept.append(bytearray(b"x" * (32 << 20)))
    if what == "sockets": kept.extend(socket.socket() for _ in range(10))
    if what == "files": kept.extend(open(sys.executable) for _ in range(10))
    if what == "database": kept.append(open(sys.argv[1], "w"))
    if what == "threads": [threading.Thread(target=threading.Event().wait, daemon=True).start() for _ in range(5)]
    if what == "nothing": kept.clear()
for line in sys.stdin:
    take(line.strip())
    print("done", flush=True)
"""


class Greedy:
    """A process that takes what it is told to."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self.pid = child.pid

    def takes(self, what: str) -> dict[str, float]:
        """How much more it has then."""
        before = of_process(self.pid)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{what}\n")
        self._child.stdin.flush()
        assert self._child.stdout.readline() == "done\n"
        after = of_process(self.pid)
        return {measure: after[measure] - before[measure] for measure in before}


@contextmanager
def greedy(*arguments: str) -> Iterator[Greedy]:
    command = [sys.executable, "-c", GREEDY, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield Greedy(child)
        finally:
            child.kill()


def test_what_a_process_takes_is_seen_and_what_it_gives_back(tmp_path) -> None:
    with greedy(str(tmp_path / "heliograph.db")) as process:
        process.takes("nothing")
        assert 31 < process.takes("memory")["memory"] < 36
        sockets = process.takes("sockets")
        assert (sockets["sockets"], sockets["descriptors"]) == (10, 10)
        files = process.takes("files")
        assert (files["sockets"], files["descriptors"]) == (0, 10)
        assert process.takes("database")["database handles"] == 1
        assert process.takes("threads")["threads"] == 5
        given_back = process.takes("nothing")
        assert given_back["memory"] < -30
        assert (given_back["descriptors"], given_back["sockets"]) == (-21, -10)


def test_a_process_that_has_ended_is_left_out() -> None:
    with greedy() as process:
        pass
    assert of_process(process.pid) == {}
    assert of_family(process.pid) == {}


async def test_a_process_tells_how_many_tasks_it_has(world: World) -> None:
    async with httpx.AsyncClient() as http:
        assert (await tasks_of(http, f"http://127.0.0.1:{world.settings.port}/metrics") or 0) >= 1
        assert await tasks_of(http, "http://127.0.0.1:1/metrics") is None
