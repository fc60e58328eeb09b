"""An event that is one text to one phone."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from notifications.addressed import Addressed
from notifications.event import Event
from notifications.fields import PastTimestamp
from notifications.fitting import check_event_id, check_text
from notifications.plan import Draft, Plan
from notifications.smart_encoding import economical


class TextEvent(Event, Addressed):
    """What most kinds are: a recipient who has agreed to it, and a text."""

    consent_at: Annotated[PastTimestamp, Field(description="When the recipient agreed to be texted about this.")]

    def plan(self, now: datetime) -> Plan:
        return Plan((Draft(self.body(), self.phone),))

    def body(self) -> str:
        """The text as it is sent."""
        return economical(self.text())

    @model_validator(mode="after")
    def _number_is_not_in_the_event_id(self) -> Self:
        check_event_id(self.event_id, self.phone)
        return self

    @model_validator(mode="after")
    def _fits_one_message(self) -> Self:
        check_text(self.body(), self.policy.max_segments)
        return self
