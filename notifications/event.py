"""What every business event has in common: its ID, its recipient, his consent."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from notifications import phone
from notifications.addressed import Addressed
from notifications.fields import EventId, Locale, PastTimestamp, Printable
from notifications.local_time import is_zone
from notifications.policy import Policy
from notifications.segments import measure
from notifications.texts import Texts

MAX_BODY = 1600  # characters, Twilio's limit for one message (error 21617)


class Event(Addressed):
    """A business event with one recipient. A kind is a subclass in its own file in `notifications/kinds/`."""

    kind: ClassVar[str]
    policy: ClassVar[Policy]
    texts: ClassVar[Texts]

    event_id: EventId
    consent_at: Annotated[PastTimestamp, Field(description="When the recipient agreed to be texted about this.")]
    occurred_at: Annotated[PastTimestamp | None, Field(description="When the event happened.")] = None
    locale: Locale | None = None
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

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and not is_zone(zone):
            raise PydanticCustomError("time_zone", "is not an IANA time zone, for example Europe/Berlin")
        return zone

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
