"""The API process: routers, and the parts that they share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api import batches, events, inbound, incidents, notifications, operations, problems, recipients, twilio, voice
from api import verify as login_checks
from api.access import Keys
from api.acknowledging import Acknowledging
from api.answer_headers import AnswerHeaders
from api.desk import Desk
from api.drafting import Drafting, Rules
from api.follow_up import FollowUp
from api.limits import BodyLimit
from api.local_only import LocalOnly
from api.opting_out import OptingOut
from api.request_log import RequestLog
from api.verify import Checks
from carrier.signature import Signatures
from carrier.verify import Verify
from engine import connect
from privacy.encryption import KeyedHash, KeyRing
from settings import Settings
from store.alerts import Alerts
from store.cases import Cases
from store.consents import Consents
from store.database import Database
from store.erasures import Erasures
from store.gate import Gate
from store.ledger import Ledger
from store.limits import Limits
from store.resends import Resends
from store.steps import StepRecords
from store.timeline import Timeline
from store.vault import Vault
from workflows.dispatch import Dispatch

log = structlog.stdlib.get_logger("heliograph.api")

DESCRIPTION = """
A business event starts one Temporal workflow with its `eventId`; the workflow texts the recipient through Twilio,
waits for Twilio's status callback, and finishes when the handset has the text, or escalates when it does not.
"""


def create_app(settings: Settings) -> FastAPI:
    """The application. Temporal and the database may be away when it starts; it answers 503 until they are there."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.database)
        client = await connect(settings, lazy=True, patient=False)
        app.state.database = database
        app.state.client = client
        app.state.window = timedelta(days=settings.idempotency_window_days)
        dispatch, ring = Dispatch(client), KeyRing(settings.encryption_keys)
        drafting = Drafting(
            KeyedHash(settings.hash_key),
            Rules(
                window=app.state.window,
                report_to_callers=settings.events_webhook_url is not None,
                quiet_hours=settings.quiet_hours,
                link_hosts=settings.link_hosts,
                allowed_countries=settings.allowed_countries,
                storm_window=timedelta(seconds=settings.storm_window_seconds),
            ),
        )
        vault, consents = Vault(database, ring), Consents(database, settings.consent_rules)
        app.state.consents, app.state.vault, app.state.hashes = consents, vault, KeyedHash(settings.hash_key)
        app.state.erasures, app.state.dispatch = Erasures(database), dispatch
        app.state.opting_out = OptingOut(consents, KeyedHash(settings.hash_key))
        app.state.follow_up = FollowUp(
            dispatch, Timeline(database), Cases(database, ring), Resends(database), drafting, vault
        )
        app.state.acknowledging = Acknowledging(dispatch, Alerts(database, ring), KeyedHash(settings.hash_key))
        app.state.desk = Desk(
            dispatch,
            Ledger(database, ring, Gate(vault, consents)),
            StepRecords(database, ring),
            Timeline(database),
            drafting,
            vault,
        )
        verify = Verify(settings, settings.verify_service_sid) if settings.verify_service_sid else None
        app.state.checks = Checks(settings, verify, Limits(database), KeyedHash(settings.hash_key))
        _warn(settings)
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
    app.state.keys = Keys(settings)
    app.state.signatures = (
        Signatures(settings.auth_tokens, settings.base_url, settings.account_sid)
        if settings.require_twilio_signature
        else None
    )
    app.state.replies = inbound.Replies(settings.opt_out_reply, settings.help_reply)
    problems.install(app)
    app.include_router(events.router())
    for part in (batches, notifications, incidents, recipients, login_checks, twilio, voice, inbound, operations):
        app.include_router(part.router)
    problems.describe(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, larger={batches.PATH: batches.MAX_BYTES})
    if settings.environment == "development" and settings.on_loopback and not settings.api_keys:
        app.add_middleware(LocalOnly, settings=settings)
    app.add_middleware(RequestLog)
    app.add_middleware(AnswerHeaders)
    return app


def _warn(settings: Settings) -> None:
    if not settings.api_keys:
        log.warning("no API_KEYS are set: everyone on this machine may post events")
    if not settings.require_twilio_signature:
        log.warning("REQUIRE_TWILIO_SIGNATURE is false: everyone on this machine may forge callbacks")
