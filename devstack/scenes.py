"""The demo's scenes: one of each event, and what becomes of it."""

from datetime import UTC, datetime, timedelta

from rich.panel import Panel

from devstack.observer import Observer, expect

ANN, BOB, CLEO, DAN, EVE = (f"+1555867531{digit}" for digit in range(5))
ON_CALL, NEXT_ON_CALL, OTHER_ON_CALL = "+15558675320", "+15558675321", "+15558675322"


def show(demo: Observer) -> None:
    """All of them, one after the other. Raises WentWrong as soon as one does not go as it should."""
    for number, scene in enumerate(
        (delivered_and_repeated, refused, undelivered, reminded, alerted, told_of_a_storm, answered, checked), 1
    ):
        demo.title(number, (scene.__doc__ or "").strip())
        scene(demo)
    demo.console.print()


def delivered_and_repeated(demo: Observer) -> None:
    """An order has shipped: a delivered text; the same event again texts nobody"""
    order = {"phone": ANN, "orderId": "48151623", "trackingUrl": "https://example.com/track/1Z999AA10123456784"}
    first = demo.post("order-shipped", "delivered", order)
    delivered = demo.follow("delivered", lambda seen: seen["status"] == "delivered")
    repeat = demo.post("order-shipped", "delivered", order | {"consentAt": first["consentAt"]}, expected=200)
    expect(repeat["answer"]["duplicate"] is True, "the repeat is answered as a duplicate")
    expect(repeat["answer"]["sid"] == delivered["sid"], "the repeat names the first one's Message SID")
    expect(len(demo.texts(ANN)) == 1, "one text is on the phone")
    demo.console.print("  Texts on that phone: [bold]1[/]")


def refused(demo: Observer) -> None:
    """Twilio refuses one: final, with the reason and what to do"""
    demo.behave(BOB, outcome="refused", errorCode=21610)
    demo.post("out-for-delivery", "refused", {"phone": BOB, "orderId": "48151624"})
    demo.follow("refused", lambda seen: seen["status"] == "failed" and "escalated" in seen)
    expect(not demo.texts(BOB), "a refused text is on no phone")


def undelivered(demo: Observer) -> None:
    """One comes back undelivered: operators are told"""
    demo.behave(CLEO, outcome="undelivered", errorCode=30005)
    demo.post("order-shipped", "undelivered", {"phone": CLEO, "orderId": "48151625"})
    demo.follow("undelivered", lambda seen: seen["status"] == "undelivered" and "escalated" in seen)
    notices = demo.notices("undelivered")
    expect(len(notices) == 1, f"operators got one notice (got {len(notices)})")
    told = notices[0]["data"]
    demo.console.print(
        Panel(
            f"{told['what']} {told['error']['says']}\n[bold]To do:[/] {told['error']['do']}",
            title="Operators' webhook, signed",
            title_align="left",
            border_style="red",
        )
    )


def reminded(demo: Observer) -> None:
    """An appointment in an hour: two reminders, each held until its time"""
    now = datetime.now(UTC)
    noon = f"Etc/GMT{(now.hour - 12):+d}"  # by the recipient's clock; the sign of these names is turned round
    appointment = {
        "phone": DAN,
        "appointmentId": "A-1207",
        "startsAt": (now + timedelta(hours=1)).isoformat(),
        "timeZone": noon,
        "remindBefore": ["PT59M58S", "PT59M54S"],
        "locale": "es",
    }
    demo.post("appointment-reminder", "reminder", appointment)
    demo.follow("reminder", lambda seen: seen["attempts"] == 2 and seen["status"] == "delivered")
    expect(len(demo.texts(DAN)) == 2, "both reminders are on the phone")
    demo.console.print(f"  On the phone: [italic]{demo.texts(DAN)[0]}[/]")


def alerted(demo: Observer) -> None:
    """An incident: the text fails, so the phone rings, and a key acknowledges"""
    demo.behave(ON_CALL, outcome="undelivered", press="1", pace=10)
    demo.post("incident-alert", "incident", _incident("checkout-api"))
    demo.follow("incident", lambda seen: _says(seen, "acknowledged") and seen["status"] == "delivered")
    (call,) = demo.calls(ON_CALL)
    demo.console.print(f"  Spoken in the call: [italic]{call['spoken'][0]}[/] The person presses [bold]1[/].")
    expect(not demo.texts(NEXT_ON_CALL), "nobody else is woken up")


def told_of_a_storm(demo: Observer) -> None:
    """Twenty alerts at once: one text, a digest to come; recovery ends it"""
    alert = _incident("payment-api") | {"contacts": [{"phone": OTHER_ON_CALL}]}
    demo.post("incident-alert", "storm-1", alert)
    demo.follow("storm-1", lambda seen: seen["status"] == "delivered")
    for number in range(2, 21):
        demo.post("incident-alert", f"storm-{number}", alert, quietly=True)
    folded = demo.follow("storm-20", lambda seen: seen["status"] in ("suppressed", "held"))
    expect(len(demo.texts(OTHER_ON_CALL)) == 1, "twenty alerts are one text so far")
    demo.console.print(f"  Twenty alerts, one text; the last one: [italic]{folded['timeline'][-1]['detail']}[/]")
    demo.post("incident-resolved", "storm-resolved", {"groupKey": alert["groupKey"], "consentAt": None})
    demo.follow("storm-resolved", lambda seen: seen["status"] == "delivered")
    demo.console.print(f"  On the phone: {demo.texts(OTHER_ON_CALL)}")


def answered(demo: Observer) -> None:
    """A support request: a fixed text, nothing private can get into it"""
    demo.post("support-ack", "support", {"phone": EVE, "ticketId": "T-20417", "locale": "de"})
    demo.follow("support", lambda seen: seen["status"] == "delivered")
    demo.console.print(f"  On the phone: [italic]{demo.texts(EVE)[0]}[/]")


def checked(demo: Observer) -> None:
    """A login check through Twilio Verify: the code is kept nowhere"""
    demo.call("/api/verify/start", {"phone": EVE}, 202)
    wrong = demo.call("/api/verify/check", {"phone": EVE, "code": "0000"}, 200)
    expect(wrong["approved"] is False, "a wrong code is not approved")
    right = demo.call("/api/verify/check", {"phone": EVE, "code": demo.code(EVE)}, 200, hidden=True)
    expect(right["approved"] is True, "the right code is approved")


def _incident(service: str) -> dict[str, object]:
    return {
        "groupKey": f"{service}/5xx",
        "service": service,
        "severity": "critical",
        "summary": "5xx over 5 % for 3 minutes",
        "contacts": [{"phone": ON_CALL, "name": "Ada"}, {"phone": NEXT_ON_CALL}],
    }


def _says(seen: dict[str, list[dict[str, str]]], what: str) -> bool:
    return any(entry["what"] == what for entry in seen["timeline"])
