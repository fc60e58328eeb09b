"""What all events about an order have in common."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from notifications.fields import Printable, WebUrl
from notifications.text_event import TextEvent
from notifications.texts import Texts

_TRACKING = Texts(
    {
        "en": " Tracking: {url}",
        "es": " Seguimiento: {url}",
        "de": " Sendungsverfolgung: {url}",
        "ja": " 配送状況: {url}",
    }
)


class OrderUpdate(TextEvent):
    """An order, and where to follow its parcel."""

    order_id: Annotated[Printable, Field(min_length=1, max_length=80, examples=["48151623"])]
    tracking_url: Annotated[WebUrl | None, Field(examples=["https://example.com/track/1Z999AA10123456784"])] = None

    def links(self) -> Mapping[str, str]:
        return {"trackingUrl": self.tracking_url} if self.tracking_url else {}

    def subject(self) -> str:
        return f"order {self.order_id}"

    def tracking(self) -> str:
        """The sentence with the link; empty where there is none."""
        return _TRACKING.say(self.locale, url=self.tracking_url) if self.tracking_url else ""
