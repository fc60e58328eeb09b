"""For those who run it: alive, ready, metrics."""

import asyncio
from datetime import timedelta

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from api.samples import Samples
from engine import retention
from store.database import Database
from telemetry.exposition import Exposition

router = APIRouter(tags=["operations"])

PATIENCE = 2.0  # seconds


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "A part that is needed is away."}})
async def readyz(request: Request) -> JSONResponse:
    """Events can be taken in: the database has this version's schema and Temporal answers."""
    database: Database = request.app.state.database
    client: Client = request.app.state.client
    checks = {"database": await _database(database), "temporal": await _temporal(client)}
    ready = all(check == "ok" for check in checks.values())
    # Told, but no reason to take nothing in: beyond Temporal's retention the ledger still recognises repeats.
    window = await _window(client, request.app.state.window) if checks["temporal"] == "ok" else "not known"
    return JSONResponse({"status": "ok" if ready else "unavailable", **checks, "window": window}, 200 if ready else 503)


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    samples: Samples = request.app.state.samples
    exposition: Exposition = request.app.state.exposition
    await samples.refresh()
    return Response(await exposition.text(), media_type=Exposition.content_type)


async def _database(database: Database) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            return "ok" if await database.ready() else "run `heliograph bootstrap`: the schema is not this version's"
    except (SQLAlchemyError, OSError, TimeoutError):
        return "cannot be reached"


async def _temporal(client: Client) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            return "ok" if await client.service_client.check_health() else "not serving"
    except (RPCError, RuntimeError, TimeoutError):
        return "cannot be reached"


async def _window(client: Client, window: timedelta) -> str:
    """Whether Temporal refuses a repeated eventId for as long as IDEMPOTENCY_WINDOW_DAYS promises."""
    try:
        async with asyncio.timeout(PATIENCE):
            kept = await retention(client)
    except (RPCError, RuntimeError, TimeoutError):
        return "not known"
    if kept >= window:
        return "ok"
    return f"run `heliograph bootstrap`: closed workflows are kept {kept.days} days, the window is {window.days}"
