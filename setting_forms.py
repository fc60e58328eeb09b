"""How settings are written, each form a type that pydantic checks. What is wrong is said without the value."""

import base64
import binascii
import re
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from notifications import access, endpoints
from notifications.caps import Cap, parse_caps
from notifications.destinations import NumberType
from notifications.per_name import PerName, parse_per_name
from notifications.quiet_hours import QuietHours


def _pattern(pattern: str, says: str) -> AfterValidator:
    def check(value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is not None and not re.fullmatch(pattern, text):
            raise ValueError(says)
        return value

    return AfterValidator(check)


def _written(parse: Any) -> BeforeValidator:
    """What is text is parsed; what is none, as tests and commands give it, is taken as it is."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _base_url(value: str | None) -> str | None:
    if value is None:
        return None
    says = "must be an http or https URL such as https://texts.example.org, without query, fragment or credentials"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(says) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(says)
    if parts.username is not None or parts.password is not None or port == 0:
        raise ValueError(says)
    return value.rstrip("/")


def _reachable_by_twilio(url: str | None) -> str | None:
    if url is not None and "_" in (urlsplit(url).hostname or ""):
        raise ValueError("must have a host name without underscores: Twilio refuses others (error 21609)")
    return url


def _pairs(value: str) -> tuple[tuple[str, str], ...]:
    # A payload key is written id:base64, an API key caller=key; neither name may hold the other's sign.
    pairs = [re.split(r"[=:]", part, maxsplit=1) for part in _listed(value)]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise ValueError("must be a list such as name=key,name=key")
    return tuple((name.strip(), key.strip()) for name, key in pairs)


def _headers(value: str) -> tuple[tuple[str, str], ...]:
    pairs = [part.split("=", 1) for part in _listed(value)]
    if any(len(pair) != 2 or not re.fullmatch(r"[A-Za-z0-9-]+\s*", pair[0]) for pair in pairs):
        raise ValueError("must be a list such as name=value,name=value")
    return tuple((name.strip().lower(), unquote(text.strip())) for name, text in pairs)


_SecretPairs = tuple[tuple[str, SecretStr], ...]


def _callers(keys: _SecretPairs) -> _SecretPairs:
    for caller, _ in keys:
        access.parse_caller(caller)
    return keys


def _operators(keys: _SecretPairs) -> _SecretPairs:
    for operator, key in keys:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,40}", operator):
            raise ValueError("operators are named by 1 to 40 of A-Z a-z 0-9 . _ -")
        if len(key.get_secret_value()) < 16:
            raise ValueError(f"the key of {operator} must have at least 16 characters (openssl rand -hex 32)")
    return keys


def _key_ring(keys: _SecretPairs) -> _SecretPairs:
    if len({key_id for key_id, _ in keys}) != len(keys):
        raise ValueError("each key needs an id of its own")
    for key_id, key in keys:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,40}", key_id):
            raise ValueError("key ids are 1 to 40 of A-Z a-z 0-9 . _ -")
        if len(decoded(key)) != 32:
            raise ValueError(f"key {key_id} must be 32 bytes in base64 (openssl rand -base64 32)")
    return keys


def decoded(key: SecretStr) -> bytes:
    """A key that is written in base64; empty where it is not."""
    try:
        return base64.b64decode(key.get_secret_value(), validate=True)
    except binascii.Error:
        return b""


def _hash_key(key: SecretStr | None) -> SecretStr | None:
    if key is not None and len(key.get_secret_value()) < 16:
        raise ValueError("must have at least 16 characters (openssl rand -base64 32)")
    return key


def _countries(value: str) -> frozenset[str]:
    countries = frozenset(part.upper() for part in _listed(value))
    if any(not re.fullmatch(r"[A-Z]{2}", country) for country in countries):
        raise ValueError("must be ISO 3166-1 alpha-2 codes such as US,CA,DE")
    return countries


def _number_types(value: str) -> frozenset[NumberType]:
    given = frozenset(part.lower() for part in _listed(value))
    if not given <= set(NumberType):
        raise ValueError(f"must be of {', '.join(NumberType)}")
    return frozenset(NumberType(one) for one in given)


def _hosts(value: str) -> frozenset[str]:
    hosts = frozenset(part.lower() for part in _listed(value))
    if any(not re.fullmatch(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*", host) for host in hosts):
        raise ValueError("must be host names such as example.com or *.example.com")
    return hosts


def _hours(value: str) -> QuietHours | None:
    return None if _is_none(value) else QuietHours.parse(value)


def _caps(value: str) -> tuple[Cap, ...]:
    return () if _is_none(value) else parse_caps(value)


def _one_cap(value: str) -> Cap | None:
    limits = _caps(value)
    if len(limits) > 1:
        raise ValueError("must be one limit such as 200/10m, or none")
    return limits[0] if limits else None


def _is_none(value: str) -> bool:
    return value.strip().lower() == "none"


def _days(value: str) -> PerName:
    return parse_per_name(value, without="forever", example="30,support-ack=7,incident-alert=forever", digits=5)


def _needed_for_a_day(days: PerName) -> PerName:
    if 0 in (days.default, *days.named.values()):
        raise ValueError("must be at least 1 day: who was alerted is told of the end, and a key is used for a day")
    return days


def _budget(value: str) -> PerName:
    return parse_per_name(value, without="none", example="10000,US=50000")


BaseUrl = Annotated[str, AfterValidator(_base_url)]
PublicUrl = Annotated[BaseUrl, AfterValidator(_reachable_by_twilio)]
AccountSid = Annotated[str, _pattern(r"AC[0-9a-fA-F]{32}", "must be AC and 32 hex digits")]
ApiKeySid = Annotated[str, _pattern(r"SK[0-9a-fA-F]{32}", "must be SK and 32 hex digits")]
MessagingServiceSid = Annotated[str, _pattern(r"MG[0-9a-fA-F]{32}", "must be MG and 32 hex digits")]
VerifyServiceSid = Annotated[str, _pattern(r"VA[0-9a-fA-F]{32}", "must be VA and 32 hex digits")]
AuthToken = Annotated[SecretStr, _pattern(r"\S{20,}", "must have at least 20 characters and no spaces")]
PhoneNumber = Annotated[str, _pattern(r"\+[1-9][0-9]{6,14}", "must be in E.164 form such as +15005550006")]
Sender = Annotated[
    str,
    _pattern(
        r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}",
        "must be in E.164 form such as +15005550006, a short code or an alphanumeric sender ID",
    ),
]
WebhookUrl = Annotated[str, _pattern(endpoints.URL.pattern, "must be an http or https URL without credentials")]
WebhookSecret = Annotated[
    SecretStr,
    _pattern(
        rf"{endpoints.SECRET.pattern}(\s*,\s*{endpoints.SECRET.pattern})?",
        "must be whsec_ and at least 24 base64 characters, or two of them with a comma between",
    ),
]
DatabaseUrl = Annotated[
    SecretStr, _pattern(r"(sqlite:///.+|postgres(ql)?://.+)", "must begin with sqlite:/// or postgresql://")
]
DeploymentName = Annotated[str, _pattern(r"[A-Za-z0-9_-]{1,60}", "must be 1 to 60 of A-Z a-z 0-9 _ -")]
BuildId = Annotated[str, _pattern(r"[A-Za-z0-9._-]{1,60}", "must be 1 to 60 of A-Z a-z 0-9 . _ -")]
HashKey = Annotated[SecretStr, AfterValidator(_hash_key)]

CallersKeys = Annotated[_SecretPairs, NoDecode, _written(_pairs), AfterValidator(_callers)]
OperatorsKeys = Annotated[_SecretPairs, NoDecode, _written(_pairs), AfterValidator(_operators)]
PayloadKeys = Annotated[_SecretPairs, NoDecode, _written(_pairs), AfterValidator(_key_ring)]
Headers = Annotated[_SecretPairs, NoDecode, _written(_headers)]
Countries = Annotated[frozenset[str], NoDecode, _written(_countries)]
NumberTypes = Annotated[frozenset[NumberType], NoDecode, _written(_number_types)]
Hosts = Annotated[frozenset[str], NoDecode, _written(_hosts)]
Hours = Annotated[QuietHours | None, NoDecode, _written(_hours)]
Caps = Annotated[tuple[Cap, ...], NoDecode, _written(_caps)]
OneCap = Annotated[Cap | None, NoDecode, _written(_one_cap)]
Days = Annotated[PerName, NoDecode, _written(_days)]
DaysOfNumbers = Annotated[Days, AfterValidator(_needed_for_a_day)]
Budget = Annotated[PerName, NoDecode, _written(_budget)]
