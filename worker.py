"""The worker process: runs the workflows, and the activities that touch the outside world."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig, WorkflowRunner

from activities.deliver import Deliver
from activities.look_up import LookUp
from activities.operators import Operators
from activities.purge import Purge
from activities.reconcile import Reconcile
from activities.reports import Reports
from activities.steps import Steps
from carrier.calls import Calls
from carrier.messages import Messages
from engine import connect_when_up
from notifications.plan import Channel
from privacy.encryption import KeyedHash, KeyRing
from process import prepared, run_to_end, traced
from settings import Settings
from store.alerts import Alerts
from store.caps import SendLimits
from store.cases import Cases
from store.consents import Consents
from store.database import Database
from store.erasures import Erasures
from store.gate import Gate
from store.held_ranges import HeldRanges
from store.ledger import Ledger
from store.outbox import Outbox
from store.purge import Purge as PurgeTables
from store.steps import StepRecords
from store.timeline import Timeline
from store.vault import Vault
from telemetry.exposition import Exposition, MetricsPort
from telemetry.temporal import SdkMetrics
from workflows import names
from workflows.caller_webhook import CallerWebhook
from workflows.dispatch import Dispatch
from workflows.moving import MovingCallerWebhook, MovingOperatorNotice, MovingReconciliation, MovingRetention
from workflows.notification import Notification
from workflows.operator_notice import OperatorNotice
from workflows.outside import SEND_TAKES_AT_MOST
from workflows.reconciliation import Reconciliation
from workflows.retention import Retention

# Longer than a send: a stopping worker lets its POSTs finish, whose outcome would be unknown otherwise.
GRACE = SEND_TAKES_AT_MOST + timedelta(seconds=10)
SENDS_AT_ONCE = 100
WEBHOOKS_AT_ONCE = 50  # an endpoint may take 15 s to answer

log = structlog.stdlib.get_logger("heliograph.worker")


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the activities work with."""

    deliver: Deliver
    look_up: LookUp
    steps: Steps
    operators: Operators
    reports: Reports
    reconcile: Reconcile
    purge: Purge


@asynccontextmanager
async def collaborators(settings: Settings, database: Database, client: Client) -> AsyncIterator[Collaborators]:
    """Builds the activities from the settings, and closes what they hold at the end."""
    async with AsyncExitStack() as stack:
        messages, calls = Messages(settings), Calls(settings)
        for carrier in (messages, calls):
            stack.push_async_callback(carrier.close)
        carriers = {Channel.SMS: messages, Channel.VOICE: calls}
        ring = KeyRing(settings.encryption_keys)
        vault, consents = Vault(database, ring), Consents(database, settings.consent_rules)
        limits = SendLimits(settings.recipient_caps, settings.caller_budget, settings.country_budget)
        ranges = HeldRanges(database, ring, KeyedHash(settings.hash_key), settings.pumping)
        gate = Gate(vault, consents, limits, ranges)
        ledger = Ledger(database, ring, gate)
        timeline = Timeline(database)
        look_up = LookUp(ledger, timeline, vault, consents, carriers)
        dispatch = Dispatch(client)
        cases, outbox = Cases(database, ring), Outbox(database)
        yield Collaborators(
            deliver=Deliver(ledger, carriers, look_up, dispatch, settings.destinations),
            look_up=look_up,
            steps=Steps(ledger, StepRecords(database, ring), timeline, Alerts(database, ring), vault, dispatch),
            operators=Operators(
                timeline,
                vault,
                endpoint=settings.operators_endpoint,
                ui=settings.temporal_ui_url,
                namespace=settings.temporal_namespace,
            ),
            reports=Reports(outbox, timeline, cases, dispatch, settings.endpoints),
            reconcile=Reconcile(
                cases,
                timeline,
                outbox,
                look_up,
                dispatch,
                quiet=timedelta(seconds=settings.reconcile_after_seconds),
            ),
            purge=Purge(
                PurgeTables(database),
                Erasures(database),
                timeline,
                dispatch,
                messages,
                calls,
                bodies=settings.retain_body_days,
                numbers=settings.retain_number_days,
                stories=settings.retain_timeline_days,
                redact_after=settings.redact_after,
            ),
        )


def version_of(settings: Settings) -> WorkerDeploymentVersion | None:
    """The version that workers of these settings are of; None where workers have none."""
    build = settings.worker_build_id
    return WorkerDeploymentVersion(settings.worker_deployment_name, build) if build else None


def workers(
    client: Client,
    parts: Collaborators,
    *,
    suffix: str = "",
    runner: WorkflowRunner | None = None,
    version: WorkerDeploymentVersion | None = None,
) -> tuple[Worker, Worker, Worker]:
    """One for workflows, one for sends, one for callers' webhooks; `suffix` gives tests queues of their own.

    Without a `runner` workflows run outside the SDK's sandbox, which makes each one's modules anew: a sixth of all that
    a notification costs. The tests run them in it, and replay their histories: what is not deterministic ends there.

    All three are of one version, so that what a run asks for is done by the version that the run is on.
    """
    deployment = (
        WorkerDeploymentConfig(
            version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
        )
        if version
        else None
    )
    moving = (
        (MovingOperatorNotice, MovingCallerWebhook, MovingReconciliation, MovingRetention)
        if version
        else (OperatorNotice, CallerWebhook, Reconciliation, Retention)
    )
    return (
        Worker(
            client,
            task_queue=names.TASK_QUEUE + suffix,
            workflows=[Notification, *moving],
            activities=[
                parts.look_up.ask_carrier,
                parts.operators.tell_operators,
                parts.reports.report_to_caller,
                parts.reports.give_up_webhook,
                parts.reconcile.reconcile,
                parts.purge.purge,
                parts.steps.turn_to,
                parts.steps.admit,
                parts.steps.close_digest,
                parts.steps.resolve,
                parts.steps.drop_stale,
                parts.steps.expire,
            ],
            deployment_config=deployment,
            workflow_runner=runner or UnsandboxedWorkflowRunner(),
            graceful_shutdown_timeout=GRACE,
            max_cached_workflows=5_000,  # 35 KB each; every text on its way is one
        ),
        Worker(
            client,
            task_queue=names.SEND_QUEUE + suffix,
            activities=[parts.deliver.deliver],
            deployment_config=deployment,
            graceful_shutdown_timeout=GRACE,
            max_concurrent_activities=SENDS_AT_ONCE,
            disable_eager_activity_execution=True,  # eager sends would pass by the queue's rate and priorities
        ),
        Worker(
            client,
            task_queue=names.WEBHOOK_QUEUE + suffix,
            activities=[parts.reports.post_webhook],
            deployment_config=deployment,
            graceful_shutdown_timeout=GRACE,
            max_concurrent_activities=WEBHOOKS_AT_ONCE,
        ),
    )


async def run(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT, then finishes the sends under way (70 s at most)."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        stack.enter_context(traced("heliograph-worker", settings))
        database = Database(settings.database)
        stack.push_async_callback(database.close)
        sdk = SdkMetrics.start() if settings.metrics_port is not None else None
        ready = asyncio.create_task(_ready(settings, database, sdk))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({ready, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            return
        client = ready.result()
        if settings.metrics_port is not None:
            port = MetricsPort(settings.host, settings.metrics_port, Exposition(sdk.url if sdk else None))
            await stack.enter_async_context(port)
        parts = await stack.enter_async_context(collaborators(settings, database, client))
        working = workers(client, parts, version=version_of(settings))
        for worker in working:
            await stack.enter_async_context(worker)
        log.info(
            "working",
            namespace=client.namespace,
            temporal=settings.temporal_address,
            twilio=settings.twilio_url,
            build=settings.worker_build_id,
        )
        await stop.wait()
        log.info("stopping", grace_seconds=int(GRACE.total_seconds()))
        # At once: one after the other each would take new work, and its own grace, while it waits for its turn.
        await asyncio.gather(*(worker.shutdown() for worker in working))
    log.info("stopped")


async def _ready(settings: Settings, database: Database, sdk: SdkMetrics | None) -> Client:
    await wait_for_bootstrap(database)
    return await connect_when_up(settings, runtime=sdk.runtime if sdk else None)


async def wait_for_bootstrap(database: Database, *, pause: float = 2.0) -> None:
    """Returns as soon as the database has this version's schema; says what to do until then."""
    while True:
        try:
            if await database.ready():
                return
            log.warning("waiting for the database schema: run `heliograph bootstrap`")
        except (SQLAlchemyError, OSError) as failure:
            log.warning("waiting for the database", error=type(failure).__name__)
        await asyncio.sleep(pause)


if __name__ == "__main__":
    run_to_end(run(prepared()))
