"""What can go wrong, a class for each thing that callers do differently. No number, key or code is in any of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Detail:
    """What is wrong with one field."""

    field: str
    problem: str
    code: str


class HeliographError(Exception):
    """Everything that this package raises, but for ValueError and TypeError where it is called wrongly."""


class UnexpectedAnswer(HeliographError):
    """What answers is not Heliograph, or not one that this version understands. Look at the base URL."""


class WebhookInvalid(HeliographError):
    """It is not from Heliograph, or too old. Answer 4xx, and do nothing."""


class ApiError(HeliographError):
    """The API's answer was an error, `error` by its name; or there was no answer."""

    def __init__(
        self,
        status: int | None,
        error: str,
        detail: str,
        details: tuple[Detail, ...] | Mapping[str, Any] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, error, detail, details, retry_after)
        self.status = status
        """The HTTP status; None where there was no answer."""
        self.error = error
        """A stable word, `invalid_request` for example."""
        self.detail = detail
        """The same in a sentence."""
        self.details = details
        """What is wrong with each field, or what else is known."""
        self.retry_after = retry_after
        """Seconds, where the API has named them."""

    def __str__(self) -> str:
        fields = ", ".join(f"{one.field} {one.problem}" for one in self.details if isinstance(one, Detail))
        return f"{self.error}: {self.detail}" + (f" ({fields})" if fields else "")


class InvalidRequest(ApiError):
    """400, 413: mend what `details` names. Nothing was done."""


class Unauthorized(ApiError):
    """401: the key is nobody's, or has expired."""


class Forbidden(ApiError):
    """403: it is not allowed; a login check to this country, for example."""


class MissingScope(Forbidden):
    """403: the key is somebody's, and has not the scope that `details` names."""


class NotFound(ApiError):
    """404: no event, message or alert of this ID is known."""


class VerificationEnded(NotFound):
    """404: the login check has ended (approved, expired, too many codes); start another."""


class Conflict(ApiError):
    """409: not in this state; `error` says why, and for `resend` whether `force` would do."""


class EventIdReused(Conflict):
    """409: another event was posted under this ID. Nothing was sent; give each event an ID of its own."""


class TooLate(Conflict):
    """409: it is being sent, or has ended."""


class Refused(ApiError):
    """502: Twilio will not send it, now or later. `details` says why and what to do."""

    @property
    def error_code(self) -> int | None:
        """Twilio's, where it gave one."""
        code = self.details.get("errorCode") if isinstance(self.details, Mapping) else None
        return code if isinstance(code, int) else None


class TooManyRequests(ApiError):
    """429: more often than allowed. Nothing was done; wait `retry_after` seconds."""


class Unavailable(ApiError):
    """It cannot be had now. What may be repeated was repeated already, as long as `Retries` says; try later."""


class Unreachable(Unavailable):
    """There was no answer: no connection, a time-out, a connection that broke."""


class OutcomeUnknown(Unavailable):
    """503 to a login check: a code may be on its way. Let the person ask for another."""
