"""A parcel has left the warehouse."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from notifications.event import Event, Printable, WebUrl
from notifications.policy import Policy, Purpose, Rung


class OrderShipped(Event):
    """A parcel has left the warehouse."""

    order_id: Annotated[Printable, Field(min_length=1, max_length=80, examples=["48151623"])]
    tracking_url: Annotated[WebUrl | None, Field(examples=["https://example.com/track/1Z999AA10123456784"])] = None

    policy = Policy(
        purpose=Purpose.ORDER_UPDATES,
        deliver_within=timedelta(minutes=10),
        stale_after=timedelta(hours=12),
        ladder=(Rung.tell_operators(),),
    )

    def text(self) -> str:
        tracking = f" Tracking: {self.tracking_url}" if self.tracking_url else ""
        return f"Your order {self.order_id} has shipped.{tracking}"
