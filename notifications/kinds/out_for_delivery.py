"""A parcel is in the van and comes today."""

from datetime import timedelta

from notifications.order_update import OrderUpdate
from notifications.policy import Policy, Purpose, Rung
from notifications.texts import Texts


class OutForDelivery(OrderUpdate):
    """A parcel is in the van and comes today."""

    policy = Policy(
        purpose=Purpose.ORDER_UPDATES,
        deliver_within=timedelta(minutes=10),
        stale_after=timedelta(hours=4),  # by then it has come
        ladder=(Rung.tell_operators(),),
    )
    supersedes = frozenset({"order-delayed"})
    texts = Texts(
        {
            "en": "Your order {order} is out for delivery and arrives today.",
            "es": "Su pedido {order} está en reparto y llega hoy.",
            "de": "Ihre Bestellung {order} ist in der Zustellung und kommt heute an.",
            "ja": "ご注文{order}は本日配達予定です。",
        }
    )

    def text(self) -> str:
        return self.texts.say(self.locale, order=self.order_id) + self.tracking()
