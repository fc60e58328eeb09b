"""Finding out what became of a leg whose answer was lost."""

from collections.abc import Mapping

from temporalio import activity

from carrier.create import Carrier
from carrier.errors import OutcomeUnknown, Refused
from notifications.notification import CarrierReport, Inquiry, Leg, Receipt
from notifications.plan import Channel
from store.consents import Consents
from store.ledger import Claim, Ledger, LegState
from store.timeline import Entry, Timeline
from store.vault import Erased, Vault
from workflows import names


class LookUp:
    """Asks the ledger first, then Twilio: by SID where it is known, else by what was sent to whom."""

    def __init__(
        self, ledger: Ledger, timeline: Timeline, vault: Vault, consents: Consents, carriers: Mapping[Channel, Carrier]
    ) -> None:
        self._ledger = ledger
        self._vault = vault
        self._consents = consents
        self._timeline = timeline
        self._carriers = carriers

    @activity.defn(name=names.ASK_CARRIER)
    async def ask_carrier(self, leg: Leg) -> Inquiry:
        """What ledger and Twilio together know of a leg whose send has ended. Raises CarrierError when Twilio cannot be
        asked."""
        row = await self._ledger.look(leg)
        if row is not None and row.state is LegState.CLAIMED and row.sid is None:
            # The worker died, or the database was away when it wanted to write down how the send ended.
            entry = Entry("unknown", detail="the send never said how it ended")
            await self._ledger.not_sent(leg, LegState.UNKNOWN, entry)
        inquiry = await self.ask(leg)
        if inquiry.report is not None:
            await self.note(leg, inquiry.report)
        elif inquiry.posted:
            nothing = Entry("asked", detail="Twilio knows nothing of it (yet)")
            await self._timeline.note(leg.request.event_id, nothing)
        return inquiry

    async def ask(self, leg: Leg) -> Inquiry:
        """The same, without a word in the timeline."""
        row = await self._ledger.look(leg)
        if row is None or row.state in (LegState.RELEASED, LegState.REFUSED):
            return Inquiry(posted=False)
        try:
            report = await self._ask_by_sid(leg, row.sid) if row.sid else await self._find(leg, row)
        except _Ambiguous:
            report = None
        return Inquiry(posted=True, report=report)

    async def note(self, leg: Leg, report: CarrierReport) -> None:
        """Writes down what Twilio has answered."""
        await self._timeline.note(
            leg.request.event_id,
            Entry("asked", sid=report.sid, carrier_status=report.carrier_status, error_code=report.error_code),
            status=report.status,
            error_code=report.error_code,
        )
        await self._consents.learn(leg.request.event_id, leg.number, report.error_code, sender=None, sid=report.sid)

    async def settle(self, leg: Leg, row: Claim) -> Receipt | None:
        """The receipt of a leg in doubt, if Twilio has the message after all.

        Raises CarrierError: Twilio cannot be asked, or cannot be understood; then nobody knows.
        """
        report = await self._find(leg, row)
        return None if report is None else Receipt(sid=report.sid, carrier_status=report.carrier_status)

    async def _ask_by_sid(self, leg: Leg, sid: str) -> CarrierReport | None:
        try:
            report = await self._carriers[leg.request.channel].fetch(sid)
        except Refused:
            return None
        return report and report.model_copy(update={"leg": leg.number})

    async def _find(self, leg: Leg, row: Claim) -> CarrierReport | None:
        request = leg.request
        try:
            message = await self._vault.message(leg)
        except Erased:
            return None  # nobody can tell any more what was said to whom; a callback may
        for report in await self._carriers[request.channel].find(message, since=row.claimed_at):
            if await self._timeline.event_of(report.sid) not in (None, request.event_id):
                continue  # another event's text to the same person, word for word
            if await self._ledger.rivals(leg):
                raise _Ambiguous("It may be another event's text to the same person; a callback will tell.")
            entry = Entry("found", sid=report.sid, carrier_status=report.carrier_status)
            if await self._ledger.accepted(leg, report.sid, report.carrier_status, entry):
                return report.model_copy(update={"leg": leg.number})
        return None


class _Ambiguous(OutcomeUnknown):
    """A message was found that may be this leg's, or that of another event in doubt."""
