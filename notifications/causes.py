"""The catalogue of Twilio's errors, and what an HTTP answer means for the message."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from notifications.cause import Cause, Remedy, Who
from notifications.causes_at_delivery import AT_DELIVERY
from notifications.causes_at_request import AT_REQUEST

CATALOGUE: Mapping[int, Cause] = MappingProxyType({each.code: each for each in (*AT_REQUEST, *AT_DELIVERY)})


def cause_of(code: int) -> Cause:
    """The cause of any code; one that we do not know says so, and where to look."""
    known = CATALOGUE.get(code)
    if known is not None:
        return known
    # Carrier errors (30xxx) are often passing ones; request errors are not cured by repeating.
    return Cause(
        code,
        f"Twilio error {code} is not in Heliograph's catalogue.",
        f"Look it up at https://www.twilio.com/docs/api/errors/{code} before you post the event anew.",
        Who.OPERATOR,
        Remedy.DELAY if 30_000 <= code < 40_000 else Remedy.PERMANENT,
    )


class Answer(StrEnum):
    """What Twilio's answer to the creation of a message says about the message."""

    ACCEPTED = "accepted"
    NOT_ACCEPTED = "not_accepted"
    NOT_KNOWN = "not_known"
    REFUSED = "refused"


def answer_of(http_status: int, code: int | None) -> Answer:
    """Sorts an answer by its HTTP status; total over all integers.

    429 was "never processed" (error 20429; 21611 is a 429 too) and is retried. A 5xx may have been
    processed (error 20500), and a 408 is a time-out on the other side. Every other 4xx is final,
    whatever its code: even 20409, a conflict that might pass.
    """
    if 200 <= http_status < 300:
        return Answer.ACCEPTED
    if http_status == 429:
        return Answer.NOT_ACCEPTED
    if 400 <= http_status < 500 and http_status != 408:
        return Answer.REFUSED
    return Answer.NOT_KNOWN
