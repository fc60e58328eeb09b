"""The simulator, set up so that the settings find it."""

from settings import SIMULATOR_WEBHOOK_SECRET, Settings
from simulator.config import SimulatorConfig
from simulator.server import run


def serve(settings: Settings) -> None:
    """Blocks until SIGTERM."""
    secret = settings.operations_webhook_secret
    key_sid, key_secret = settings.twilio_api_key_sid, settings.twilio_api_key_secret
    run(
        SimulatorConfig(
            account_sid=settings.account_sid,
            auth_token=settings.auth_token,
            api_keys={key_sid: key_secret.get_secret_value()} if key_sid and key_secret else {},
            senders=(settings.from_number,) if settings.from_number else (),
            messaging_services=(settings.twilio_messaging_service_sid,)
            if settings.twilio_messaging_service_sid
            else (),
            verify_services=(settings.verify_service_sid,) if settings.verify_service_sid else (),
            database=settings.data_dir / "simulator.db",
            port=settings.simulator_port,
            inbound_url=f"{settings.base_url}/twilio/inbound",
            operations_webhook_secret=secret.get_secret_value() if secret else SIMULATOR_WEBHOOK_SECRET,
        )
    )
