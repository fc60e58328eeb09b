"""`python -m simulator`: the simulator alone, set up from the environment."""

import os
from pathlib import Path

from simulator.config import SimulatorConfig
from simulator.server import run

if __name__ == "__main__":
    environment = os.environ
    service = environment.get("TWILIO_MESSAGING_SERVICE_SID")
    database = environment.get("SIMULATOR_DATABASE")
    run(
        SimulatorConfig(
            account_sid=environment.get("TWILIO_ACCOUNT_SID", "AC" + "0" * 32),
            auth_token=environment.get("TWILIO_AUTH_TOKEN", "simulator-token-no-secret"),
            senders=(environment.get("TWILIO_FROM_NUMBER", "+15005550006"),),
            messaging_services=(service,) if service else (),
            database=Path(database) if database else None,
            port=int(environment.get("SIMULATOR_PORT", "8090")),
            inbound_url=environment.get("SIMULATOR_INBOUND_URL"),
            operations_webhook_secret=environment.get("OPERATIONS_WEBHOOK_SECRET"),
        )
    )
