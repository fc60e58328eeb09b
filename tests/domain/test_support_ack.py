"""Nothing that somebody wrote into a support request can get into the text."""

import pytest
from pydantic import ValidationError

from notifications.kinds.support_ack import SupportAck

GOOD = {
    "eventId": "support:T-20417", "phone": "+15558675310", "ticketId": "T-20417", "consentAt": "2026-10-01T09:00:00Z",
}  # fmt: skip


def test_its_text_holds_the_ticket_and_nothing_else_of_the_callers() -> None:
    ack = SupportAck.model_validate(GOOD | {"operatorNote": "asks about his diagnosis"})
    assert ack.text() == "We have received your request T-20417 and will get back to you."
    assert SupportAck.model_validate(GOOD | {"locale": "de"}).text().startswith("Wir haben Ihre Anfrage T-20417")


@pytest.mark.parametrize("field", ["subject", "text", "message", "body", "note", "summary"])
def test_there_is_no_field_for_free_text(field: str) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        SupportAck.model_validate(GOOD | {field: "my bank account"})


@pytest.mark.parametrize("ticket", ["", "two words", "T 1", "x" * 33, "línea", "a\nb", "-1"])
def test_a_ticket_number_is_no_place_for_prose(ticket: str) -> None:
    with pytest.raises(ValidationError, match="ticketId"):
        SupportAck.model_validate(GOOD | {"ticketId": ticket})
