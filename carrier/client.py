"""Twilio's official client on our own transport."""

from twilio.rest import Client

from carrier.transport import Transport
from settings import Settings


def connected(settings: Settings) -> tuple[Transport, Client]:
    """The transport, to be closed at the end, and the client on it. Call it inside a running event loop."""
    transport = Transport(
        settings.twilio_url,
        connect_timeout=settings.twilio_connect_timeout_seconds,
        read_timeout=settings.twilio_read_timeout_seconds,
    )
    key_secret = settings.twilio_api_key_secret
    client = Client(
        settings.twilio_api_key_sid or settings.account_sid,
        key_secret.get_secret_value() if key_secret else settings.auth_token,
        settings.account_sid,
        http_client=transport,
    )
    return transport, client
