"""What the API has answered: its JSON, or what went wrong."""

import email.utils
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from heliograph_client import errors
from heliograph_client.errors import ApiError, Detail, UnexpectedAnswer, Unreachable
from heliograph_client.retries import NOT_CONNECTED
from heliograph_client.wire import read

_BY_ERROR: Mapping[tuple[int, str], type[ApiError]] = {
    (403, "missing_scope"): errors.MissingScope,
    (404, "verification_ended"): errors.VerificationEnded,
    (409, "event_id_reused"): errors.EventIdReused,
    (409, "too_late"): errors.TooLate,
    (502, "sms_delivery_failed"): errors.Refused,
    (502, "verify_failed"): errors.Refused,
    (503, "outcome_unknown"): errors.OutcomeUnknown,
}
_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: errors.InvalidRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.InvalidRequest,
    429: errors.TooManyRequests,
    502: errors.Unavailable,
    503: errors.Unavailable,
    504: errors.Unavailable,
}
_GATEWAY = {429, 502, 503, 504}  # what a proxy in front of the API may answer in its stead
_NEVER_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def json_of(response: httpx.Response) -> Any:
    """What a response that was read holds. Raises ApiError, UnexpectedAnswer."""
    body = _json(response.content)
    if response.is_success and body is not None:
        return body
    raise failure_of(response) if not response.is_success else UnexpectedAnswer("the answer is no JSON")


def failure_of(response: httpx.Response) -> ApiError | UnexpectedAnswer:
    """What a response that is no success says."""
    status, retry_after = response.status_code, _seconds(response.headers.get("Retry-After"))
    body = _json(response.content)
    if not isinstance(body, dict) or not isinstance(body.get("error"), str):
        if status not in _GATEWAY:
            return UnexpectedAnswer(f"HTTP {status}, and not from Heliograph: is the base URL right?")
        return _BY_STATUS[status](status, "gateway", f"HTTP {status} from something before Heliograph", (), retry_after)
    found = _BY_ERROR.get((status, body["error"])) or _BY_STATUS.get(status, ApiError)
    return found(status, body["error"], str(body.get("detail", "")), _details(body.get("details")), retry_after)


def no_answer(failure: httpx.TransportError) -> Unreachable:
    """What became of a request without an answer."""
    if isinstance(failure, _NEVER_CONNECTED):
        return Unreachable(None, NOT_CONNECTED, f"Heliograph cannot be reached ({type(failure).__name__}: {failure}).")
    return Unreachable(None, "no_answer", f"No answer came ({type(failure).__name__}); it may have been taken.")


def _details(given: Any) -> tuple[Detail, ...] | Mapping[str, Any]:
    if isinstance(given, dict):
        return given
    return tuple(read(Detail, one) for one in given) if isinstance(given, list) else ()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _seconds(retry_after: str | None) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        at = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds()) if at.tzinfo is not None else None
