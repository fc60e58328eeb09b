"""What an attempt to create a message or a call meets, as its step says."""

import asyncio

from fastapi import Request

from simulator.errors import TwilioError
from simulator.scenario import Step
from simulator.transport import abort


async def before(step: Step) -> None:
    """Raises TwilioError where nothing is looked at."""
    if step.fault == "429":
        raise TwilioError(20429, retry_after=step.retry_after)
    if step.fault == "slow":
        await asyncio.sleep(step.seconds)


def harmless(step: Step) -> bool:
    """Whether the attempt is answered as it should be."""
    return step.fault in ("none", "slow")


def taken(step: Step) -> bool:
    """Whether the request is carried out, whatever is answered."""
    return harmless(step) or step.accept


async def after(step: Step, request: Request) -> None:
    """Raises TwilioError where the answer is not the one that is deserved, or goes into a connection that is gone."""
    if step.fault == "500":
        raise TwilioError(20503 if step.status == 503 else 20500, status=step.status)
    if step.fault in ("hang", "reset"):
        await asyncio.sleep(step.seconds if step.fault == "hang" else 0)
        abort(request)
        raise TwilioError(20500)
