"""Running the simulator as a process."""

import uvicorn

from simulator.app import create_simulator
from simulator.config import SimulatorConfig


class _Server(uvicorn.Server):
    """Ends the streams to open pages first, so that the shutdown does not wait for them."""

    def handle_exit(self, sig: int, frame: object) -> None:
        self.config.app.state.stopping.set()  # type: ignore[union-attr]  # it is our FastAPI
        super().handle_exit(sig, frame)  # type: ignore[arg-type]


def run(config: SimulatorConfig) -> None:
    """Blocks until SIGTERM or SIGINT."""
    _Server(
        uvicorn.Config(
            create_simulator(config),
            host=config.host,
            port=config.port,
            log_level="warning",
            access_log=False,  # paths hold numbers
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
    ).run()
