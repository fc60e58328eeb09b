"""A parcel comes later than was promised."""

from datetime import timedelta

from notifications.order_update import OrderUpdate
from notifications.policy import Policy, Purpose, Rung
from notifications.texts import Texts


class OrderDelayed(OrderUpdate):
    """A parcel comes later than was promised."""

    policy = Policy(
        purpose=Purpose.ORDER_UPDATES,
        deliver_within=timedelta(minutes=30),
        stale_after=timedelta(hours=24),
        keeps_quiet=True,  # bad news that can wait for the morning
        ladder=(Rung.tell_operators(),),
    )
    supersedes = frozenset({"order-delayed"})  # a second delay makes the first one stale
    texts = Texts(
        {
            "en": "Your order {order} is delayed. We are sorry, and will tell you when it is on its way.",
            "es": "Su pedido {order} se retrasa. Lo sentimos; le avisaremos cuando esté en camino.",
            "de": "Ihre Bestellung {order} verspätet sich. Wir melden uns, sobald sie unterwegs ist.",
            "ja": "ご注文{order}の配送が遅れております。発送次第お知らせいたします。",
        }
    )

    def text(self) -> str:
        return self.texts.say(self.locale, order=self.order_id) + self.tracking()
