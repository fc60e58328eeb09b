"""What operators read in Temporal's UI as it stands, without a key."""


class OperatorText(str):
    """Words for operators: a kind, a masked number, a country, a reason. Everything else is encrypted there.

    Only what is made an OperatorText on purpose stays readable; it must hold masked numbers only.
    """

    __slots__ = ()
