"""What can go wrong between us and Twilio, told apart by what may have happened to the message.

None of these repeats what Twilio wrote: its messages hold the recipient's number.
"""

from typing import ClassVar

from notifications.causes import cause_of


class CarrierError(Exception):
    """An answer of Twilio's that is no success, or none at all."""

    outcome: ClassVar[str] = "failed"
    """In a word, for metrics and traces."""

    def __init__(
        self,
        says: str,
        *,
        code: int | None = None,
        http_status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(says)
        self.says = says
        self.code = code
        self.http_status = http_status
        self.request_id = request_id
        self.retry_after = retry_after


class Refused(CarrierError):
    """Twilio answered 4xx: repeating the request cannot help."""

    outcome = "refused"


class NotAccepted(CarrierError):
    """Twilio certainly did not take it: 429, or no connection was made. `retry_after` seconds where it said so."""

    outcome = "not_accepted"


class ServerError(CarrierError):
    """5xx: Twilio may have taken it all the same (error 20500). Look it up before the next try."""

    outcome = "server_error"


class OutcomeUnknown(CarrierError):
    """Time-out, reset or nonsense after the request went out: nobody knows whether it was sent."""

    outcome = "unknown"


def says(http_status: int, code: int | None) -> str:
    """One line for logs and failures, from our own catalogue."""
    if code is None:
        return f"Twilio answered HTTP {http_status}."
    return f"Twilio error {code}: {cause_of(code).says}"
