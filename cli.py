"""The `heliograph` command."""

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from privacy.logs import configure_logs
from settings import Settings, SettingsError, load_settings

app = typer.Typer(
    help="One event, one text, followed to the handset.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip
console = Console()
errors = Console(stderr=True)


def _settings() -> Settings:
    """The settings, with the log set up; ends the process with one line per mistake."""
    try:
        settings = load_settings()
    except SettingsError as wrong:
        for problem in wrong.problems:
            errors.print(f"[red]setting[/] {problem}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    configure_logs(
        as_json=settings.logs_as_json,
        level=settings.log_level,
        # These write URLs, headers or parameters, in which numbers and tokens stand.
        quiet=("twilio", "aiohttp", "sqlalchemy", "alembic", "aiosqlite", "asyncio", "httpx", "httpcore"),
    )
    return settings


def _run(work: Coroutine[Any, Any, int | None]) -> None:
    """Runs to the end and leaves without the interpreter's shutdown, in which Temporal's runtime may crash
    (sdk-python issue 300)."""
    code = asyncio.run(work) or 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@app.command()
def api() -> None:
    """Serve HTTP: events, callbacks, questions."""
    import uvicorn

    from api.app import create_app

    settings = _settings()
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # signatures are checked over PUBLIC_BASE_URL, whatever a proxy says
        timeout_keep_alive=75,  # longer than load balancers keep theirs, so that we are not the one who hangs up
        timeout_graceful_shutdown=10,
    )
    sys.stderr.flush()
    os._exit(0)


@app.command()
def worker() -> None:
    """Run workflows and activities until SIGTERM; sends under way are finished."""
    from worker import run

    _run(run(_settings()))


@app.command()
def bootstrap() -> None:
    """Migrate SQL and ready Temporal; safe to run again; says what it changed."""
    from bootstrap import BootstrapError
    from bootstrap import bootstrap as ready
    from engine import connect_when_up
    from store.database import Database

    settings = _settings()

    async def work() -> int:
        database = Database(settings.database)
        try:
            async for line in ready(settings, await connect_when_up(settings), database):
                console.print(line, highlight=False, soft_wrap=True)
        except BootstrapError as error:
            errors.print(f"[red]{error}[/]", soft_wrap=True)
            return 1
        finally:
            await database.close()
        return 0

    _run(work())


@app.command()
def doctor() -> None:
    """Check each setting and each part that is needed, and say what to do."""
    from doctor import examine, show

    settings = _settings()

    async def work() -> int:
        return show(console, [finding async for finding in examine(settings)])

    _run(work())


@app.command()
def simulator() -> None:
    """Run the Twilio that stands in where no account is set."""
    from devstack.simulator import serve

    serve(_settings())


@app.command()
def dev() -> None:
    """Run everything on one machine until Ctrl-C, and keep its data under DATA_DIR."""
    from devstack.dev import run

    raise typer.Exit(run(_settings(), console))


@app.command()
def demo() -> None:
    """Follow a delivered, a repeated, a refused and an undelivered event, on a stack of its own."""
    from devstack.demo import run

    raise typer.Exit(run(console))


@app.command()
def send(
    kind: Annotated[str, typer.Argument(help="The event's kind, such as order-shipped.")],
    fields: Annotated[list[str], typer.Argument(help="Its fields, such as orderId=7 phone=+15558675310.")],
    wait: Annotated[int, typer.Option(help="Seconds to wait for Twilio's answer.")] = 0,
    key: Annotated[str | None, typer.Option(help="API key; the first of API_KEYS if not given.")] = None,
) -> None:
    """Post an event to the API. `consentAt=now` stands for this moment."""
    from client import post

    _run(post(_settings(), console, kind, fields, wait, key))


@app.command()
def trace(identifier: Annotated[str, typer.Argument(help="An eventId, or a Message SID (SM… or MM…).")]) -> None:
    """Tell the whole story of one notification."""
    from client import tell

    _run(tell(_settings(), console, identifier))


def main(arguments: Sequence[str] | None = None) -> None:
    app(args=list(arguments) if arguments is not None else None)


if __name__ == "__main__":
    main()
