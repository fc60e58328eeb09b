"""Child processes that start in order, are waited for, and leave nothing behind."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1  # prctl(2)


class ProcessFailed(Exception):
    """A child ended, or did not get ready in time. The message has the end of what it printed."""


@dataclass
class Process:
    """One child. What it prints goes to `log`."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    log: Path
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _output: IO[bytes] | None = field(default=None, init=False)
    _began: int = field(default=0, init=False)  # where in the log this start of it begins

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._output = self.log.open("ab")
        self._began = self._output.tell()
        self._child = subprocess.Popen(
            self.command,
            env=dict(self.environment),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for us; we end them in our order
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def wait_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        """Returns once `ready()` is true. Raises ProcessFailed."""
        end = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise ProcessFailed(f"{self.name} ended with code {self.code}:\n{self.tail()}")
            if time.monotonic() > end:
                raise ProcessFailed(f"{self.name} was not ready after {seconds:g} s:\n{self.tail()}")
            time.sleep(0.05)

    def finish(self, seconds: float) -> None:
        """Waits until it ends by itself. Raises ProcessFailed when it fails or takes longer."""
        assert self._child is not None
        try:
            code = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProcessFailed(f"{self.name} did not end within {seconds:g} s:\n{self.tail()}") from None
        if code != 0:
            raise ProcessFailed(f"{self.name} ended with code {code}:\n{self.tail()}")

    @property
    def code(self) -> int | None:
        return self._child.poll() if self._child else None

    def stop(self, seconds: float = 10) -> None:
        """SIGTERM, and SIGKILL to what is left of its session after `seconds`."""
        if self._child is not None and self.running:
            self._child.terminate()
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._output is not None:
            self._output.close()

    def kill(self) -> None:
        """SIGKILL, as a crash would end it."""
        assert self._child is not None
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def has_said(self, text: str) -> bool:
        """Whether it has printed that since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._began)
            return text.encode() in log.read()

    def tail(self, lines: int = 20) -> str:
        """The end of what it printed."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now, all different, and kept for the caller for a minute.

    A port that was merely free a moment ago may be given to any outgoing connection before its server is up. So each
    gets a connection that was closed on our side: while that one is in TIME-WAIT (60 s, RFC 9293 section 3.6.1), the
    kernel gives the port to nobody by itself, and a server that asks for it by number (SO_REUSEADDR, as they all
    do) gets it.
    """
    with ExitStack() as open_sockets:
        ports = []
        for _ in range(count):
            server = open_sockets.enter_context(socket.socket())
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", 0))
            server.listen(1)
            ports.append(server.getsockname()[1])
            with socket.create_connection(server.getsockname()):
                server.accept()[0].close()  # the side that closes first keeps the port
        return ports


def listens(port: int) -> bool:
    """Whether somebody listens on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.3)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _die_with_parent() -> None:
    # Should we be killed, the children must not be left behind.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
