"""The HTTP server that the API runs in."""

import signal

import uvicorn

from api.app import create_app
from api.connection import Connection
from settings import Settings
from telemetry.temporal import SdkMetrics

# Longer than load balancers (60 s as a rule) and clients keep an idle connection, so that they hang up first: a server
# that does loses the request that is already on its way.
KEEP_ALIVE_SECONDS = 75
GRACEFUL_SHUTDOWN_SECONDS = 10


def server(settings: Settings, sdk: SdkMetrics | None = None) -> uvicorn.Server:
    """The API, ready to run on HOST and PORT; `sdk` has the metrics of Temporal's client."""
    return uvicorn.Server(
        uvicorn.Config(
            create_app(settings, sdk),
            host=settings.host,
            port=settings.port,
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # signatures are checked over PUBLIC_BASE_URL, whatever a proxy says
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
        )
    )


def run(http: uvicorn.Server) -> None:
    """Serves until SIGTERM or SIGINT, and returns then.

    By itself uvicorn raises the signal once more when it has shut down, which ends the process before its last spans
    are sent, and with the code of a failure.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(http, "should_exit", True))
    http.run()
