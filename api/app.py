"""The API process: routers, and the parts that they share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api import (
    batches,
    consent_files,
    events,
    inbound,
    incidents,
    notifications,
    operations,
    problems,
    ranges,
    recipients,
    stories,
    twilio,
    voice,
    webhooks,
)  # fmt: skip
from api import verify as login_checks
from api.access import Access, Keys, describe_scopes
from api.acknowledging import Acknowledging
from api.answer_headers import AnswerHeaders
from api.auditing import Auditing
from api.auditing import router as audit_router
from api.desk import Desk
from api.drafting import Drafting, Rules
from api.follow_up import FollowUp
from api.limits import BodyLimit
from api.local_only import LocalOnly
from api.opting_out import OptingOut
from api.request_log import RequestLog
from api.request_span import RequestSpan
from api.samples import Samples
from api.verify import Checks
from carrier.signature import Signatures
from carrier.verify import Verify
from engine import connect
from privacy.encryption import KeyedHash, KeyRing
from settings import Settings
from store.alerts import Alerts
from store.audit import Audit
from store.backlog import Backlog
from store.cases import Cases
from store.consents import Consents
from store.database import Database
from store.erasures import Erasures
from store.gate import Gate
from store.held_ranges import HeldRanges
from store.ledger import Ledger
from store.limits import Limits
from store.outbox import Outbox
from store.resends import Resends
from store.steps import StepRecords
from store.stories import Stories
from store.timeline import Timeline
from store.vault import Vault
from telemetry.exposition import Exposition
from telemetry.temporal import SdkMetrics
from workflows.dispatch import Dispatch

log = structlog.stdlib.get_logger("heliograph.api")

DESCRIPTION = """
A business event starts one Temporal workflow with its `eventId`; the workflow texts the recipient through Twilio,
waits for Twilio's status callback, and finishes when the handset has the text, or escalates when it does not.
"""


def create_app(settings: Settings, sdk: SdkMetrics | None = None) -> FastAPI:
    """The application. Temporal and the database may be away when it starts; it answers 503 until they are there.

    `sdk` has the metrics of Temporal's client.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.database)
        client = await connect(settings, lazy=True, patient=False, runtime=sdk.runtime if sdk else None)
        app.state.database = database
        app.state.client = client
        app.state.window = timedelta(days=settings.idempotency_window_days)
        dispatch, ring = Dispatch(client), KeyRing(settings.encryption_keys)
        hashes, timeline = KeyedHash(settings.hash_key), Timeline(database)
        drafting = Drafting(
            hashes,
            Rules(
                window=app.state.window,
                endpoints=settings.endpoints,
                quiet_hours=settings.quiet_hours,
                link_hosts=settings.link_hosts,
                destinations=settings.destinations,
                storm_window=timedelta(seconds=settings.storm_window_seconds),
            ),
        )
        vault, consents = Vault(database, ring), Consents(database, settings.consent_rules)
        app.state.consents, app.state.vault, app.state.hashes = consents, vault, hashes
        app.state.erasures, app.state.dispatch = Erasures(database), dispatch
        app.state.outbox, app.state.stories = Outbox(database), Stories(database)
        app.state.ranges = HeldRanges(database, ring, hashes, settings.pumping)
        app.state.opting_out = OptingOut(consents, hashes)
        records = StepRecords(database, ring)
        app.state.follow_up = FollowUp(
            dispatch, timeline, Cases(database, ring), Resends(database), records, drafting, vault
        )
        app.state.acknowledging = Acknowledging(dispatch, Alerts(database, ring), hashes)
        app.state.desk = Desk(
            dispatch,
            Ledger(database, ring, Gate(vault, consents)),
            records,
            timeline,
            drafting,
            vault,
        )
        app.state.samples = Samples(Backlog(database), client)
        app.state.auditing = Auditing(Audit(database, vault))
        verify = Verify(settings, settings.verify_service_sid) if settings.verify_service_sid else None
        app.state.checks = Checks(settings, verify, Limits(database), hashes)
        _warn(settings, app.state.access.keys)
        log.info("serving", url=settings.base_url, temporal=settings.temporal_address)
        yield
        if verify is not None:
            await verify.close()
        await database.close()
        log.info("stopped")

    # Its documentation page brings its own scripts: nothing is loaded from elsewhere into an operator's browser.
    app = FastAPIOffline(
        title="Heliograph",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,  # the redirect would lead wherever the Host header says
    )
    app.state.followers = stories.Followers()
    app.state.workflows_url = f"{settings.temporal_ui_url}/namespaces/{settings.temporal_namespace}/workflows"
    app.state.access = Access(settings)
    app.state.signatures = (
        Signatures(settings.auth_tokens, settings.base_url, settings.account_sid)
        if settings.require_twilio_signature
        else None
    )
    app.state.replies = inbound.Replies(settings.opt_out_reply, settings.help_reply)
    app.state.exposition = Exposition(sdk.url if sdk else None)
    problems.install(app)
    app.include_router(events.router())
    for part in (
        twilio,  # first: most requests are callbacks
        batches, stories, notifications, incidents, recipients, consent_files, ranges, login_checks, voice, inbound,
        webhooks, operations,
    ):  # fmt: skip
        app.include_router(part.router)
    app.include_router(audit_router)
    problems.describe(app)
    describe_scopes(app)
    keys: Keys = app.state.access.keys
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.max_body_bytes,
        larger={batches.PATH: batches.MAX_BYTES},
        knows=lambda presented: keys.key_of(presented) is not None,
    )
    if settings.open_to_anyone:  # on loopback only, as the settings see to
        app.add_middleware(LocalOnly, settings=settings)
    app.add_middleware(RequestLog)
    app.add_middleware(AnswerHeaders)
    if settings.otel_exporter_otlp_endpoint:
        app.add_middleware(RequestSpan)
    return app


def _warn(settings: Settings, keys: Keys) -> None:
    if settings.open_to_anyone:
        log.warning("no API_KEYS are set: everyone on this machine may post events")
    elif not keys.live():
        log.warning("every key in API_KEYS_FILE has expired: nobody may call")
    if not settings.require_twilio_signature:
        log.warning("REQUIRE_TWILIO_SIGNATURE is false: everyone on this machine may forge callbacks")
