"""`make guards`: takes each guard out of a copy of the project, and sees the test fail that names it.

A test that cannot fail proves nothing; this is the list of what breaks which.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEAVE_OUT = shutil.ignore_patterns(".venv", ".git", "var", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")


@dataclass(frozen=True, slots=True)
class Guard:
    """A line that keeps a promise, what breaks it, and the test that must then fail."""

    promise: str
    file: str
    guard: str
    broken: str
    test: str
    also: tuple[tuple[str, str, str], ...] = ()
    """File, guard and what breaks it, where two lines keep the same promise."""


GUARDS = (
    Guard(
        "once: the workflow ID is the first guard",
        "workflows/dispatch.py",
        "Notification.run, request, id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE, **_options(request)",
        "Notification.run, request, id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,"
        ' **{**_options(request), "id": f"{request.event_id}-{request.request_id}"}',
        "tests/api/test_posting.py::test_the_workflow_is_found_under_the_event_id",
    ),
    Guard(
        "once: the ledger is the last guard",
        "store/ledger.py",
        '        if row["state"] != free:\n            return _claim(row, granted=False)\n',
        "",
        "tests/api/test_posting.py::test_a_reset_of_an_open_workflow_finds_the_ledger_and_sends_nothing",
    ),
    Guard(
        "once: of several workers one claims a leg",
        "store/event_lock.py",
        '        await connection.execute(_LOCK, {"of_event": event_id})\n',
        "        return\n",
        "tests/store/test_ledger.py::test_a_released_leg_is_granted_once_more",
    ),
    Guard(
        "once: a send whose end nobody tells is not retried",
        "workflows/retries.py",
        "names.STALE, names.OUTCOME_UNKNOWN]",
        "names.STALE]",
        "tests/workflow/test_paths.py::test_a_lost_answer_without_callbacks_is_settled_by_looking",
    ),
    Guard(
        "once: the callback wins the race against a pending retry",
        "workflows/text.py",
        "await workflow.wait_condition(lambda: delivery.done() or self._status.final)\n        if self._status.final:",
        "await workflow.wait_condition(lambda: delivery.done())\n        if not delivery.done():",
        "tests/workflow/test_paths.py::test_a_callback_ends_a_pending_retry",
        also=(
            (
                "workflows/notification.py",
                "lambda: self._settled or self._past",
                "lambda: tasks[1].done() or self._past",
            ),
        ),
    ),
    Guard(
        "once: after a 5xx it is looked up before it is posted again",
        "activities/deliver.py",
        "if (receipt := await self._look_it_up(leg, claim)) is not None:",
        "if (receipt := None) is not None:",
        "tests/workflow/test_paths.py::test_a_server_error_that_took_the_text_is_found_and_not_sent_again",
    ),
    Guard(
        "once: 4xx is final",
        "workflows/retries.py",
        "[names.REFUSED, ",
        "[",
        "tests/workflow/test_paths.py::test_refused_is_final_and_never_tried_again",
    ),
    Guard(
        "once: beyond Temporal's memory the database answers repeats",
        "api/desk.py",
        "if wait is None or known.settled:",
        "if False:",
        "tests/api/test_posting.py::test_a_repeat_is_recognised_when_the_workflow_is_gone",
    ),
    Guard(
        "once: a message that may be another event's is nobody's",
        "activities/look_up.py",
        "if await self._ledger.rivals(leg):",
        "if False:",
        "tests/workflow/test_settling.py::test_a_message_that_may_be_another_events_is_nobodys_until_a_callback_tells",
    ),
    Guard(
        "once: while the outcome is unknown only force sends again",
        "store/resends.py",
        "if refusal is not None and not (force and refusal.force):",
        "if False:",
        "tests/api/test_resend.py::test_while_the_outcome_is_unknown_only_force_sends_again",
    ),
    Guard(
        "never lost: Twilio is asked before silence is called late",
        "workflows/notification.py",
        "if not self._settled and self._sid:",
        "if False:",
        "tests/workflow/test_paths.py::test_silence_is_asked_after_before_it_is_called_late",
    ),
    Guard(
        "never lost: a lost answer is asked after",
        "workflows/text.py",
        "            if self._sid is None:\n                await self._ask_carrier()\n",
        "",
        "tests/workflow/test_paths.py::test_a_lost_answer_without_callbacks_is_settled_by_looking",
    ),
    Guard(
        "never lost: an accepted event is in SQL, should Temporal lose it",
        "activities/reconcile.py",
        "        return await self._restart(case)\n\n    async def _bad_end",
        '        return "waits"\n\n    async def _bad_end',
        "tests/workflow/test_reconciliation.py::test_a_workflow_that_was_deleted_before_its_send_is_started_again",
    ),
    Guard(
        "escalates: what was not delivered is told",
        "workflows/notification.py",
        "            await self._escalate(reason_for(self._status, self._sid))\n",
        "",
        "tests/workflow/test_paths.py::test_undelivered_is_escalated",
    ),
    Guard(
        "escalates: a late delivery closes the case",
        "workflows/notification.py",
        "            await self._listen_on()\n",
        "",
        "tests/workflow/test_paths.py::test_a_late_delivery_closes_the_case",
    ),
    Guard(
        "escalates: without an acknowledgement the ladder is climbed",
        "workflows/notification.py",
        "        await self._start_over(request.following(workflow.now(), self._leg + 1))\n",
        "        return\n",
        "tests/workflow/test_incidents.py::test_it_climbs_while_nobody_acknowledges_and_tells_operators_in_the_end",
    ),
    Guard(
        "escalates: an acknowledgement stops the ladder",
        "workflows/notification.py",
        "if not steps or self._called_off or self._taken_care_of:",
        "if not steps or self._called_off:",
        "tests/workflow/test_incidents.py::test_a_reply_acknowledges",
    ),
    Guard(
        "storms: what comes after the first alert is folded",
        "store/alerts.py",
        "if storm.weight > incident.weight or not await _goes_on(connection, incident, now):",
        "if True:",
        "tests/store/test_alerts.py::test_of_many_at_once_one_is_first_one_is_the_digest_and_the_rest_are_folded",
    ),
    Guard(
        "storms: a phone gets no more than its caps",
        "store/gate.py",
        "await self._limits.exceeded(connection, leg, message, now) if first else None",
        "None",
        "tests/workflow/test_incidents.py"
        "::test_one_phone_gets_no_more_alerts_than_its_caps_allow_and_the_others_climb_on",
    ),
    Guard(
        "reminders: what became of one is not taken for the next",
        "store/timeline.py",
        "(report.status is DeliveryStatus.DELIVERED and leg >= row.first_leg)",
        "report.status is DeliveryStatus.DELIVERED",
        "tests/workflow/test_reminders.py::test_a_late_callback_of_the_first_reminder_is_not_taken_for_the_second",
    ),
    Guard(
        "not at 3 a.m.: quiet hours are looked at before every send",
        "activities/deliver.py",
        "        if opening > now:\n",
        "        if False:\n",
        "tests/api/test_holding.py::test_a_text_that_was_late_into_the_night_waits_for_the_morning_too",
    ),
    Guard(
        "callers hear of every end: a status is written down with its webhook",
        "store/timeline.py",
        "if row.reports and reported.final and",
        "if False and",
        "tests/workflow/test_caller_webhooks.py::test_the_reconciliation_sends_what_nobody_sends",
    ),
    Guard(
        "where texts may go: what goes beyond a budget is not sent",
        "store/caps.py",
        "            where=counters.c.count + count <= budget,\n",
        "",
        "tests/store/test_budgets.py::test_of_many_at_once_as_many_pass_as_there_is_room_for",
    ),
    Guard(
        "where texts may go: what looks like pumping waits for an operator",
        "store/held_ranges.py",
        "            if not await self._too_many(connection, range_hash, now):\n",
        "            if True:\n",
        "tests/store/test_held_ranges.py::test_more_numbers_of_one_range_than_allowed_are_held",
    ),
    Guard(
        "not without consent: a STOP wins that comes while a text is held",
        "store/gate.py",
        "return await self.consents.why_not(connection, request.recipient.hash, request.policy.purpose, now)",
        "return None",
        "tests/workflow/test_consent.py::test_a_stop_wins_that_comes_while_a_text_is_held",
    ),
    Guard(
        "not without consent: a captured START lifts nothing",
        "store/consents.py",
        '"reference": (reference or _reference(record))[:200],',
        '"reference": f"{reference}{datetime.now(UTC)}",',
        "tests/workflow/test_consent.py::test_a_captured_start_does_not_lift_a_later_stop",
    ),
    Guard(
        "escalates: a second message for one leg is told",
        "api/twilio.py",
        "        await follow_up.second_message(recorded.event_id, recorded.leg, report.sid)\n",
        "        pass\n",
        "tests/api/test_callbacks.py::test_a_second_message_for_one_leg_is_recorded_flagged_counted_and_told_once",
    ),
    Guard(
        "access: a key does what its scopes say",
        "api/access.py",
        "        if needed not in key.scopes:\n",
        "        if False:\n",
        "tests/api/test_access.py::test_a_key_does_what_its_scopes_say_and_no_more",
    ),
    Guard(
        "access: what an operator orders is written down before it is done",
        "api/auditing.py",
        "number: int = await answered(self._audit.ordered(order))",
        "number: int = 0",
        "tests/api/test_access.py::test_what_cannot_be_written_down_is_not_done",
    ),
    Guard(
        "no personal data: numbers are masked however they are written",
        "privacy/masking.py",
        "(_ENCODED, _E164_ANYWHERE, _BARE, _GROUPED, _SHORT)",
        "(_ENCODED, _E164_ANYWHERE, _BARE)",
        "tests/privacy/test_masking.py::test_a_number_in_groups_does_not_survive",
    ),
    Guard(
        "no personal data: exceptions do not repeat what they choked on",
        "privacy/tracebacks.py",
        "if _tells_nothing_personal(error) else",
        "if True else",
        "tests/privacy/test_logs.py::test_an_exception_does_not_repeat_what_it_choked_on",
    ),
    Guard(
        "no personal data: what callers write into consent records is masked",
        "api/recipients.py",
        "source=scrub(body.source)",
        "source=body.source",
        "tests/leaks/test_nothing_leaks.py::test_nothing_personal_and_no_secret_is_in_anything_that_was_written",
    ),
    Guard(
        "no personal data: codes are logged nowhere",
        "api/verify.py",
        'log.info("code checked", **about,',
        'log.info(f"code checked {request.code.get_secret_value()}", **about,',
        "tests/leaks/test_nothing_leaks.py::test_nothing_personal_and_no_secret_is_in_anything_that_was_written",
    ),
    Guard(
        "no personal data: what docs/privacy.md calls encrypted is",
        "store/event_rows.py",
        '"sealed_request": ring.encrypt_text(request.model_dump_json())',
        '"sealed_request": request.model_dump_json()',
        "tests/leaks/test_nothing_leaks.py::test_what_the_page_says_of_each_columns_form_is_so",
    ),
    Guard(
        "no personal data: who has acknowledged is forgotten as well",
        "store/erasures.py",
        'values(ended_by=func.replace(alerts.c.ended_by, masked, "***"))',
        "values(ended_by=alerts.c.ended_by)",
        "tests/workflow/test_forgetting.py::test_who_has_acknowledged_by_reply_is_forgotten_as_well",
    ),
    Guard(
        "overload: no more are let in than are served quickly",
        "api/lane.py",
        "self._places = float(min(most, max(least, 16)))",
        "self._places = 1e9",
        "tests/stack/test_overload.py::test_what_is_accepted_past_saturation_is_accepted_quickly_and_all_of_it_is_delivered",
    ),
    Guard(
        "overload: incidents have places of their own",
        "api/admission.py",
        "incidents if event.policy.priority is Priority.URGENT else events",
        "events",
        "tests/api/test_admission.py::test_an_alert_a_login_check_and_a_batch_are_let_in_while_orders_are_refused",
    ),
    Guard(
        "overload: who floods waits behind himself",
        "api/lane.py",
        "                self._waiting[caller] = turns  # behind the others",
        "                self._waiting = {caller: turns, **self._waiting}",
        "tests/api/test_admission.py::test_callers_take_turns",
    ),
    Guard(
        "overload: a place that was given to nobody is not lost",
        "api/lane.py",
        "if not turn.cancelled() and turn.result():",
        "if False:",
        "tests/api/test_admission.py::test_a_place_that_was_given_to_somebody_who_is_gone_goes_to_the_next",
    ),
    Guard(
        "overload: who waits for Twilio holds no place",
        "api/admission.py",
        "asyncio.get_running_loop().call_later(WAITS_NO_LONGER_THAN, place.leave)",
        "pass",
        "tests/api/test_admission.py::test_who_waits_for_twilio_gives_his_place_to_others",
    ),
    Guard(
        "backlog: the account's rate holds for all workers together",
        "bootstrap.py",
        "requests_per_second = per_second",
        "requests_per_second = 3 * per_second",
        "tests/stack/test_account_rate.py::test_behind_a_backlog_an_alert_leaves_at_once_and_another_caller_in_his_turn",
    ),
    Guard(
        "backlog: an alert overtakes it",
        "workflows/outside.py",
        "priority_key=int(request.policy.priority), fairness_key",
        "priority_key=3, fairness_key",
        "tests/stack/test_account_rate.py::test_behind_a_backlog_an_alert_leaves_at_once_and_another_caller_in_his_turn",
    ),
    Guard(
        "backlog: another caller's text leaves in his turn",
        "workflows/outside.py",
        "fairness_key=request.caller",
        'fairness_key="everybody"',
        "tests/stack/test_account_rate.py::test_behind_a_backlog_an_alert_leaves_at_once_and_another_caller_in_his_turn",
    ),
    Guard(
        "forged callbacks get 403",
        "api/twilio.py",
        "if signatures is not None and not signatures.genuine(",
        "if False and not signatures.genuine(  # type: ignore[union-attr]",
        "tests/api/test_callbacks.py::test_forged_callbacks_get_403",
    ),
)


def broken(guard: Guard) -> bool:
    """Whether the named test fails without the guard."""
    with tempfile.TemporaryDirectory(prefix="guard") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=LEAVE_OUT)
        for file, line, instead in ((guard.file, guard.guard, guard.broken), *guard.also):
            text = (copy / file).read_text()
            if text.count(line) != 1:
                raise SystemExit(f"{file} does not hold this guard exactly once:\n{line}")
            (copy / file).write_text(text.replace(line, instead))
        command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "--no-header", "-p", "no:cacheprovider", guard.test]
        ended = subprocess.run(
            command, cwd=copy, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(copy)}
        )
    if ended.returncode not in (0, 1):
        raise SystemExit(f"{guard.test} could not be run:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return ended.returncode == 1


def main() -> int:
    harmless = []
    for guard in GUARDS:
        fails = broken(guard)
        print(f"{'red ' if fails else 'GREEN'} {guard.promise}  ({guard.test})", flush=True)  # noqa: T201
        if not fails:
            harmless.append(guard)
    return 1 if harmless else 0


if __name__ == "__main__":
    sys.exit(main())
