"""How every process of ours begins and ends."""

import asyncio
import os
import sys
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from rich.console import Console

from privacy.logs import configure_logs
from settings import Settings, SettingsError, load_settings
from telemetry import tracing

errors = Console(stderr=True)

# These write URLs, headers or parameters, in which numbers and tokens stand.
QUIET = ("twilio", "aiohttp", "sqlalchemy", "alembic", "aiosqlite", "asyncio", "httpx", "httpcore", "urllib3")


def prepared() -> Settings:
    """The settings, with the log set up; ends the process with one line per mistake, and code 2."""
    try:
        settings = load_settings()
    except SettingsError as wrong:
        refuse(wrong.problems)
    configure_logs(as_json=settings.logs_as_json, level=settings.log_level, quiet=QUIET)
    return settings


@contextmanager
def traced(service: str, settings: Settings) -> Iterator[None]:
    """Sends this process's spans where OTEL_EXPORTER_OTLP_ENDPOINT says, the last ones at the end."""
    if settings.otel_exporter_otlp_endpoint is None:
        yield
        return
    headers = {name: value.get_secret_value() for name, value in settings.otel_exporter_otlp_headers}
    provider = tracing.start(service, settings.otel_exporter_otlp_endpoint, headers, settings.otel_traces_sampler_arg)
    try:
        yield
    finally:
        provider.shutdown()


def refuse(problems: Iterable[str]) -> NoReturn:
    """Ends with one line per mistake in the settings."""
    for problem in problems:
        errors.print(f"[red]setting[/] {problem}", highlight=False, soft_wrap=True)
    sys.exit(2)


def run_to_end(work: Coroutine[Any, Any, int | None]) -> NoReturn:
    """Runs to the end and leaves with its code."""
    leave(asyncio.run(work) or 0)


def leave(code: int) -> NoReturn:
    """Ends without the interpreter's shutdown, in which Temporal's runtime may crash (sdk-python issue 300)."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
