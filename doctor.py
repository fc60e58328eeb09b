"""What `heliograph doctor` looks at."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.client import Client
from temporalio.service import RPCError

from bootstrap import BootstrapError, missing_search_attributes
from carrier.errors import CarrierError
from carrier.messages import Messages
from carrier.verify import Verify
from engine import connect, retention
from privacy.encryption import KeyRing
from settings import Settings
from store.database import Database
from store.rekey import Rekey
from versions import QUEUES, Versions, described, polling, versioned
from workflows import names
from workflows.keys_in_use import oldest_keys


class Verdict(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    says: str
    do: str = ""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Every setting and part, one after the other."""
    for finding in _settings(settings):
        yield finding
    yield await _database(settings)
    yield await _keys_in_sql(settings)
    yield await _twilio(settings)
    yield await _verify(settings)
    try:
        client = await connect(settings, patient=False)
    except (RuntimeError, RPCError):
        yield Finding(
            "Temporal", Verdict.BAD, f"{settings.temporal_address} cannot be reached",
            "start it (`make up`, or your cluster), or set TEMPORAL_ADDRESS",
        )  # fmt: skip
        return
    yield Finding("Temporal", Verdict.GOOD, settings.temporal_address)
    yield await _namespace(client, settings)
    yield await _search_attributes(client)
    yield await _keys_in_temporal(client, settings)
    not_mended = "lost callbacks and lost workflows are not made up for"
    yield await _schedule(client, names.RECONCILIATION, not_mended)
    yield await _schedule(client, names.RETENTION, "personal data is kept for longer than it should be")
    for queue, kind in QUEUES:
        yield await _workers(client, queue, kind)
    async for version in _left_behind(client, settings):
        yield version


def show(console: Console, findings: Iterable[Finding]) -> int:
    """Prints a line per finding; 1 when one is bad."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    signs = {Verdict.GOOD: "[green]✓[/]", Verdict.WARNING: "[yellow]![/]", Verdict.BAD: "[red]✗[/]"}
    worst = 0
    for finding in findings:
        todo = f"\n[dim]→ {finding.do}[/]" if finding.do else ""
        table.add_row(signs[finding.verdict], finding.what, finding.says + todo)
        worst = worst or int(finding.verdict is Verdict.BAD)
    console.print(table)
    return worst


def _settings(settings: Settings) -> Iterable[Finding]:
    good, warning = Verdict.GOOD, Verdict.WARNING
    yield Finding("ENVIRONMENT", good, settings.environment)
    yield (
        Finding("API_KEYS", good, f"{len(settings.callers_keys())} keys")
        if not settings.open_to_anyone
        else Finding(
            "API_KEYS", warning, "none: everyone on this machine may post", "make some: heliograph key <caller>"
        )
    )
    host = urlsplit(settings.base_url).hostname or ""
    reachable = settings.simulated or settings.twilio_api_base_url or host not in ("localhost", "127.0.0.1", "::1")
    yield Finding(
        "PUBLIC_BASE_URL", good if reachable else Verdict.BAD, settings.base_url,
        "" if reachable else "Twilio cannot call this machine back: set the https URL that it reaches you by",
    )  # fmt: skip
    yield (
        Finding("signatures", good, f"checked against {len(settings.auth_tokens)} token(s)")
        if settings.require_twilio_signature
        else Finding("signatures", warning, "not checked", "set REQUIRE_TWILIO_SIGNATURE=true")
    )
    yield (
        Finding("calls", good, "alerts are spoken too")
        if settings.voice_from_number
        else Finding("calls", warning, "no number to call from", "set TWILIO_VOICE_FROM_NUMBER for alerts by call")
    )
    yield Finding(
        "PAYLOAD_KEYS", good, f"{len(settings.encryption_keys)}, {next(iter(settings.encryption_keys))} encrypts"
    )
    yield (
        Finding("CODEC_KEYS", good, f"{len(settings.codec_keys)} keys of operators")
        if settings.codec_keys
        else Finding("CODEC_KEYS", good, "none of your own: only a developer on this machine may read clear text")
        if settings.operator_keys
        else Finding("CODEC_KEYS", warning, "none: nobody reads clear text in Temporal's UI", "set operator=key")
    )
    yield (
        Finding("OPERATIONS_WEBHOOK_URL", good, "set")
        if settings.operations_webhook_url
        else Finding(
            "OPERATIONS_WEBHOOK_URL", warning, "not set: escalations stand in the log and in Temporal's UI only"
        )
    )


async def _database(settings: Settings) -> Finding:
    database = Database(settings.database)
    name = settings.database.split(":", 1)[0]
    try:
        if await database.ready():
            return Finding("database", Verdict.GOOD, f"{name}, schema is this version's")
        return Finding("database", Verdict.BAD, f"{name}, schema is not this version's", "run `heliograph bootstrap`")
    except (SQLAlchemyError, OSError) as failure:
        return Finding("database", Verdict.BAD, f"cannot be reached ({type(failure).__name__})", "check DATABASE_URL")
    finally:
        await database.close()


async def _keys_in_sql(settings: Settings) -> Finding:
    database, ring = Database(settings.database), KeyRing(settings.encryption_keys)
    try:
        found = await Rekey(database, ring).in_use()
    except (SQLAlchemyError, OSError):
        return Finding("keys in SQL", Verdict.WARNING, "not known: the database does not answer")
    finally:
        await database.close()
    others = sorted(found.keys() - {ring.current})
    says = ", ".join(f"{key_id} ({found[key_id]})" for key_id in [ring.current, *others])
    return _keys("keys in SQL", settings, others, says, "run `heliograph rekey`, then take it out of PAYLOAD_KEYS")


async def _keys_in_temporal(client: Client, settings: Settings) -> Finding:
    current = KeyRing(settings.encryption_keys).current
    try:
        found = await oldest_keys(client)
    except RPCError as error:
        return Finding("keys in Temporal", Verdict.WARNING, f"not known ({error.status.name.lower()})")
    others = sorted(found - {current})
    says = ", ".join([current, *others])
    return _keys("keys in Temporal", settings, others, says, "keep it until Temporal has forgotten what is under it")


def _keys(what: str, settings: Settings, others: Sequence[str], says: str, do: str) -> Finding:
    """`others` are in use besides the one that encrypts."""
    if missing := [key_id for key_id in others if key_id not in settings.encryption_keys]:
        return Finding(what, Verdict.BAD, says, f"put {', '.join(missing)} back into PAYLOAD_KEYS")
    return Finding(what, Verdict.WARNING if others else Verdict.GOOD, says, do if others else "")


async def _twilio(settings: Settings) -> Finding:
    where = settings.twilio_url or "api.twilio.com"
    messages = Messages(settings)
    try:
        await messages.check_credentials()
    except CarrierError as error:
        return Finding(
            "Twilio", Verdict.BAD, f"{where}: {error.says}", "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
        )
    finally:
        await messages.close()
    return Finding("Twilio", Verdict.GOOD, f"{where} accepts the credentials")


async def _verify(settings: Settings) -> Finding:
    if settings.verify_service_sid is None:
        return Finding("Twilio Verify", Verdict.GOOD, "not used: TWILIO_VERIFY_SERVICE_SID is not set")
    verify = Verify(settings, settings.verify_service_sid)
    try:
        await verify.check_service()
    except CarrierError as error:
        return Finding("Twilio Verify", Verdict.BAD, error.says, "check TWILIO_VERIFY_SERVICE_SID")
    finally:
        await verify.close()
    return Finding("Twilio Verify", Verdict.GOOD, "the service is there")


async def _namespace(client: Client, settings: Settings) -> Finding:
    what = f"namespace {client.namespace}"
    try:
        kept = await retention(client)
    except RPCError as error:
        return Finding(what, Verdict.BAD, error.status.name.lower(), "run `heliograph bootstrap`")
    says = f"keeps closed workflows for {kept.days} days"
    if kept < timedelta(days=settings.idempotency_window_days):
        return Finding(
            what, Verdict.BAD, f"{says}, IDEMPOTENCY_WINDOW_DAYS is {settings.idempotency_window_days}",
            "run `heliograph bootstrap`",
        )  # fmt: skip
    return Finding(what, Verdict.GOOD, says)


async def _search_attributes(client: Client) -> Finding:
    try:
        missing = await missing_search_attributes(client)
    except BootstrapError as error:
        return Finding("search attributes", Verdict.BAD, str(error))
    except RPCError as error:
        return Finding("search attributes", Verdict.BAD, error.status.name.lower(), "run `heliograph bootstrap`")
    if missing:
        return Finding("search attributes", Verdict.BAD, f"missing: {', '.join(missing)}", "run `heliograph bootstrap`")
    return Finding("search attributes", Verdict.GOOD, "all are there")


async def _schedule(client: Client, name: str, paused: str) -> Finding:
    what = name.removeprefix("heliograph/")
    try:
        found = (await client.get_schedule_handle(name).describe()).schedule
    except RPCError as error:
        return Finding(what, Verdict.BAD, f"no schedule ({error.status.name.lower()})", "run `heliograph bootstrap`")
    if found.state.paused:
        return Finding(
            what, Verdict.WARNING, f"the schedule is paused: {paused}",
            f"`temporal schedule toggle --unpause -s {name}`",
        )  # fmt: skip
    every = found.spec.intervals[0].every.total_seconds() if found.spec.intervals else 0
    return Finding(what, Verdict.GOOD, f"every {every:g} s")


async def _workers(client: Client, queue: str, kind: TaskQueueType.ValueType) -> Finding:
    what = f"workers on {queue}"
    try:
        answer = await described(client, queue, kind)
    except RPCError as error:
        return Finding(what, Verdict.BAD, error.status.name.lower())
    if not answer.pollers:
        return Finding(what, Verdict.BAD, "none: events are accepted and wait", "start `heliograph worker`")
    current = answer.versioning_info.current_deployment_version.build_id
    builds = {one.deployment_options.build_id if versioned(one) else "" for one in polling(answer)}
    if builds and current not in builds:
        if current:
            says, do = f"version {current} is current, and none of it polls", "start its workers, or "
        else:
            says, do = "no version is current, and all have one: events are accepted and wait", ""
        others = sorted(builds - {""})
        return Finding(
            what, Verdict.BAD, says, f"{do}run `heliograph versions current {others[-1] if others else '--none'}`"
        )
    return Finding(what, Verdict.GOOD, f"{len(answer.pollers)} polling{f', {current} is current' if current else ''}")


async def _left_behind(client: Client, settings: Settings) -> AsyncIterator[Finding]:
    """Versions of the workers that were replaced, and have something to finish."""
    try:
        versions = await Versions(client, settings.worker_deployment_name).all()
    except RPCError as error:
        yield Finding("worker versions", Verdict.WARNING, f"not known ({error.status.name.lower()})")
        return
    for one in versions:
        what = f"version {one.build}"
        if one.current or not one.runs:
            continue
        if one.workers:
            yield Finding(what, Verdict.GOOD, f"finishes {one.runs} runs, {one.held} of them held")
        else:
            yield Finding(
                what, Verdict.BAD, f"{one.runs} runs wait for its workers, and there are none",
                f"start some, or hand them to the current version: `heliograph versions move {one.build} --all`",
            )  # fmt: skip
