"""What a log line may hold."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from sqlalchemy.exc import OperationalError
from temporalio.exceptions import ApplicationError

from carrier.errors import Refused
from notifications.notification import Recipient
from privacy.logs import configure_logs
from privacy.tracebacks import OUR_FAILURES
from workflows import names

Read = Callable[[], dict[str, str]]


@pytest.fixture
def line() -> Iterator[Read]:
    """The last line, as JSON."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs(as_json=True, level="DEBUG")
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written := io.StringIO())
    yield lambda: json.loads(written.getvalue().splitlines()[-1])
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def raised(error: BaseException, cause: BaseException | None = None) -> None:
    try:
        raise error from cause
    except type(error):
        logging.getLogger("library").exception("it went wrong")


@pytest.mark.parametrize(
    "error",
    [
        KeyError("Quillfeather"),
        ValueError("invalid literal: 'Quillfeather'"),
        UnicodeEncodeError("ascii", "Quillfeather", 0, 1, "ordinal not in range"),
        ApplicationError("Quillfeather", type="ValueError"),
        ExceptionGroup("Quillfeather", [ValueError("Quillfeather")]),
    ],
)
def test_an_exception_does_not_repeat_what_it_choked_on(line: Read, error: Exception) -> None:
    raised(error, cause=RuntimeError("Quillfeather"))
    written = line()["exception"]
    assert "Quillfeather" not in written
    assert "test_logs.py" in written
    assert type(error).__name__ in written
    assert "RuntimeError" in written


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Refused("Twilio error 21211: no such number."), "21211"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (OperationalError("SELECT 1", {}, Exception("no such table: legs"), hide_parameters=True), "no such table"),
        (ApplicationError("Twilio answered HTTP 500.", type=names.SERVER_ERROR), "HTTP 500"),
    ],
)
def test_what_is_ours_or_of_a_machine_is_told(line: Read, error: Exception, says: str) -> None:
    raised(error)
    assert says in line()["exception"]


def test_the_failures_of_our_activities_are_known() -> None:
    kinds = {getattr(names, name) for name in (
        "REFUSED", "SUPPRESSED", "TOO_LATE", "HELD", "STALE", "OUTCOME_UNKNOWN", "NOT_ACCEPTED", "SERVER_ERROR",
    )}  # fmt: skip
    assert kinds == OUR_FAILURES - {"WebhookNotTaken"}


def test_a_message_between_our_parts_does_not_repeat_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match="country") as wrong:
        Recipient.model_validate({"phone": "+15557310042", "masked": "***0042", "hash": "x"})
    assert "5557310042" not in str(wrong.value)


@pytest.mark.parametrize("field", ["body", "code", "text", "note", "authorization", "api_key"])
def test_fields_that_hold_what_is_said_are_removed(line: Read, field: str) -> None:
    structlog.stdlib.get_logger("ours").info("said", **{field: "Quillfeather"}, inner={field: "Quillfeather"})
    written = line()
    assert (written[field], written["inner"][field]) == ("[removed]", "[removed]")  # type: ignore[index]
