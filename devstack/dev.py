"""`make up`: everything on its usual ports until Ctrl-C."""

import os
import signal
import threading
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from devstack.processes import ProcessFailed
from devstack.stack import Ports, Stack, running
from settings import SIMULATOR_WEBHOOK_SECRET, Settings


def run(settings: Settings, console: Console) -> int:
    """Blocks. 0 after Ctrl-C or SIGTERM, 1 when a part failed."""
    ports = Ports(
        api=settings.port,
        temporal=urlsplit(f"//{settings.temporal_address}").port or 7233,
        ui=settings.temporal_ui_port,
        simulator=settings.simulator_port,
        codec=settings.codec_port,
    )
    if taken := ports.taken():
        console.print(
            f"[red]Port {', '.join(map(str, taken))} is in use.[/] Is another copy running? Else set PORT, "
            "TEMPORAL_ADDRESS, TEMPORAL_UI_PORT, SIMULATOR_PORT or CODEC_PORT."
        )
        return 1
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    simulated = settings.simulated or settings.twilio_url == f"http://127.0.0.1:{ports.simulator}"
    stack = Stack(
        ports,
        settings.data_dir.absolute(),
        _environment(settings, ports, simulated),
        simulated,
        decoding=not settings.codec_problems(),
        directory=Path.cwd(),
    )
    try:
        with console.status("Starting") as status, running(stack, lambda part: status.update(f"Starting {part}")):
            status.stop()
            _show(console, stack, settings)
            while not stop.wait(0.5):
                if (ended := stack.ended()) is not None:
                    raise ProcessFailed(f"{ended.name} ended with code {ended.code}:\n{ended.tail()}")
            console.print("Stopping; the data stays in", str(settings.data_dir))
    except ProcessFailed as failure:
        console.print(f"[red]{failure}[/]", highlight=False)
        return 1
    return 0


def _environment(settings: Settings, ports: Ports, simulated: bool) -> dict[str, str]:
    environment = dict(os.environ)
    if simulated and settings.operations_webhook_url is None:
        environment |= {
            "OPERATIONS_WEBHOOK_URL": f"http://127.0.0.1:{ports.simulator}/operators/webhook",
            "OPERATIONS_WEBHOOK_SECRET": SIMULATOR_WEBHOOK_SECRET,
        }
    return environment


def _show(console: Console, stack: Stack, settings: Settings) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_row("API", stack.api_url)
    table.add_row("API docs", f"{stack.api_url}/docs")
    table.add_row("Temporal UI", f"{stack.ui_url}/namespaces/{settings.temporal_namespace}/workflows")
    if stack.decoding:
        table.add_row("Clear text there", f"log in at {stack.codec_url}/login, {_how_to_log_in(settings)}")
    if stack.simulated:
        table.add_row("Phones", f"{stack.simulator_url}/")
    table.add_row("Logs", str(stack.logs))
    console.print("[bold green]Heliograph is up.[/] Ctrl-C ends it.")
    console.print(table)


def _how_to_log_in(settings: Settings) -> str:
    if settings.codec_keys:
        return "with your key of CODEC_KEYS"
    (made,) = settings.operator_keys
    return f"key {made[1]}"
