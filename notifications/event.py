"""What every business event has in common: its ID, the consent to it, and how it is said."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from notifications.fields import EventId, Locale, PastTimestamp, Printable
from notifications.local_time import is_zone
from notifications.plan import Plan
from notifications.policy import Policy
from notifications.storm import Storm
from notifications.texts import Texts


class Event(BaseModel):
    """A business event. A kind is a subclass in its own file in `notifications/kinds/`; most are a `TextEvent`."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: ClassVar[str]
    policy: ClassVar[Policy]
    texts: ClassVar[Texts]
    supersedes: ClassVar[frozenset[str]] = frozenset()
    """Kinds whose texts about the same subject, still held back, this one makes stale."""
    resolves: ClassVar[bool] = False
    """Whether it ends the alerts about the same subject, and tells those who were alerted."""
    reschedulable: ClassVar[frozenset[str]] = frozenset()
    """The fields that `POST …/reschedule` may change while a text is held back."""

    event_id: EventId
    consent_at: Annotated[
        PastTimestamp | None, Field(description="When the recipient agreed to be texted about this.")
    ] = None
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

    def plan(self, now: datetime) -> Plan:
        """What is sent to whom, and when. Without steps nobody is texted. Raises NotNow."""
        raise NotImplementedError

    def text(self) -> str:
        """What the text says. At most 1,600 characters."""
        raise NotImplementedError

    def links(self) -> Mapping[str, str]:
        """The URLs in the text, by the wire name of their field; LINK_HOSTS says where they may lead."""
        return {}

    def storm(self, window: timedelta) -> Storm | None:
        """How it is folded with others about the same subject that come within `window`; None where it never is."""
        return None

    def subject(self) -> str | None:
        """What the event is about, an order for example; a later event about the same may supersede it."""
        return None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and not is_zone(zone):
            raise PydanticCustomError("time_zone", "is not an IANA time zone, for example Europe/Berlin")
        return zone


class NotNow(Exception):
    """The event is well-formed, and it is too late for it: an appointment that has begun, say."""

    def __init__(self, field: str, says: str) -> None:
        super().__init__(says)
        self.field = field
        self.says = says
