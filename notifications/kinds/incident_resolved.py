"""What was broken works again."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from notifications.event import Event
from notifications.fields import Printable
from notifications.plan import Plan
from notifications.policy import Policy, Priority, Purpose, Rung
from notifications.texts import Texts


class IncidentResolved(Event):
    """What was broken works again: stops the alerts of the group, and tells those who were alerted."""

    group_key: Annotated[
        Printable, Field(min_length=1, max_length=120, description="The alerts'.", examples=["checkout-api/5xx"])
    ]

    policy = Policy(
        purpose=Purpose.INCIDENTS,
        priority=Priority.URGENT,
        deliver_within=timedelta(minutes=10),
        stale_after=timedelta(hours=1),
        ladder=(Rung.tell_operators(),),
    )
    resolves = True
    texts = Texts(
        {
            "en": "RESOLVED {group}",
            "es": "RESUELTO {group}",
            "de": "BEHOBEN {group}",
            "ja": "復旧 {group}",
        }
    )

    def plan(self, now: datetime) -> Plan:
        """Nobody yet: whoever was alerted is known only when the alerts have been stopped."""
        return Plan(())

    def text(self) -> str:
        return self.texts.say(self.locale, group=self.group_key)

    def subject(self) -> str:
        return f"incident {self.group_key}"
