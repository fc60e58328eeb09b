"""The `heliograph` command."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from process import errors, leave, prepared, refuse, run_to_end

app = typer.Typer(
    help="One event, one text, followed to the handset.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip
console = Console()

ApiKey = Annotated[
    str | None, typer.Option(envvar="HELIOGRAPH_API_KEY", help="API key; the first of API_KEYS if not given.")
]


@app.command()
def api() -> None:
    """Serve HTTP: events, callbacks, questions."""
    from api.server import run, server
    from process import traced
    from telemetry.temporal import SdkMetrics

    settings = prepared()
    with traced("heliograph-api", settings):
        run(server(settings, SdkMetrics.start()))
    leave(0)


@app.command()
def worker() -> None:
    """Run workflows and activities until SIGTERM; sends under way are finished."""
    from worker import run

    run_to_end(run(prepared()))


@app.command()
def codec() -> None:
    """Serve clear text to operators who have logged in, for Temporal's UI."""
    from api.codec.server import server
    from api.server import run

    settings = prepared()
    if problems := settings.codec_problems():
        refuse(problems)
    run(server(settings))
    leave(0)


@app.command()
def bootstrap() -> None:
    """Migrate SQL and ready Temporal; safe to run again; says what it changed."""
    from bootstrap import BootstrapError
    from bootstrap import bootstrap as ready
    from engine import connect_when_up
    from store.database import Database

    settings = prepared()

    async def work() -> int:
        database = Database(settings.database)
        try:
            async for line in ready(settings, await connect_when_up(settings), database):
                console.print(line, highlight=False, soft_wrap=True)
        except BootstrapError as error:
            errors.print(f"[red]{error}[/]", soft_wrap=True)
            return 1
        finally:
            await database.close()
        return 0

    run_to_end(work())


@app.command()
def doctor() -> None:
    """Check each setting and each part that is needed, and say what to do."""
    from doctor import examine, show

    settings = prepared()

    async def work() -> int:
        return show(console, [finding async for finding in examine(settings)])

    run_to_end(work())


versions = typer.Typer(help="Versions of the workers, where WORKER_BUILD_ID is set.", no_args_is_help=True)
app.add_typer(versions, name="versions")
Build = Annotated[str, typer.Argument(help="The version: its WORKER_BUILD_ID.")]


@versions.command("list")
def list_versions() -> None:
    """Tell which version takes what is new, and what the others have still to finish."""
    from versions import carry_out, tell

    run_to_end(carry_out(prepared(), console, tell))


@versions.command("current")
def make_current(
    build: Annotated[str | None, typer.Argument(help="The version: its WORKER_BUILD_ID.")] = None,
    none: Annotated[bool, typer.Option("--none", help="No version: workers without one take what is new.")] = False,
    wait: Annotated[int, typer.Option(help="Seconds to wait for its workers.")] = 60,
) -> None:
    """Give what is new to this version; what others have begun they finish."""
    from versions import carry_out, switch

    if (build is None) != none:
        raise typer.BadParameter("name a version, or give --none")
    run_to_end(carry_out(prepared(), console, switch, build, wait))


@versions.command("drain")
def drain_version(build: Build, wait: Annotated[int, typer.Option(help="Seconds to wait for it.")] = 0) -> None:
    """Wait until a version has finished what it has begun; with code 0 its workers can be stopped."""
    from versions import carry_out, drain

    run_to_end(carry_out(prepared(), console, drain, build, wait))


@versions.command("move")
def move_runs(
    build: Build,
    everything: Annotated[bool, typer.Option("--all", help="Also what is on its way, not only what is held.")] = False,
) -> None:
    """Let what a version holds for later go on with the current one; whose histories must replay there."""
    from versions import carry_out, hand_over

    run_to_end(carry_out(prepared(), console, hand_over, build, everything))


@app.command()
def rekey() -> None:
    """Seal again under the first of PAYLOAD_KEYS what is in SQL under another; safe beside running processes."""
    from sqlalchemy.exc import SQLAlchemyError

    from privacy.encryption import KeyRing
    from store.database import Database
    from store.rekey import Rekey

    settings = prepared()

    async def work() -> int:
        database, ring = Database(settings.database), KeyRing(settings.encryption_keys)
        try:
            done = await Rekey(database, ring).run()
        except (SQLAlchemyError, OSError) as failure:
            errors.print(f"[red]The database cannot be used ({type(failure).__name__}).[/] Run it again later.")
            return 1
        finally:
            await database.close()
        console.print(
            f"{done.looked_at} sealed texts: {done.resealed} are now under {ring.current}, "
            f"{done.looked_at - done.resealed - done.unreadable.total()} were already",
            highlight=False,
            soft_wrap=True,
        )
        for key_id, count in sorted(done.unreadable.items()):
            errors.print(f"[red]{count} cannot be opened by {key_id}:[/] put it back into PAYLOAD_KEYS", soft_wrap=True)
        return 1 if done.unreadable else 0

    run_to_end(work())


@app.command()
def simulator() -> None:
    """Run the Twilio that stands in where no account is set."""
    from devstack.simulator import serve

    serve(prepared())


@app.command()
def dev() -> None:
    """Run everything on one machine until Ctrl-C, and keep its data under DATA_DIR."""
    from devstack.dev import run

    raise typer.Exit(run(prepared(), console))


@app.command()
def demo() -> None:
    """Follow a delivered, a repeated, a refused and an undelivered event, on a stack of its own."""
    from devstack.demo import run

    raise typer.Exit(run(console))


@app.command()
def send(
    kind: Annotated[
        str | None, typer.Argument(help="The kind, such as order-shipped. A CSV file may have a column for it.")
    ] = None,
    fields: Annotated[
        list[str] | None, typer.Argument(help="Its fields, such as orderId=7 phone=+15558675310.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="A file of events; its first line names the fields.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --csv: say what would be sent, send nothing.")
    ] = False,
    wait: Annotated[int, typer.Option(help="Seconds to wait for Twilio's answer.")] = 0,
    key: ApiKey = None,
) -> None:
    """Post an event, or a CSV file of them, to the API. `consentAt=now` stands for this moment,
    for trying it out: a real event names the stored moment, since a newer one overrides a withdrawal."""
    from bulk import send as send_all
    from client import post

    if csv is not None:
        run_to_end(send_all(prepared(), console, csv, kind, key, dry_run))
    elif kind is None:
        raise typer.BadParameter("name the kind of the event, or give --csv")
    else:
        run_to_end(post(prepared(), console, kind, fields or [], wait, key))


@app.command()
def resend(
    event_id: Annotated[str, typer.Argument(help="The eventId.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the timeline.")],
    force: Annotated[bool, typer.Option("--force", help="Although it may have been sent, or was delivered.")] = False,
    key: ApiKey = None,
) -> None:
    """Send the text of an event again."""
    from client import order_again

    run_to_end(order_again(prepared(), console, event_id, reason, force, key))


@app.command()
def trace(
    identifier: Annotated[str, typer.Argument(help="An eventId, a SID (SM…, MM… or CA…), or a phone (+…).")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it has ended.")] = False,
    key: ApiKey = None,
) -> None:
    """Tell the whole story of one notification, or list what was sent to a phone."""
    from questions import tell

    run_to_end(tell(prepared(), console, identifier, key, follow=follow))


@app.command()
def audit(
    since: Annotated[
        str | None, typer.Option(help="From then on: 7d, 12h, or a date and time. The latest if not given.")
    ] = None,
    event: Annotated[str | None, typer.Option(help="Only what was ordered about this eventId.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 100,
    key: ApiKey = None,
) -> None:
    """Tell what operators have ordered, and what came of it."""
    from client import tell_orders
    from notifications.access import parse_age

    try:
        begin = (datetime.now(UTC) - parse_age(since)).isoformat() if since else None
    except ValueError:
        begin = since
    run_to_end(tell_orders(prepared(), console, begin, event, limit, key))


@app.command("key")
def new_key(
    caller: Annotated[str, typer.Argument(help="Who is to call with it.")],
    scopes: Annotated[str, typer.Option(help="Of send, read, operate, erase, verify.")] = "send,read",
    expires: Annotated[str | None, typer.Option(help="After 90d, 12h or 30m. Never if not given.")] = None,
    rate: Annotated[str | None, typer.Option(help="Calls a second; CALLER_RATE_PER_SECOND if not given.")] = None,
) -> None:
    """Make an API key: it is shown once, on stderr; on stdout its line for API_KEYS_FILE, with its digest only."""
    from notifications import access

    try:
        key = access.new_key()
        line = access.line_of(
            key,
            access.parse_caller(caller),
            access.parse_scopes(scopes),
            datetime.now(UTC) + access.parse_age(expires) if expires else None,
            access.parse_rate(rate) if rate else None,
        )
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None
    typer.echo(f"The key, which nobody can show again: {key}", err=True)
    typer.echo(line)


consents = typer.Typer(help="The consent ledger as CSV.", no_args_is_help=True)
app.add_typer(consents, name="consents")


@consents.command("export")
def export_consents(
    path: Annotated[Path, typer.Argument(help="The file. It gets phone numbers in clear: only its owner may read it.")],
    status: Annotated[str | None, typer.Option(help="Only these, such as opted_out.")] = None,
    key: ApiKey = None,
) -> None:
    """Write the ledger to a file."""
    from consents import write

    run_to_end(write(prepared(), console, path, status, key))


@consents.command("import")
def import_consents(
    path: Annotated[Path, typer.Argument(help="The file; its first line names phone, status, source and others.")],
    key: ApiKey = None,
) -> None:
    """Add a file's records to the ledger; doing it twice is doing it once."""
    from consents import read

    run_to_end(read(prepared(), console, path, key))


webhooks = typer.Typer(help="What callers were told by webhook.", no_args_is_help=True)
app.add_typer(webhooks, name="webhooks")


@webhooks.command("list")
def list_of_webhooks(
    caller: Annotated[str | None, typer.Option(help="Only this caller's.")] = None,
    event: Annotated[str | None, typer.Option(help="Only of this eventId.")] = None,
    state: Annotated[str | None, typer.Option(help="Only pending, taken, failed or withheld ones.")] = None,
    key: ApiKey = None,
) -> None:
    """List them, the latest first."""
    from client import list_webhooks

    run_to_end(list_webhooks(prepared(), console, key, caller=caller, eventId=event, state=state))


@webhooks.command("redeliver")
def redeliver_webhooks(
    ids: Annotated[list[str] | None, typer.Argument(help="Their IDs; or give --since.")] = None,
    since: Annotated[str | None, typer.Option(help="All from then on, such as 2026-11-24T09:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="All before then.")] = None,
    caller: Annotated[str | None, typer.Option(help="Only this caller's.")] = None,
    state: Annotated[str | None, typer.Option(help="Only failed ones, say.")] = None,
    key: ApiKey = None,
) -> None:
    """Send them once more, with the same webhook-id."""
    from client import redeliver

    order = {"ids": ids, "since": since, "until": until, "caller": caller, "state": state}
    run_to_end(redeliver(prepared(), console, key, order))


@webhooks.command("enable")
def enable_endpoint_of(
    caller: Annotated[str, typer.Argument(help="Whose endpoint was disabled.")], key: ApiKey = None
) -> None:
    """Enable an endpoint that took nothing for days, and send what was withheld from it."""
    from client import enable_endpoint

    run_to_end(enable_endpoint(prepared(), console, key, caller))


@app.command()
def ranges(
    range_id: Annotated[str | None, typer.Argument(help="The range to decide on; all are listed without.")] = None,
    release: Annotated[bool, typer.Option("--release", help="Let its texts leave, for 24 hours.")] = False,
    block: Annotated[bool, typer.Option("--block", help="Send nothing to it, from now on.")] = False,
    key: ApiKey = None,
) -> None:
    """See the ranges of numbers that look like SMS pumping, and decide on them."""
    from client import decide, list_ranges

    if range_id is None:
        run_to_end(list_ranges(prepared(), console, key))
    elif release == block:
        raise typer.BadParameter("give --release or --block")
    else:
        run_to_end(decide(prepared(), console, range_id, "release" if release else "block", key))


def main(arguments: Sequence[str] | None = None) -> None:
    app(args=list(arguments) if arguments is not None else None)


if __name__ == "__main__":
    main()
