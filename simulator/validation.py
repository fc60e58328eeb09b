"""The rules for creating a message or a call, with Twilio's codes (their resources; error dictionary)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from simulator.config import SimulatorConfig
from simulator.errors import TwilioError

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
# "Magic" recipients of test credentials; on the live account they trigger the same refusals.
MAGIC_TO = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
MAGIC_CALL_TO = {"+15005550001": 21217, "+15005550002": 21214, "+15005550003": 21215, "+15005550004": 21216}
TEST_SENDER = "+15005550006"
EVENTS = ("initiated", "ringing", "answered", "completed")
LONGEST_RING = 600  # seconds
SHORTEST_LEAD, LONGEST_LEAD = timedelta(seconds=300), timedelta(days=35)  # error pages 35114 and 35115


@dataclass(frozen=True)
class Create:
    """A valid request for a message."""

    to: str
    from_: str | None
    body: str
    service: str | None
    status_callback: str | None
    validity: int
    scheduled: bool


@dataclass(frozen=True)
class Dial:
    """A valid request for a call."""

    to: str
    from_: str
    twiml: str
    timeout: int
    status_callback: str | None
    status_callback_method: str
    events: list[str]


def validated(form: Mapping[str, str], config: SimulatorConfig, *, test: bool) -> Create:
    """Raises TwilioError with the code that Twilio answers."""
    to, body = form.get("To", ""), form.get("Body", "")
    from_, service = form.get("From") or None, form.get("MessagingServiceSid") or None
    if not to:
        raise TwilioError(21604)
    if not body and not form.get("MediaUrl") and not form.get("ContentSid"):
        raise TwilioError(21602)
    if len(body.encode("utf-16-le")) // 2 > 1600:
        raise TwilioError(21617)
    _check_sender(to, from_, service, config, test=test)
    if not E164.fullmatch(to) or to == from_:
        raise TwilioError(21211, to=to)
    if to in MAGIC_TO:
        raise TwilioError(MAGIC_TO[to], to=to, from_=from_ or "")
    return Create(
        to=to,
        from_=from_ or (config.senders[0] if config.senders else None),
        body=body,
        service=service,
        status_callback=_callback(form.get("StatusCallback")),
        validity=_validity(form.get("ValidityPeriod")),
        scheduled=_scheduled(form, service),
    )


def validated_call(form: Mapping[str, str], events: Sequence[str], config: SimulatorConfig, *, test: bool) -> Dial:
    """`events` are the values of StatusCallbackEvent. Raises TwilioError with the code that Twilio answers."""
    to, from_, twiml = (form.get(name, "") for name in ("To", "From", "Twiml"))
    if not to:
        raise TwilioError(21201)
    _check_caller(from_, config, test=test)
    if not E164.fullmatch(to) or to == from_:
        raise TwilioError(21211, to=to)
    if to in MAGIC_CALL_TO:
        raise TwilioError(MAGIC_CALL_TO[to], to=to)
    if form.get("Url") or not twiml:  # with both, Twilio would fetch the Url
        raise TwilioError(21205)
    if len(twiml) > 4000:
        raise TwilioError(32018)
    method = form.get("StatusCallbackMethod", "POST").upper()
    if method not in ("GET", "POST"):
        raise TwilioError(21209)
    if not set(events) <= set(EVENTS):
        raise TwilioError(21626)
    return Dial(
        to=to,
        from_=from_,
        twiml=twiml,
        timeout=_timeout(form.get("Timeout")),
        status_callback=_callback(form.get("StatusCallback")),
        status_callback_method=method,
        events=list(events) or ["completed"],
    )


def _check_caller(from_: str, config: SimulatorConfig, *, test: bool) -> None:
    if not from_:
        raise TwilioError(21213)
    if not E164.fullmatch(from_) or from_ == "+15005550001":
        raise TwilioError(21212, from_=from_)
    if from_ not in ((TEST_SENDER,) if test else config.senders):
        raise TwilioError(21210, from_=from_)


def _timeout(text: str | None) -> int:
    if text is None:
        return 60
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise TwilioError(21208)
    return min(int(text), LONGEST_RING)


def _check_sender(to: str, from_: str | None, service: str | None, config: SimulatorConfig, *, test: bool) -> None:
    if service is not None:
        if test:
            raise TwilioError(20008)
        if service not in config.messaging_services:
            raise TwilioError(21701)
        if from_ is not None and from_ not in config.senders:
            raise TwilioError(21711, from_=from_)
        return
    if from_ is None:
        raise TwilioError(21603)
    if from_ in MAGIC_FROM and (test or from_ not in config.senders):
        raise TwilioError(MAGIC_FROM[from_], to=to, from_=from_)
    if not E164.fullmatch(from_) and not ALPHANUMERIC.fullmatch(from_) and not re.fullmatch(r"[0-9]{3,8}", from_):
        raise TwilioError(21212, from_=from_)
    allowed = (TEST_SENDER,) if test else config.senders
    if from_ not in allowed:
        raise TwilioError(21606, from_=from_)


def _callback(url: str | None) -> str | None:
    if not url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise TwilioError(21609) from None
    if len(url) > 4000 or parts.scheme not in ("http", "https") or not parts.hostname or "_" in parts.hostname:
        raise TwilioError(21609)
    return url


def _validity(text: str | None) -> int:
    if text is None:
        return 36_000
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= 36_000:
        raise TwilioError(21624)
    return int(text)


def _scheduled(form: Mapping[str, str], service: str | None) -> bool:
    if form.get("ScheduleType") != "fixed" or service is None:
        return False  # without a service "treated as non-scheduled"
    if not form.get("SendAt"):
        raise TwilioError(35111)
    try:
        lead = datetime.fromisoformat(form["SendAt"]) - datetime.now(UTC)
    except (ValueError, TypeError):
        raise TwilioError(35114) from None
    if not SHORTEST_LEAD < lead <= LONGEST_LEAD:
        raise TwilioError(35114)
    return True
