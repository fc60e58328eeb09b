"""Asking the database while a caller waits."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from api.problems import Unavailable

PATIENCE = 2.0  # seconds; a caller hears of an outage within three

Answer = TypeVar("Answer")


async def answered(call: Awaitable[Answer]) -> Answer:
    """What the database answers. Raises Unavailable when it does not in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await call
    except (SQLAlchemyError, OSError, TimeoutError):
        raise Unavailable("The database") from None
