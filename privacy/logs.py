"""Structured logs in which no phone number, body, token or code can stand.

Every record, ours or a library's, goes through the same processors; the last one before printing masks what
looks like a phone number and drops fields that hold secrets.
"""

import logging
import sys
from collections.abc import Iterable
from typing import Any

import structlog
from structlog.types import EventDict, Processor

from privacy.masking import scrub
from privacy.tracebacks import without_what_it_choked_on

_SECRET_FIELDS = frozenset(
    {
        "body",
        "text",
        "summary",
        "note",
        "operator_note",
        "phone",
        "to",
        "from_",
        "code",
        "otp",
        "digits",
        "token",
        "auth_token",
        "authorization",
        "password",
        "secret",
        "key",
        "api_key",
        "database_url",
    }
)
# Long digit groups in these are ours or Twilio's identifiers; the API refuses event IDs that hold the number.
_IDENTIFIERS = frozenset({"event_id", "into", "sid", "twilio_request_id", "run_id", "workflow_id", "timestamp"})


def _without_personal_data(_: Any, __: str, event: EventDict) -> EventDict:
    return {
        name: "[removed]" if name.lower() in _SECRET_FIELDS else value if name in _IDENTIFIERS else _clean(value)
        for name, value in event.items()
    }


def _clean(value: Any) -> Any:
    if isinstance(value, bool | int | float | None):
        return value
    if isinstance(value, dict):
        return {
            key: "[removed]" if str(key).lower() in _SECRET_FIELDS else _clean(inner) for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set):
        return [_clean(inner) for inner in value]
    return scrub(value if isinstance(value, str) else str(value))


def configure_logs(*, as_json: bool, level: str, quiet: Iterable[str] = ()) -> None:
    """Sends every log record of this process to stderr.

    `level` is a name of the logging module; loggers named in `quiet` only speak from WARNING on.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.ExceptionRenderer(without_what_it_choked_on),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=34)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_personal_data,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in quiet:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
