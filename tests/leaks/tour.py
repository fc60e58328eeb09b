"""Every path that personal data and secrets take, and every way in which it ends badly."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from store.database import Database
from tests.leaks.house import OTHER_PAYLOAD_KEY, SECRETS, SENDER, House
from tests.leaks.outside import Nonsense

Step = Callable[[House], Awaitable[None]]

# What Twilio may answer to the creation of a message: names that say how it ends, and what the phone does.
WAYS: dict[str, dict[str, Any]] = {
    "delivered": {},
    "refused": {"outcome": "refused", "errorCode": 21211},
    "opted out at Twilio": {"outcome": "refused", "errorCode": 21610},
    "a landline": {"outcome": "refused", "errorCode": 21614},
    "undelivered": {"outcome": "undelivered", "errorCode": 30005},
    "failed": {"outcome": "failed"},
    "silent": {"outcome": "sent"},
    "told twice": {"callbacks": {"repeat": 2, "contradict": "undelivered", "reorder": True}},
    "too many requests": {"create": [{"fault": "429", "retryAfter": 1}]},
    "server error": {"create": [{"fault": "500", "accept": True}]},
    "hangs": {"create": [{"fault": "hang", "accept": True, "seconds": 3}]},
    "reset": {"create": [{"fault": "reset"}], "callbacks": {"lose": "all"}},
}
# A gateway in between, a Twilio that has changed, an attacker: what they write may hold the number.
NONSENSE = {
    "a page of HTML": Nonsense(400, "<h1>Bad request</h1><p>The 'To' number {to} is not valid.</p>"),
    "a 201 that is no message": Nonsense(201, "thanks for texting {to}"),
    "a message without SID": Nonsense(201, '{{"to": "{to}", "error_message": "no SID for {to}"}}', "application/json"),
    "a redirect": Nonsense(302, "", headers={"Location": "https://127.0.0.1:1/moved"}),
    "a code that is none": Nonsense(400, '{{"code": "{to}", "message": "{to}", "status": "{to}"}}', "application/json"),
    "an outage page": Nonsense(503, "upstream of {to} is down"),
}


def ago(**units: float) -> str:
    return (datetime.now(UTC) - timedelta(**units)).isoformat()


def sid(number: int, prefix: str = "SM") -> str:
    return f"{prefix}{number:032x}"


async def texts(house: House) -> None:
    """Order updates to phones of every sort."""
    note = house.says("operator note", "linnet-note-for-operators")
    url = house.says("tracking URL", "linnet-tracking-token-0d7c")
    sent = []
    for way, scenario in WAYS.items():
        event = house.event(
            way, operatorNote=note, trackingUrl=f"https://shop.example/t?{url}", deliveryTimeoutSeconds=6
        )
        await house.phones.behave(event["phone"], **scenario)
        sent.append(event)
    for way, nonsense in NONSENSE.items():
        event = house.event(way, operatorNote=note, deliveryTimeoutSeconds=6)
        house.outside.nonsense[event["phone"]] = nonsense
        sent.append(event)
    house.outside.refuse_next = 2
    waits = [{"Prefer": "wait=5"} if number % 3 == 0 else {} for number in range(len(sent))]
    await asyncio.gather(*(_taken(house, event, **wait) for event, wait in zip(sent, waits, strict=True)))
    first = sent[0]
    await house.until(first["eventId"], "delivered")
    await house.send("order-shipped", first)
    await house.send("order-shipped", first | {"orderId": house.says("another order", "linnet-order-other")})
    await house.send("order-shipped", house.event("a dry run"), "?dryRun=true")
    house.person("abroad", "+4915112340731")
    abroad = house.event("abroad", phone="0151 1234-0731", region="DE", locale="de")
    await house.send("out-for-delivery", abroad)
    house.person("on an island", "+29051731")
    await house.send("order-delayed", house.event("on an island"))
    short = house.event("eight digits", phone=house.person("eight digits", "+4741237893"))
    await house.send("order-shipped", short)
    ticket = house.event("support", ticketId=house.says("ticket", "linnet-ticket-7"), orderId=None)
    await house.send("support-ack", ticket)


async def _taken(house: House, event: dict[str, Any], **headers: str) -> None:
    """Posts it until it is answered, as a careful caller does."""
    for _ in range(10):
        if (await house.send("order-shipped", event, **headers)).status_code in (200, 202, 502):
            return
        await asyncio.sleep(1)
    raise AssertionError(f"{event['eventId']} was never taken")


async def incidents(house: House) -> None:
    """Alerts by text and call, with names; an acknowledgement by reply and by key; a storm, and its end."""
    summary = house.says("summary of the incident", "linnet-summary-of-the-database")
    service, group = house.says("service", "linnet-service"), house.says("group", "linnet-group/5xx")
    names = house.says("name of a contact", "Quillfeather"), house.says("name of another", "Zoë-Wrenbury")
    ada, zoe = house.person("first contact"), house.person("second contact")
    await house.phones.behave(zoe, pace=50, press="1")

    def alert(number: int, **fields: Any) -> dict[str, Any]:
        return {
            "eventId": f"leak-incident-{number}",
            "groupKey": group,
            "service": service,
            "severity": "critical",
            "summary": summary,
            "contacts": [{"phone": ada, "name": names[0]}, {"phone": zoe, "name": names[1]}],
            "consentAt": ago(days=1),
            "acknowledgeWithinSeconds": 5,
            **fields,
        }

    await house.send("incident-alert", alert(1, channels=["voice"], contacts=[{"phone": zoe, "name": names[1]}]))
    await house.send("incident-alert", alert(2))
    await house.send("incident-alert", alert(3, groupKey=f"{group}/other", channels=["sms"]))
    await house.until("leak-incident-3", lambda story: story["attempts"] > 0)
    await house.phones.reply(ada, house.says("a reply", "linnet-reply my wife is ill"))
    await house.until("leak-incident-1", lambda story: "acknowledged" in str(story))
    await house.phones.reply(ada, "1")
    await house.http.post("/api/notifications/leak-incident-3/acknowledge")
    await house.send("incident-resolved", {"eventId": "leak-resolved-1", "groupKey": f"{group}/other"})


async def appointments(house: House) -> None:
    """What is held, moved and dropped."""
    event = house.event("a patient", orderId=None, appointmentId=house.says("appointment", "linnet-appointment-3"))
    event["startsAt"] = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    await house.send("appointment-reminder", event)
    path = f"/api/notifications/{event['eventId']}"
    for starts in ((datetime.now(UTC) + timedelta(days=12)).isoformat(), house.person("a patient")):
        await house.http.post(f"{path}/reschedule", json={"startsAt": starts})
    await house.http.post(f"{path}/cancel")
    await house.http.post(f"{path}/cancel")


async def batches(house: House) -> None:
    """Good and bad ones side by side."""
    good, bad = house.event("in a batch"), house.event("badly in a batch")
    items = [
        {"kind": "order-shipped", **good},
        {"kind": "order-shipped", **bad, "eventId": f"order:{bad['phone'][1:]}"},
        {"kind": "order-shipped", **bad, "consentAt": bad["phone"]},
        {"kind": bad["phone"]},
        {"kind": "order-shipped", **bad, bad["phone"]: bad["orderId"]},
        bad["phone"],
    ]
    for path in ("/api/batches", "/api/batches?dryRun=true"):
        await house.http.post(path, json={"events": items})


async def bad_input(house: House) -> None:
    """Each field of each kind holding something that it must not, and requests that are none."""
    token = house.says("what stands in a wrong field", "linnet-in-a-wrong-field")
    document = (await house.http.get("/openapi.json")).json()
    kinds = [path for path in document["paths"] if path.endswith("-sms")]
    victim = house.event("written wrongly")
    number = victim["phone"]
    national = number[2:]
    dashed = f"{national[:3]}-{national[3:6]}-{national[6:]}"
    requests = []
    for path in kinds:
        reference = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for name in document["components"]["schemas"][reference.rpartition("/")[2]]["properties"]:
            requests += [
                house.http.post(path, json=victim | {name: wrong})
                for wrong in (f"{number} {token}", [number, token], {number: token}, int(number[1:]))
            ]
    path = kinds[0]
    for event_id in (number[1:], national, dashed, f"a:{dashed}:b", f"x.{national}"):
        requests.append(house.http.post(path, json=victim | {"eventId": event_id}))
    for wrong in (number, dashed, token, f"{number}x", f"call {number}", national):
        requests += [
            house.http.post(path, json=victim | {"phone": wrong}),
            house.http.post(path, json=victim | {"phone": wrong, "region": "US", "bogus": token}),
            house.http.post(path, json=victim | {wrong: 1}),
            house.http.post("/api/verify/start", json={"phone": wrong, wrong: wrong}),
        ]
    broken = f'{{"phone": "{number}", "orderId": "{token}'.encode()
    for body, sort in (
        (broken, "application/json"),
        (f"phone={number}&body={token}".encode(), "application/x-www-form-urlencoded"),
        (number.encode(), "text/plain"),
        (json.dumps([number, token]).encode(), "application/json"),
        (b"\xff\xfe" + number.encode("utf-16-le"), "application/json"),
        (json.dumps(victim | {"orderId": token * 4_000}).encode(), "application/json"),
    ):
        requests.append(house.http.post(path, content=body, headers={"Content-Type": sort}))
    for key in (SECRETS["wrong API key"], f"{number} {token}"):
        requests.append(house.http.post(path, json=victim, headers={"Authorization": f"Bearer {key}"}))
    for where in (
        f"/api/notifications/{national}", f"/api/notifications/{number}", f"/api/notifications/{dashed}/resend",
        f"/api/messages/{number}", f"/{number}/{token}", f"/api/recipients/{dashed}/consent",
        f"/api/recipients/{token}/consent", f"{path}?phone=%2B{number[1:]}&dryRun={number}",
        f"/docs?{token}={number}", f"/api/batches?dryRun={number}",
    ):  # fmt: skip
        requests += [house.http.get(where), house.http.post(where, json={"reason": number, "phone": number})]
    for header in ("Prefer", "X-Forwarded-For", "Cookie", "Referer"):
        requests.append(house.http.get("/api/notifications/leak-none", headers={header: f"wait={number}; {token}"}))
    for answer in await asyncio.gather(*requests):
        assert answer.status_code in (*range(200, 500), 503), answer.text


async def follow_up(house: House) -> None:
    """What operators do with an event, and write about it."""
    event = house.event("asked again")
    await house.phones.behave(event["phone"], outcome="undelivered")
    await house.send("order-shipped", event)
    await house.until(event["eventId"], "undelivered")
    number = event["phone"]
    path = f"/api/notifications/{event['eventId']}"
    reasons = [
        f"he calls from {number}", f"try ({number[2:5]}) {number[5:8]}-{number[8:]} instead",
        f"{number[2:5]}.{number[5:8]}.{number[8:]} is his new one", f"{number[2:5]} {number[5:8]} {number[8:]}",
        f"{number[5:]}", f"tel:{number}",
    ]  # fmt: skip
    for reason in reasons:
        await house.http.post(f"{path}/resend", json={"reason": reason, "force": True})
    await house.http.post(f"{path}/resend", json={"reason": "x", "force": number, number: number})
    await house.http.get(path)


async def consent(house: House) -> None:
    """What people agree to and take back, and what is written down about it."""
    number = house.person("who consents")
    dashed = f"{number[2:5]}-{number[5:8]}-{number[8:]}"
    path = f"/api/recipients/{number}"
    for record in (
        {"status": "granted", "purpose": "order-updates", "source": "checkout form", "wording": "terms-2026-03"},
        {"status": "granted", "purpose": "order-updates", "source": f"call from {number}", "wording": dashed},
        {"status": "revoked", "source": f"letter, asks for {dashed}"},
        {"status": "opted_out", "source": number},
        {"status": number, "source": [number], "purpose": number, number: number},
    ):
        await house.http.put(f"{path}/consent", json=record)
    await house.http.get(f"{path}/consent")
    await house.http.get(f"/api/recipients/%2B{number[1:]}/consent")
    for number in (house.person("who writes in"), house.person("who writes angrily")):
        for body in ("STOP", "START", house.says("an angry reply", "linnet-angry stop texting my wife"), "HELP"):
            await house.phones.reply(number, body)


async def login_checks(house: House) -> None:
    """Codes that Twilio sends, and codes that people type."""
    number = house.person("who logs in")
    await house.phones.behave(number, verifyCode=house.code("code that was sent", "004917"))
    typed, wrong = "004917", house.code("code that was wrong", "007391")
    await house.http.post("/api/verify/start", json={"phone": number})
    for body in (
        {"phone": number, "code": wrong},
        {"phone": number, "code": int(wrong)},
        {"phone": number, "code": f"{wrong}x"},
        {"phone": number, "code": [wrong]},
        {"phone": number, "code": typed, wrong: typed},
        {"phone": number, "code": typed},
        {"phone": number, "code": typed},
    ):
        await house.http.post("/api/verify/check", json=body)
    for who, scenario in (
        ("whose start hangs", {"verifyStart": [{"fault": "hang", "seconds": 3}]}),
        ("whose check fails", {"verifyCheck": [{"fault": "500"}]}),
        ("whose line is blocked", {"verifyError": 60410}),
    ):
        number = house.person(who)
        await house.phones.behave(number, verifyCode=typed, **scenario)
        await house.http.post("/api/verify/start", json={"phone": number})
        await house.http.post("/api/verify/check", json={"phone": number, "code": typed})


async def callbacks(house: House) -> None:
    """From Twilio and from forgers, as they should be and as they should not."""
    number, body = house.person("in callbacks"), house.says("body in a callback", "linnet-body-in-a-callback")
    form = {"MessageSid": sid(1), "MessageStatus": "sent", "To": number, "From": SENDER, "Body": body}
    status = "/twilio/status-callback?eventId=leak-never-posted"
    for path in (status, f"{status}&to=%2B{number[1:]}"):
        for genuine in (True, False):
            await house.call_back(path, form, genuine=genuine)
    await house.call_back(f"/twilio/status-callback?eventId={number[1:]}", form, genuine=False)
    for wrong in ({"MessageSid": number}, {"MessageStatus": number}, {"ErrorCode": number}, {"ErrorCode": body}):
        await house.call_back(status, form | wrong)
    inbound = {"MessageSid": sid(2), "From": number, "To": SENDER, "Body": body}
    for wrong in ({}, {"From": body * 4}, {"MessageSid": number}, {"Body": body * 200}, {"OptOutType": number}):
        for genuine in (True, False):
            await house.call_back("/twilio/inbound", inbound | wrong, genuine=genuine)
    key = {"CallSid": sid(3, "CA"), "Digits": house.code("digits in a call", "005281"), "To": number}
    for wrong in ({}, {"Digits": body}, {"CallSid": number}):
        await house.call_back("/twilio/key?eventId=leak-incident-1", key | wrong)
        await house.call_back("/twilio/call-status?eventId=leak-incident-1", key | wrong | {"CallStatus": number})


async def commands(house: House) -> None:
    """What operators type, and what that prints."""
    listed, bad = house.event("in a file"), house.event("badly in a file")
    file, spoilt = _files(house.stack.data.parent, listed, bad)
    single = house.event("typed")
    typed = [f"{name}={value}" for name, value in single.items()]
    delivered = "leak-tour-1-delivered"
    await asyncio.gather(
        house.run("send", "order-shipped", "--csv", str(file)),
        house.run("send", "order-shipped", "--csv", str(file), "--dry-run"),
        house.run("send", "order-shipped", "--csv", str(spoilt)),
        house.run("send", "order-shipped", *typed, "--wait", "5"),
        house.run("send", "order-shipped", *typed, f"{bad['phone']}=7", "--key", SECRETS["wrong API key"]),
        house.run("send", "order-shipped", bad["phone"]),
        house.run("trace", delivered),
        house.run("trace", bad["phone"]),
        house.run("resend", delivered, "--force", "--reason", f"asked for at {bad['phone']}"),
        house.run("doctor"),
        house.run("bootstrap"),
    )
    with suppress(AssertionError):
        await house.until(single["eventId"], "delivered")


def _files(place: Path, good: dict[str, Any], bad: dict[str, Any]) -> tuple[Path, Path]:
    """One with good and bad lines, and one that cannot be read; outside of what is searched."""
    lines = ["eventId,phone,orderId,consentAt", f"{good['eventId']},{good['phone']},{good['orderId']},now"]
    for event_id in (f"order-{bad['phone'][1:]}", bad["eventId"]):
        lines.append(f"{event_id},{bad['phone']},{bad['orderId']},{bad['phone']}")
    file, spoilt = place / "events.csv", place / "spoilt.csv"
    file.write_text("\n".join(lines))
    spoilt.write_text(f"eventId,phone\n{bad['eventId']},{bad['phone']},{bad['orderId']}\n")
    return file, spoilt


async def without_tables(house: House) -> None:
    """The database fails half-way through everything that uses it."""
    database = Database(house.stack.environment["DATABASE_URL"])
    for table in ("legs", "recipients", "consents", "timeline"):
        async with database.write() as connection:
            await connection.execute(text(f"ALTER TABLE {table} RENAME TO {table}_away"))
        event = house.event(f"without {table}")
        await asyncio.gather(
            house.send("order-shipped", event),
            house.http.get(f"/api/recipients/{event['phone']}/consent"),
            house.http.delete(f"/api/recipients/{event['phone']}"),
            house.http.post("/api/verify/start", json={"phone": event["phone"]}),
            house.call_back(f"/twilio/status-callback?eventId={event['eventId']}", {
                "MessageSid": sid(9), "MessageStatus": "delivered", "To": event["phone"], "From": SENDER,
            }),
            house.call_back("/twilio/inbound", {
                "MessageSid": sid(10), "From": event["phone"], "To": SENDER, "Body": "STOP",
            }),
            asyncio.sleep(0.7),
        )  # fmt: skip
        async with database.write() as connection:
            await connection.execute(text(f"ALTER TABLE {table}_away RENAME TO {table}"))
    await database.close()


async def crashes(house: House) -> None:
    """A worker that is killed while it posts, another one without the right key, Temporal and API that go away.

    Afterwards the logs are JSON.
    """
    event = house.event("while the worker dies")
    await house.phones.behave(event["phone"], create=[{"fault": "slow", "seconds": 1}])
    await house.send("order-shipped", event)
    await asyncio.sleep(0.5)
    house.stack.processes["worker"].kill()
    environment = house.stack.environment
    house.stack.environment = {**environment, "PAYLOAD_KEYS": f"other:{OTHER_PAYLOAD_KEY}"}
    wrong = await asyncio.to_thread(house.stack.start_worker, "worker-with-another-key")
    await house.send("order-shipped", house.event("with another key"))
    await asyncio.sleep(1.5)
    wrong.kill()
    house.stack.environment = {**environment, "LOG_FORMAT": "json"}
    house.stack.processes["temporal"].kill()
    with suppress(httpx.HTTPError):
        await house.send("order-shipped", house.event("without Temporal"))
    await asyncio.gather(
        house.http.post("/api/notifications/leak-tour-1-delivered/cancel"),
        house.http.get("/readyz"),
    )
    await asyncio.to_thread(house.stack.start_temporal)
    house.stack.processes["api"].kill()
    await asyncio.gather(asyncio.to_thread(house.stack.start_api), asyncio.to_thread(house.stack.start_worker))


async def end(house: House) -> None:
    """Everything once more where logs are JSON; then somebody asks to be forgotten."""
    event = house.event("at last")
    await house.send("order-shipped", event)
    await house.until(event["eventId"], "delivered")
    forgotten = house.person("delivered")
    await house.http.delete(f"/api/recipients/{forgotten}")
    await house.http.delete(f"/api/recipients/{forgotten}x")
    for path in ("/metrics", "/readyz", "/healthz", "/openapi.json", "/docs"):
        await house.http.get(path)
    house.evidence.append(await house.metrics_of_temporal())
    house.evidence += house.processes()


WHOLE = (
    texts, incidents, appointments, batches, bad_input, follow_up, consent, login_checks, callbacks, commands,
    without_tables, crashes, end,
)  # fmt: skip
# What depends on the database, and on how logs are written.
OF_DATABASE = (texts, incidents, follow_up, consent, login_checks, callbacks, without_tables, end)
