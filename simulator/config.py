"""How the simulator is set up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class SimulatorConfig:
    """One account with its credentials and senders."""

    account_sid: str
    auth_token: str
    senders: tuple[str, ...] = ("+15005550006",)
    messaging_services: tuple[str, ...] = ()
    verify_services: tuple[str, ...] = ("VA00000000000000000000000000000000",)
    auth_token_secondary: str | None = None
    api_keys: Mapping[str, str] = field(default_factory=dict)
    """API key SID to its secret."""
    test_account: tuple[str, str] | None = None
    """SID and token of test credentials: the magic numbers work there, and nothing is ever called back."""
    database: Path | None = None
    """SQLite file that survives a restart; None keeps everything in memory."""
    host: str = "127.0.0.1"
    port: int = 8090
    sent_after: float = 0.15
    """Seconds from acceptance to `sent`; until a call rings."""
    delivered_after: float = 0.4
    """Seconds from acceptance to the final status; until a call is answered."""
    word_seconds: float = 0.02
    """How long a call speaks a word."""
    inbound_url: str | None = None
    """The senders' webhook for "a message comes in"; None for none."""
    operations_webhook_secret: str | None = None
    """Standard Webhooks secret (`whsec_…`) of the operators' desk; None takes any notice."""
