"""A parcel has left the warehouse."""

from datetime import timedelta

from notifications.order_update import OrderUpdate
from notifications.policy import Policy, Purpose, Rung
from notifications.texts import Texts


class OrderShipped(OrderUpdate):
    """A parcel has left the warehouse."""

    policy = Policy(
        purpose=Purpose.ORDER_UPDATES,
        deliver_within=timedelta(minutes=10),
        stale_after=timedelta(hours=12),
        ladder=(Rung.tell_operators(),),
    )
    supersedes = frozenset({"order-delayed"})
    texts = Texts(
        {
            "en": "Your order {order} has shipped.",
            "es": "Su pedido {order} ha sido enviado.",
            "de": "Ihre Bestellung {order} ist unterwegs.",
            "ja": "ご注文{order}を発送しました。",
        }
    )

    def text(self) -> str:
        return self.texts.say(self.locale, order=self.order_id) + self.tracking()
