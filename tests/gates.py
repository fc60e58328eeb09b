"""A ledger as the worker has it, for tests that begin at the database."""

from notifications.consent import ConsentRules
from privacy.encryption import KeyRing
from store.caps import SendLimits
from store.consents import Consents
from store.database import Database
from store.gate import Gate
from store.ledger import Ledger
from store.vault import Vault

RING = KeyRing({"test": b"0" * 32})


def ledger_of(
    database: Database,
    limits: SendLimits = SendLimits(),  # noqa: B008
    rules: ConsentRules = ConsentRules(),  # noqa: B008
) -> Ledger:
    return Ledger(database, RING, Gate(Vault(database, RING), Consents(database, rules), limits))
