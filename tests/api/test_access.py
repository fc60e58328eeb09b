"""Who may call, for what, how often, and what is left of what an operator ordered."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from rich.console import Console
from sqlalchemy import text

import bulk
from api.access import scopes_of
from devstack.processes import Process
from devstack.stack import heliograph
from notifications.access import EVERYTHING, Scope, line_of, new_key
from privacy.encryption import KeyedHash
from tests.api.test_callbacks import call_back, form
from tests.world import KEY, World, free_port, serving, settings_for

BARE = {"PATH": "/usr/bin:/bin", "COLUMNS": "200"}
PATH_VALUES = {
    "{range_id}": "0" * 32,
    "{name}": "nobody",
    "{event_id}": "no-such-event",
    "{phone}": "+15557770001",
    "{sid}": "SM" + "4" * 32,
}


@dataclass
class Door:
    """An API whose callers' keys are in a file that a test can change."""

    file: Path
    http: httpx.AsyncClient
    lines: list[str] = field(default_factory=list)

    def admit(self, caller: str, scopes: Any, **options: Any) -> str:
        """A new key, and its line in the file."""
        key = new_key()
        self.lines.append(line_of(key, caller, scopes, **options))
        self.write("\n".join(self.lines))
        return key

    def write(self, content: str) -> None:
        draft = self.file.with_suffix(".new")
        draft.write_text(content)
        draft.replace(self.file)

    async def ask(self, key: str, method: str = "GET", path: str = "/api/audit", **more: Any) -> httpx.Response:
        return await self.http.request(method, path, headers={"Authorization": f"Bearer {key}"}, **more)

    async def until(self, key: str, status: int, **asked: Any) -> None:
        async with asyncio.timeout(5):
            while (await self.ask(key, **asked)).status_code != status:  # noqa: ASYNC110  # the file is looked at
                await asyncio.sleep(0.1)


@pytest.fixture
async def door(world: World, tmp_path: Path) -> AsyncIterator[Door]:
    door = Door(tmp_path / "api-keys", httpx.AsyncClient(base_url="http://127.0.0.1:1"))
    door.admit("first", [Scope.READ])
    settings = settings_for(
        tmp_path,
        port=free_port(),
        api_keys="",
        api_keys_file=door.file,
        database_url=world.settings.database,
        temporal_address=world.settings.temporal_address,
        simulator_port=world.settings.simulator_port,
    )
    async with (
        serving(settings),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}", timeout=20) as door.http,
    ):
        yield door


async def routes(http: httpx.AsyncClient) -> list[tuple[str, str, list[str], dict[str, Any]]]:
    """Method, path, scopes and description of every route."""
    document = (await http.get("/openapi.json")).json()
    return [
        (method.upper(), path, scopes_of(operation), operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def filled(path: str) -> str:
    for name, value in PATH_VALUES.items():
        path = path.replace(name, value)
    return path


# -- scopes ------------------------------------------------------------------------------------------------------


async def test_every_route_of_callers_asks_for_one_scope_and_says_so(world: World) -> None:
    for method, path, scopes, operation in await routes(world.http):
        if not path.startswith("/api"):
            assert scopes == [], path
            continue
        assert len(scopes) == 1, f"{method} {path}"
        assert scopes[0] in EVERYTHING
        assert f"Scope: `{scopes[0]}`." in operation["description"]
        assert operation["responses"].keys() >= {"401", "403", "429"}
        assert "application/problem+json" in operation["responses"]["403"]["content"]


async def test_a_key_does_what_its_scopes_say_and_no_more(door: Door) -> None:
    keys = {scope: door.admit(f"only-{scope}", [scope]) for scope in Scope}
    others = {scope: door.admit(f"all-but-{scope}", EVERYTHING - {scope}) for scope in Scope}
    await door.until(others[Scope.VERIFY], 200)
    for method, path, scopes, _ in await routes(door.http):
        if not path.startswith("/api"):
            continue
        needed = Scope(scopes[0])
        refused = await door.ask(others[needed], method, filled(path), json={})
        assert (refused.status_code, refused.json()["error"]) == (403, "missing_scope"), path
        assert refused.json()["details"] == {"scope": needed}
        assert f'scope="{needed}"' in refused.headers["www-authenticate"]
        assert (await door.ask(keys[needed], method, filled(path), json={})).status_code not in (401, 403), path


async def test_without_the_scope_nothing_is_sent(door: Door, world: World) -> None:
    key, event = door.admit("curious", EVERYTHING - {Scope.SEND}), world.event()
    await door.until(key, 200)
    answer = await door.ask(key, "POST", "/api/order-shipped-sms", json=event)
    assert answer.status_code == 403
    answer = await door.ask(key, "POST", "/api/batches", json={"events": [event | {"kind": "order-shipped"}]})
    assert answer.status_code == 403
    assert await world.run(event["eventId"]) is None


async def test_keys_of_the_environment_have_every_scope(world: World) -> None:
    assert (await world.http.get("/api/audit")).status_code == 200
    assert (await world.http.delete("/api/recipients/+15557770002")).status_code == 200


# -- keys --------------------------------------------------------------------------------------------------------


async def test_a_new_key_is_let_in_and_a_removed_one_is_not_without_a_restart(door: Door) -> None:
    old, new = door.admit("ops", [Scope.OPERATE]), door.admit("ops", [Scope.OPERATE])
    await door.until(old, 200)
    assert (await door.ask(new)).status_code == 200  # two at a time, so that callers can change over
    door.write("\n".join(line for line in door.lines if line != door.lines[1]))
    await door.until(old, 401)
    assert (await door.ask(new)).status_code == 200


@pytest.mark.parametrize("broken", ["ops {key} send", "first sha256:00 read\n\nx", "third", "gone"])
async def test_a_broken_file_keeps_the_keys_from_before(
    door: Door, broken: str, capfd: pytest.CaptureFixture[str]
) -> None:
    key = door.admit("ops", [Scope.OPERATE])
    await door.until(key, 200)
    if broken == "gone":
        door.file.unlink()
    elif broken == "third":
        door.write("\n".join([*door.lines, *(line_of(new_key(), "ops", [Scope.ERASE]) for _ in range(2))]))
    else:
        door.write(broken.format(key=key))
    await asyncio.sleep(1.1)
    assert (await door.ask(key)).status_code == 200
    await asyncio.sleep(1.1)
    assert (await door.ask(key)).status_code == 200
    logged = "".join(capfd.readouterr())
    assert logged.count("the keys from before stay") == 1, "told once"
    assert key not in logged
    door.write("\n".join(door.lines[:1]))  # and a good one counts again
    await door.until(key, 401)


async def test_an_emptied_file_shuts_everyone_out(door: Door) -> None:
    key = door.admit("ops", [Scope.OPERATE])
    await door.until(key, 200)
    door.write("# nobody\n")
    await door.until(key, 401)
    assert (await door.http.get("/api/audit")).status_code == 401


async def test_a_key_ends_when_it_expires(door: Door) -> None:
    key = door.admit("ops", [Scope.OPERATE], expires_at=datetime.now(UTC) + timedelta(seconds=3))
    await door.until(key, 200)
    await door.until(key, 401)


@pytest.mark.parametrize(
    "credentials",
    [
        b"Bearer " + b"x" * 8_000,
        b"Bearer " + b"x" * 30_000,
        b"Bearer " + b"\xff\xfe\x80" * 20,
        "Bearer ключ 💌".encode(),
        b"Bearer hgk_",
        b"Bearer",
        b"bearer x y\tz",
        b"x" * 20_000,
        b"Basic Og==",
    ],
)
async def test_whatever_is_no_key_gets_401(door: Door, credentials: bytes) -> None:
    answer = await door.http.get("/api/audit", headers=[(b"Authorization", credentials)])
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


async def test_a_header_of_a_megabyte_is_refused_and_no_error_of_ours(door: Door) -> None:
    try:
        answer = await door.http.get("/api/audit", headers={"Authorization": "Bearer " + "x" * 1_000_000})
        assert answer.status_code in (400, 401, 431)
    except httpx.TransportError:
        pass  # the server may hang up on it
    assert (await door.http.get("/healthz")).status_code == 200


async def test_a_key_that_is_not_ascii_works_as_it_was_written(world: World, tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path, port=free_port(), api_keys="shop=clé-für-💌", database_url=world.settings.database
    )
    async with serving(settings), httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as http:
        for key, status in (("clé-für-💌", 200), ("cle-fur-💌", 401)):
            answer = await http.get("/api/audit", headers=[(b"Authorization", f"Bearer {key}".encode())])
            assert answer.status_code == status


# -- rates -------------------------------------------------------------------------------------------------------


async def test_who_calls_too_often_is_told_when_to_come_again_and_nothing_is_done(door: Door, world: World) -> None:
    key = door.admit("busy", [Scope.SEND, Scope.READ], rate=2)
    await door.until(key, 404, path="/api/notifications/no-such-event")
    await asyncio.sleep(1)
    event = world.event()
    for _ in range(5):  # a slow machine takes so long for the calls that one more is due
        began = monotonic()
        answers = await asyncio.gather(*(door.ask(key, path="/api/notifications/no-such-event") for _ in range(8)))
        taken = [answer for answer in answers if answer.status_code == 404]
        assert len(taken) <= 2 + 2 * (monotonic() - began)
        late = await door.ask(key, "POST", "/api/order-shipped-sms", json=event)
        if late.status_code == 429:
            break
        event = world.event()
    assert late.json()["error"] == "too_many_requests"
    assert await world.run(event["eventId"]) is None
    assert int(late.headers["retry-after"]) >= 1
    await asyncio.sleep(int(late.headers["retry-after"]))
    assert (await door.ask(key, "POST", "/api/order-shipped-sms", json=event)).status_code == 202


async def test_one_caller_does_not_use_up_anothers_calls(door: Door) -> None:
    busy, quiet = door.admit("busy", [Scope.OPERATE], rate=1), door.admit("quiet", [Scope.OPERATE], rate=1)
    await door.until(quiet, 200)
    await asyncio.sleep(1)
    assert {(await door.ask(busy)).status_code for _ in range(3)} == {200, 429}
    assert (await door.ask(quiet)).status_code == 200


async def test_two_keys_of_a_caller_share_what_he_has(door: Door) -> None:
    one, two = door.admit("ops", [Scope.OPERATE], rate=0.1), door.admit("ops", [Scope.OPERATE], rate=0.1)
    await door.until(one, 200)
    assert (await door.ask(two)).status_code == 429


async def test_a_batch_counts_as_its_events(door: Door, world: World) -> None:
    key = door.admit("bulk", [Scope.SEND], rate=10)
    batch = {"events": [world.event() | {"kind": "order-shipped"} for _ in range(40)]}
    await door.until(key, 400, method="POST", path="/api/batches", json={})
    answer = await door.ask(key, "POST", "/api/batches?dryRun=true", json=batch)
    assert (answer.status_code, answer.json()["refused"]) == (200, 0)
    answer = await door.ask(key, "POST", "/api/batches?dryRun=true", json=batch)
    assert answer.status_code == 429
    assert 2 <= int(answer.headers["retry-after"]) <= 5
    assert answer.json()["details"]["retryAfterSeconds"] == int(answer.headers["retry-after"])


async def test_a_file_of_events_is_sent_as_fast_as_its_key_may(
    door: Door, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 10)
    key = door.admit("bulk", [Scope.SEND], rate=10)
    await door.until(key, 400, method="POST", path="/api/batches", json={})
    events = [world.event() for _ in range(25)]
    rows = [f"{one['eventId']},{one['phone']},{one['orderId']},now" for one in events]
    path = tmp_path / "events.csv"
    path.write_text("\n".join(["eventId,phone,orderId,consentAt", *rows]))
    settings = settings_for(tmp_path, port=door.http.base_url.port)
    begin = asyncio.get_running_loop().time()
    assert await bulk.send(settings, Console(width=200), path, "order-shipped", key, False) == 0
    assert asyncio.get_running_loop().time() - begin > 1
    assert "25 events: 25 accepted" in capsys.readouterr().out


async def test_the_setting_limits_every_caller_and_not_twilio(world: World, tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path,
        port=free_port(),
        database_url=world.settings.database,
        temporal_address=world.settings.temporal_address,
        caller_rate_per_second=1,
    )
    async with serving(settings):
        limited = World(settings, world.client, world.database, world.phones)
        assert [(await limited.http.get("/api/audit")).status_code for _ in range(3)].count(429) == 2
        assert {(await call_back(limited, "", form())).status_code for _ in range(5)} == {204}
        await limited.http.aclose()


# -- what operators order ----------------------------------------------------------------------------------------


async def orders(world: World, **wanted: Any) -> list[dict[str, Any]]:
    answer = await world.http.get("/api/audit", params=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()["entries"]


ORDERS: dict[tuple[str, str], tuple[str, dict[str, Any] | str | None, str]] = {
    ("POST", "/api/notifications/{event_id}/cancel"): ("cancel", None, "not_found"),
    ("POST", "/api/notifications/{event_id}/reschedule"): ("reschedule", {}, "not_found"),
    ("POST", "/api/notifications/{event_id}/resend"): ("resend", {"reason": "he asked"}, "not_found"),
    ("POST", "/api/notifications/{event_id}/acknowledge"): ("acknowledge", None, "not_found"),
    ("PUT", "/api/recipients/{phone}/consent"): ("consent", {"status": "revoked", "source": "call"}, "done"),
    ("DELETE", "/api/recipients/{phone}"): ("erase", None, "done"),
    ("POST", "/api/ranges/{range_id}"): ("range", {"decision": "block"}, "not_found"),
    ("POST", "/api/webhooks/redeliver"): ("redeliver", {"ids": ["none/1/delivered"]}, "done"),
    ("POST", "/api/webhooks/endpoints/{name}/enable"): ("enable endpoint", None, "not_found"),
    ("POST", "/api/consents.csv"): ("import consents", "phone,status,at,source\n", "done"),
}


async def test_every_order_is_in_the_list_of_those_that_leave_a_trace(world: World) -> None:
    changing = {
        (method, path)
        for method, path, scopes, _ in await routes(world.http)
        if method != "GET" and set(scopes) & {Scope.OPERATE, Scope.ERASE}
    }
    assert changing == ORDERS.keys()


@pytest.mark.parametrize(("method", "path"), ORDERS)
async def test_an_order_leaves_its_trace(world: World, method: str, path: str) -> None:
    action, body, result = ORDERS[(method, path)]
    begin = datetime.now(UTC)
    content = {"content": body} if isinstance(body, str) else {"json": body}
    await world.http.request(method, filled(path), **content)
    (entry,) = await orders(world, since=begin.isoformat())
    assert (entry["action"], entry["caller"], entry["keyId"]) == (action, "shop", "API_KEYS-1")
    assert entry["result"] == result
    assert begin <= datetime.fromisoformat(entry["at"]) <= datetime.fromisoformat(entry["endedAt"])
    if "{phone}" in path:
        assert entry["recipientHash"] == KeyedHash(world.settings.hash_key).of("recipient", PATH_VALUES["{phone}"])
    if "{event_id}" in path:
        assert entry["eventId"] == "no-such-event"


async def test_the_key_in_the_trace_is_found_in_the_file(door: Door, world: World) -> None:
    key = door.admit("ops", [Scope.OPERATE])
    await door.until(key, 200)
    begin = datetime.now(UTC)
    await door.ask(key, "POST", "/api/notifications/no-such-event/cancel")
    (entry,) = await orders(world, since=begin.isoformat())
    assert entry["caller"] == "ops"
    assert f"ops sha256:{entry['keyId']}" in door.file.read_text()


async def test_who_ordered_an_erasure_is_known_after_it_by_hash_alone(world: World) -> None:
    phone, begin = world.event()["phone"], datetime.now(UTC)
    masked = "***" + phone[-4:]
    consent = {"status": "granted", "purpose": "order-updates", "source": "checkout form"}
    assert (await world.http.put(f"/api/recipients/{phone}/consent", json=consent)).status_code == 200
    (entry,) = await orders(world, since=begin.isoformat())
    assert (entry["phone"], entry["detail"]) == (masked, "granted")
    await world.http.delete(f"/api/recipients/{phone}")
    before, after = await orders(world, since=begin.isoformat())
    assert (after["action"], after["result"]) == ("erase", "done")
    assert after["recipientHash"] == before["recipientHash"] == entry["recipientHash"]
    assert "phone" not in before | after
    async with world.database.read() as connection:
        rows = str((await connection.execute(text("SELECT * FROM audit"))).all())
    assert phone not in rows
    assert masked not in rows


async def test_a_number_that_was_taken_for_an_event_id_is_masked(world: World) -> None:
    begin = datetime.now(UTC)
    assert (await world.http.post("/api/notifications/15552009876/cancel")).status_code == 404
    (entry,) = await orders(world, since=begin.isoformat())
    assert entry["eventId"] == "***9876"
    assert entry in await orders(world, eventId="15552009876")


async def held(world: World) -> dict[str, Any]:
    """An appointment whose reminder waits."""
    event = world.event()
    starts = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    event = {"eventId": event["eventId"], "phone": event["phone"], "consentAt": event["consentAt"]} | {
        "appointmentId": "A1", "startsAt": starts, "remindBefore": ["PT24H"],
    }  # fmt: skip
    assert (await world.http.post("/api/appointment-reminder-sms", json=event)).status_code == 202
    await world.until(event["eventId"], "held")
    return event


async def test_what_came_of_an_order_is_told_with_it(world: World) -> None:
    event = await held(world)
    path = f"/api/notifications/{event['eventId']}"
    await world.http.post(f"{path}/cancel")
    await asyncio.wait_for(world.workflow(event["eventId"]).result(), 5)
    await world.http.post(f"{path}/reschedule", json={"remindBefore": ["PT2H"]})
    order = {"reason": "for Ada Lovelace", "force": True}
    await world.http.post(f"{path}/resend", json=order)
    found = await orders(world, eventId=event["eventId"])
    assert [(entry["action"], entry["result"]) for entry in found[:2]] == [
        ("cancel", "done"),
        ("reschedule", "too_late"),
    ]
    assert (found[2]["action"], found[2]["detail"]) == ("resend", "forced")
    assert "Ada" not in str(found), "what people write may be anything"


async def test_what_cannot_be_written_down_is_not_done(world: World) -> None:
    event = await held(world)
    async with world.database.write() as connection:
        await connection.execute(text("ALTER TABLE audit RENAME TO audit_away"))
    try:
        answer = await world.http.post(f"/api/notifications/{event['eventId']}/cancel")
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert (await world.http.delete(f"/api/recipients/{event['phone']}")).status_code == 503
        assert (await world.http.get("/api/audit")).status_code == 503
    finally:
        async with world.database.write() as connection:
            await connection.execute(text("ALTER TABLE audit_away RENAME TO audit"))
    assert (await world.story(event["eventId"]))["status"] == "held"
    assert (await world.http.post(f"/api/notifications/{event['eventId']}/cancel")).status_code == 200


async def test_the_log_is_read_from_a_moment_on_or_from_its_end(world: World) -> None:
    begin = datetime.now(UTC)
    for number in range(4):
        await world.http.post(f"/api/notifications/no-such-event-{number}/cancel")
    first = await orders(world, since=begin.isoformat(), limit=2)
    assert [entry["eventId"][-1] for entry in first] == ["0", "1"]
    rest = await orders(world, since=first[-1]["at"])
    assert [entry["eventId"][-1] for entry in rest] == ["1", "2", "3"]
    assert [entry["eventId"][-1] for entry in await orders(world, limit=2)] == ["2", "3"]
    for wrong in ({"limit": "0"}, {"limit": "1001"}, {"since": "yesterday"}, {"eventId": "x"}):
        assert (await world.http.get("/api/audit", params=wrong)).status_code == 400


async def test_the_command_tells_who_ordered_what(world: World) -> None:
    event_id = "no-such-event-either"
    await world.http.post(f"/api/notifications/{event_id}/cancel")
    environment = BARE | {"PORT": str(world.settings.port), "HELIOGRAPH_API_KEY": KEY}
    for options, told in (((), True), (("--since", "1h", "--event", event_id), True), (("--event", "another"), False)):
        process = await asyncio.create_subprocess_exec(
            *heliograph("audit", *options), env=environment, cwd=world.settings.data_dir,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        printed = (await process.communicate())[0].decode()
        assert process.returncode == 0, printed
        assert bool(re.search(rf"shop +API_KEYS-1 +cancel +{re.escape(event_id)} +not_found", printed)) is told


async def test_the_commands_take_their_key_from_the_environment(door: Door) -> None:
    key = door.admit("ops", [Scope.OPERATE])
    await door.until(key, 200)
    environment = BARE | {"PORT": str(door.http.base_url.port)}
    for variables, arguments, code, says in (
        ({"HELIOGRAPH_API_KEY": key}, ("audit", "--limit", "1"), 0, ""),
        ({"HELIOGRAPH_API_KEY": key}, ("audit", "--since", "yesterday"), 1, "since must be an ISO 8601 date"),
        ({"HELIOGRAPH_API_KEY": key}, ("trace", "no-such-event"), 1, "missing_scope"),
        ({}, ("audit",), 1, "unauthorized"),
    ):
        process = await asyncio.create_subprocess_exec(
            *heliograph(*arguments), env=environment | variables, cwd=door.file.parent, stdout=asyncio.subprocess.PIPE
        )
        printed = (await process.communicate())[0].decode()
        assert (process.returncode, says in printed) == (code, True), printed
        assert key not in printed


# -- Twilio's calls ----------------------------------------------------------------------------------------------


async def test_during_a_rotation_callbacks_signed_with_either_token_are_taken(world: World, tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path,
        port=free_port(),
        database_url=world.settings.database,
        temporal_address=world.settings.temporal_address,
        twilio_account_sid="AC" + "0" * 32,
        twilio_from_number="+15005550006",
        twilio_auth_token="primary-" + "p" * 24,
        twilio_auth_token_secondary="secondary-" + "s" * 24,
    )
    async with serving(settings):
        rotating = World(settings, world.client, world.database, world.phones)
        for token, status in (("primary-" + "p" * 24, 204), ("secondary-" + "s" * 24, 204), ("t" * 32, 403)):
            assert (await call_back(rotating, "", form(), token=token)).status_code == status
        await rotating.http.aclose()


async def test_an_open_door_is_warned_of_at_start_and_no_wrong_key_is_logged(tmp_path: Path) -> None:
    port = free_port()
    environment = BARE | {"PORT": str(port), "REQUIRE_TWILIO_SIGNATURE": "false", "LOG_LEVEL": "DEBUG"}
    process = Process("api", heliograph("api"), environment, tmp_path, tmp_path / "api.log")
    process.start()
    try:
        await asyncio.to_thread(process.wait_ready, lambda: "serving" in process.tail(), 20)
        assert "REQUIRE_TWILIO_SIGNATURE is false: everyone on this machine may forge callbacks" in process.tail()
        assert "no API_KEYS are set: everyone on this machine may post events" in process.tail()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            assert (await http.post("/twilio/status-callback", data=form())).status_code == 503  # not 403: no database
    finally:
        await asyncio.to_thread(process.stop)
    keyed = Process("api", heliograph("api"), environment | {"API_KEYS": f"shop={KEY}"}, tmp_path, tmp_path / "2.log")
    keyed.start()
    try:
        await asyncio.to_thread(keyed.wait_ready, lambda: "serving" in keyed.tail(), 20)
        assert "no API_KEYS" not in keyed.tail()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            for authorization in ("Bearer wrong-key-canary", "Basic wrong-key-canary", f"Bearer {KEY}"):
                await http.get("/api/audit", headers={"Authorization": authorization})
        logged = keyed.log.read_text()
        assert "status=401" in logged
        assert "canary" not in logged
        assert KEY not in logged
    finally:
        await asyncio.to_thread(keyed.stop)
