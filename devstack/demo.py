"""`make demo`: the main job once, on real parts, as a person would watch it."""

import os
import select
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner

from devstack.observer import KEY, Observer, WentWrong
from devstack.processes import ProcessFailed
from devstack.scenes import show
from devstack.stack import Ports, Stack, running
from settings import SIMULATOR_WEBHOOK_SECRET

LOOK_FOR = 300  # seconds


def run(console: Console) -> int:
    """0 when everything went as it should; leaves nothing running and nothing behind."""
    signal.signal(signal.SIGTERM, _interrupt)
    data = Path(tempfile.mkdtemp(prefix="demo-", dir=_var()))
    ports = Ports.free()
    environment = {
        "API_KEYS": f"demo={KEY}",
        "OPERATIONS_WEBHOOK_URL": f"http://127.0.0.1:{ports.simulator}/operators/webhook",
        "OPERATIONS_WEBHOOK_SECRET": SIMULATOR_WEBHOOK_SECRET,
    }
    stack = Stack(ports, data, environment)
    try:
        with _starting(console, stack):
            show(Observer(stack, console))
            _let_look(console)
    except (ProcessFailed, WentWrong) as failure:
        console.print(Panel(str(failure), title="It did not go as it should", border_style="red"))
        console.print(f"The logs are in {stack.logs}")
        return 1
    except KeyboardInterrupt:
        shutil.rmtree(data, ignore_errors=True)
        console.print("[yellow]Interrupted.[/]")
        return 130
    shutil.rmtree(data, ignore_errors=True)
    console.print("[bold green]All as it should be.[/] [dim]`make up` keeps it running, for you to try.[/]")
    return 0


def _let_look(console: Console) -> None:
    """The links above work while it runs; a person may want to open them."""
    if sys.stdin.isatty() and console.is_terminal:
        console.print(
            f"The links above work until you press Enter, at most for {LOOK_FOR // 60} minutes.", style="bold"
        )
        select.select([sys.stdin], [], [], LOOK_FOR)


@contextmanager
def _starting(console: Console, stack: Stack) -> Iterator[None]:
    if not console.is_terminal:
        console.print("Starting Temporal, the Twilio simulator, worker and API …")
    with Live(Spinner("dots", "Starting"), console=console, transient=True) as live:

        def tell(part: str) -> None:
            live.update(Spinner("dots", f"Starting {part}"))

        with running(stack, tell):
            live.update("")
            live.stop()
            console.print(
                f"Running as separate processes: API [blue]{stack.api_url}[/], Temporal UI [blue]{stack.ui_url}[/], "
                f"phones [blue]{stack.simulator_url}[/]"
            )
            yield


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _var() -> Path:
    var = Path(os.environ.get("DATA_DIR") or "var")
    var.mkdir(parents=True, exist_ok=True)
    return var.absolute()


if __name__ == "__main__":
    sys.exit(run(Console()))
