"""Keeps what settings say for as long as they say, and forgets whom it was asked to forget."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from carrier.calls import Calls
from carrier.errors import CarrierError, Refused
from carrier.messages import Messages
from notifications.notification import Purged
from notifications.per_name import PerName
from notifications.policy import LISTENS_FOR
from notifications.status import OPEN_ENDED, DeliveryStatus
from store import purge
from store.erasures import Erasure, Erasures, Trace
from store.timeline import Entry, Timeline
from workflows import names
from workflows.dispatch import Dispatch

ENOUGH = timedelta(minutes=4)  # it stops before its activity times out; the next one goes on
FORGETS_FOR = timedelta(minutes=2)  # of these; what is kept too long has its turn as well
UNDER_WAY = 20009  # Twilio: "cannot delete this resource before it is complete"

log = structlog.stdlib.get_logger("heliograph.purge")


class Purge:
    """Every step may be repeated."""

    def __init__(
        self,
        tables: purge.Purge,
        erasures: Erasures,
        timeline: Timeline,
        dispatch: Dispatch,
        messages: Messages,
        calls: Calls,
        *,
        bodies: PerName,
        numbers: PerName,
        stories: PerName,
        redact_after: timedelta | None,
    ) -> None:
        """`redact_after` is when Twilio's copy loses its body; None for never."""
        self._tables = tables
        self._erasures = erasures
        self._timeline = timeline
        self._dispatch = dispatch
        self._messages = messages
        self._calls = calls
        self._bodies = bodies
        self._numbers = numbers
        self._stories = stories
        self._redact_after = redact_after

    @activity.defn(name=names.PURGE)
    async def purge(self) -> Purged:
        """One sweep. Raises SQLAlchemyError, RPCError; the next one goes on."""
        now = datetime.now(UTC)
        await self._erasures.again()
        forgotten = await self._forget_all(now)
        bodies = await self._drop_bodies(now)
        numbers = await self._repeat(now, lambda: self._tables.numbers(self._numbers, now))
        stories = await self._repeat(now, lambda: self._tables.stories(self._stories, now))
        keys = await self._tables.cards(self._numbers, now)
        await self._tables.counters(now)
        redacted = await self._redact(now)
        purged = Purged(
            forgotten=forgotten,
            bodies=bodies,
            numbers=numbers,
            stories=stories,
            keys=keys,
            redacted=redacted,
        )
        log.info("purged", **purged.model_dump())
        return purged

    async def _repeat(self, began: datetime, step: Callable[[], Awaitable[int]]) -> int:
        done = 0
        while datetime.now(UTC) - began < ENOUGH and (count := await step()):
            done += count
            activity.heartbeat(done)
            if count < purge.AT_ONCE:
                break
        return done

    async def _drop_bodies(self, began: datetime) -> int:
        """Histories have the body too, unless Temporal's retention was first: they go before what names them does."""
        done, under_way = 0, list[str]()
        while datetime.now(UTC) - began < ENOUGH and len(under_way) < purge.AT_ONCE:
            due = await self._tables.with_bodies(self._bodies, datetime.now(UTC), but=under_way)
            forgotten = [event_id for event_id in due if await self._beating(self._dispatch.forget(event_id))]
            await self._tables.drop_bodies(forgotten)
            under_way += set(due).difference(forgotten)
            done += len(forgotten)
            if len(due) < purge.AT_ONCE:
                break
        return done

    async def _beating(self, step: Awaitable[bool]) -> bool:
        activity.heartbeat()
        return await step

    async def _redact(self, now: datetime) -> int:
        if self._redact_after is None:
            return 0
        done, refused = 0, list[str]()
        try:
            while due := await self._tables.to_redact(now - self._redact_after, but=refused):
                for sid in due:
                    if datetime.now(UTC) - now > ENOUGH or len(refused) == purge.AT_ONCE:
                        return done
                    if await self._redacted(sid, now):
                        done += 1
                    else:
                        refused.append(sid)
                    activity.heartbeat(done)
        except CarrierError as failure:  # each further one may take its time-out
            _say(failure)
        return done

    async def _redacted(self, sid: str, now: datetime) -> bool:
        """False where Twilio refuses this one, which says nothing of others. Raises CarrierError."""
        try:
            await self._messages.redact(sid)
        except Refused as refused:
            _say(refused)
            return False
        await self._tables.redacted(sid, now)
        return True

    async def _forget_all(self, began: datetime) -> int:
        """How many recipients nothing is left of. Twilio's first failure ends it, since each may take its time-out."""
        done = 0
        try:
            for erasure in await self._erasures.unfinished():
                done += await self._forget(erasure, until=began + FORGETS_FOR)
        except CarrierError as failure:
            _say(failure)
        return done

    async def _forget(self, erasure: Erasure, until: datetime) -> bool:
        """Whether nothing is left of him. Raises CarrierError."""
        complete = True
        for trace in await self._erasures.traces(erasure):
            if datetime.now(UTC) > until:
                return False
            complete &= await self._wipe(trace, erasure.recipient_hash)
            activity.heartbeat()
        if complete:
            await self._erasures.finish(erasure)
        return complete

    async def _wipe(self, trace: Trace, recipient_hash: str) -> bool:
        if trace.status is DeliveryStatus.HELD:
            await self._cancel(trace.event_id)
        # A send that is under way ends by itself, without his key. Once nobody listens, what has no end has ended.
        may_be_last = trace.status.final or trace.status in OPEN_ENDED
        if not may_be_last or not await self._dispatch.forget(trace.event_id):
            return False
        for sid in trace.sids:
            if not await self._delete_at_twilio(sid, trace.updated_at):
                return False
        await self._erasures.wipe(trace.event_id, recipient_hash)
        return True

    async def _delete_at_twilio(self, sid: str, last_news: datetime) -> bool:
        """Raises CarrierError other than Refused."""
        is_call = sid.startswith("CA")
        try:
            await (self._calls.delete(sid) if is_call else self._messages.delete(sid))
        except Refused as refused:
            _say(refused)
            if refused.code != UNDER_WAY or datetime.now(UTC) - last_news < LISTENS_FOR:
                return False
            # It may be under way for ever, where no carrier reports its end. What it says goes at least.
            return is_call or await self._twilio_took(self._messages.redact(sid))
        return True

    async def _cancel(self, event_id: str) -> None:
        try:
            outcome = await self._dispatch.cancel(event_id)
        except WorkflowUpdateFailedError:
            return
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return
        entry = Entry("canceled", detail="the recipient was forgotten")
        await self._timeline.note(event_id, entry, status=outcome.status)

    async def _twilio_took(self, call: Awaitable[None]) -> bool:
        try:
            await call
        except CarrierError as failure:
            _say(failure)
            return False
        return True


def _say(failure: CarrierError) -> None:
    log.warning("Twilio did not do it", error_code=failure.code, http_status=failure.http_status)
