"""The floor: what Temporal alone costs. One workflow with one activity that does nothing, and one signal.

`python -m tests.bench.floor ADDRESS` is its worker, a process of its own as ours is.
"""

import asyncio
import signal
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "bare"


@activity.defn
async def nothing() -> None:
    """Does nothing."""


@workflow.defn
class Bare:
    """Starts, runs an activity, waits for a signal, ends."""

    def __init__(self) -> None:
        self._signalled = False

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=60))
        await workflow.wait_condition(lambda: self._signalled)

    @workflow.signal
    def finish(self) -> None:
        self._signalled = True


async def work(address: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(address)
    async with Worker(client, task_queue=QUEUE, workflows=[Bare], activities=[nothing], max_cached_workflows=5_000):
        print("working", flush=True)  # noqa: T201  # whoever started it waits for this
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
