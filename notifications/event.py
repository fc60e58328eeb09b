"""What every business event has in common: its ID, its recipient, his consent."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from notifications import phone
from notifications.local_time import is_zone
from notifications.policy import Policy
from notifications.segments import measure
from notifications.texts import Texts

MAX_BODY = 1600  # characters, Twilio's limit for one message (error 21617)
CLOCK_SKEW = timedelta(minutes=1)  # by how much a caller's clock may be ahead of ours

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)", re.IGNORECASE | re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")


def _timestamp(value: Any) -> datetime:
    wrong = PydanticCustomError(
        "timestamp", "must be an ISO 8601 date and time with its offset, for example 2026-11-23T09:30:00+01:00"
    )
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise wrong
        return value
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        raise wrong
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong from None
    if moment.year < 2000:
        raise wrong
    return moment


def _not_in_future(moment: datetime) -> datetime:
    if moment > datetime.now(UTC) + CLOCK_SKEW:
        raise PydanticCustomError("in_future", "must not be in the future")
    return moment


def _web_url(value: str) -> str:
    wrong = PydanticCustomError("web_url", "must be an http or https URL, for example https://example.com/t/1Z999")
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise wrong from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise wrong
    if re.search(r"[\s\"<>\\^`{|}]", value) or parts.username is not None or parts.password is not None:
        raise wrong
    return value


def _printable(value: str) -> str:
    if _CONTROL.search(value):
        raise PydanticCustomError("control_character", "must not hold line breaks or control characters")
    return value


Timestamp = Annotated[
    datetime,
    BeforeValidator(_timestamp, json_schema_input_type=str),
    Field(json_schema_extra={"format": "date-time", "examples": ["2026-11-20T09:30:00+01:00"]}),
]
PastTimestamp = Annotated[Timestamp, AfterValidator(_not_in_future)]
Printable = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_printable)]
WebUrl = Annotated[Printable, Field(max_length=1000), AfterValidator(_web_url)]
EventId = Annotated[
    str,
    Field(
        min_length=6,
        max_length=120,
        pattern=r"^[A-Za-z0-9._:@-]+$",
        description="Yours, unique per business event. It is the Temporal workflow ID; the same one never texts twice.",
        examples=["order-shipped:48151623"],
    ),
]


class Event(BaseModel):
    """A business event with one recipient. A kind is a subclass in its own file in `notifications/kinds/`."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: ClassVar[str]
    policy: ClassVar[Policy]
    texts: ClassVar[Texts]

    event_id: EventId
    region: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Z]{2}$",
            description="ISO 3166-1 alpha-2; lets `phone` be in this region's national form.",
            examples=["US"],
        ),
    ] = None
    phone: Annotated[
        str,
        Field(
            description="The recipient, in E.164; or in national form with `region`.",
            examples=[phone.EXAMPLE],
            max_length=40,
        ),
    ]
    consent_at: Annotated[PastTimestamp, Field(description="When the recipient agreed to be texted about this.")]
    occurred_at: Annotated[PastTimestamp | None, Field(description="When the event happened.")] = None
    locale: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$",
            max_length=35,
            description="The recipient's language, a BCP 47 tag.",
            examples=["en-US"],
        ),
    ] = None
    time_zone: Annotated[
        str | None,
        Field(
            max_length=60,
            description="The recipient's, by its IANA name; otherwise his number tells, as well as it can.",
            examples=["America/New_York"],
        ),
    ] = None
    delivery_timeout_seconds: Annotated[
        int | None,
        Field(strict=True, ge=5, le=86_400, description="Overrides the kind's deadline.", examples=[600]),
    ] = None
    operator_note: Annotated[
        Printable | None,
        Field(max_length=500, description="Shown to operators, never sent to the recipient."),
    ] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = re.sub(r"(?<=.)([A-Z])", r"-\1", cls.__name__).lower()

    def text(self) -> str:
        """The body of the text. At most 1,600 characters."""
        raise NotImplementedError

    def links(self) -> Mapping[str, str]:
        """The URLs in the text, by the wire name of their field; LINK_HOSTS says where they may lead."""
        return {}

    @field_validator("region")
    @classmethod
    def _known_region(cls, region: str | None) -> str | None:
        if region is not None and region not in phone.REGIONS:
            raise PydanticCustomError("region", "is not a region with phone numbers, for example US")
        return region

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and not is_zone(zone):
            raise PydanticCustomError("time_zone", "is not an IANA time zone, for example Europe/Berlin")
        return zone

    @field_validator("phone")
    @classmethod
    def _e164(cls, number: str, info: ValidationInfo) -> str:
        try:
            return phone.normalise(number, info.data.get("region"))
        except phone.RefusedPhoneType as refused:
            raise PydanticCustomError("phone_type_refused", "{why}", {"why": str(refused)}) from None
        except phone.InvalidPhone as invalid:
            raise PydanticCustomError("phone", "{why}", {"why": str(invalid)}) from None

    @model_validator(mode="after")
    def _number_is_not_in_the_event_id(self) -> Self:
        # The event ID is in every log, metric and workflow list; the number must be in none of them.
        digits = re.sub(r"[^0-9]", "", self.event_id)
        national = phone.national_digits(self.phone)
        if self.phone[1:] in digits or (len(national) >= 8 and national in digits):
            raise PydanticCustomError("phone_in_event_id", "eventId must not hold the recipient's phone number")
        return self

    @model_validator(mode="after")
    def _fits_one_message(self) -> Self:
        text = self.text()
        if len(text.encode("utf-16-le")) // 2 > MAX_BODY:
            raise PydanticCustomError("text_too_long", "the text would have over 1,600 characters")
        size = measure(text)
        if size.segments > self.policy.max_segments:
            raise PydanticCustomError(
                "too_many_segments",
                "the text would take {segments} segments in {encoding}, and this kind may take {most}",
                {"segments": size.segments, "encoding": size.encoding.value, "most": self.policy.max_segments},
            )
        return self
