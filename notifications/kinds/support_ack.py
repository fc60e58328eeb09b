"""A support request has come in."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from notifications.policy import Policy, Purpose, Rung
from notifications.text_event import TextEvent
from notifications.texts import Texts


class SupportAck(TextEvent):
    """A support request has come in. The text is fixed: nothing that was written in the request can get into it."""

    ticket_id: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._#/-]{0,31}$",
            description="The ticket's number. No spaces: it is no place for a subject line.",
            examples=["T-20417"],
        ),
    ]

    policy = Policy(
        purpose=Purpose.SUPPORT,
        deliver_within=timedelta(minutes=10),
        stale_after=timedelta(hours=2),
        max_segments=1,
        ladder=(Rung.tell_operators(),),
    )
    texts = Texts(
        {
            "en": "We have received your request {ticket} and will get back to you.",
            "es": "Hemos recibido su solicitud {ticket} y le responderemos pronto.",
            "de": "Wir haben Ihre Anfrage {ticket} erhalten und melden uns.",
            "ja": "お問い合わせ{ticket}を受け付けました。追ってご連絡いたします。",
        }
    )

    def text(self) -> str:
        return self.texts.say(self.locale, ticket=self.ticket_id)
