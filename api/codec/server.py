"""The HTTP server that the codec server runs in."""

import uvicorn

from api.codec.app import create_app
from api.connection import Connection
from api.server import GRACEFUL_SHUTDOWN_SECONDS, KEEP_ALIVE_SECONDS
from settings import Settings


def server(settings: Settings) -> uvicorn.Server:
    """Ready to run on HOST and CODEC_PORT."""
    return uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.host,
            port=settings.codec_port,
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
        )
    )
