"""What operators read in Temporal's UI of one notification, in Markdown."""

from notifications.notification import Recipient
from notifications.status import DeliveryStatus


def details(
    event_id: str,
    status: DeliveryStatus,
    says: str,
    recipient: Recipient,
    sid: str | None,
    error_code: int | None,
    *,
    escalated: bool,
) -> str:
    """Where it stands, in words."""
    lines = [f"**{status.value}** – {says}", "", f"- to {recipient.masked}"]
    if sid is not None:
        lines.append(f"- {'Call' if sid.startswith('CA') else 'Message'} SID `{sid}`")
    if error_code is not None:
        lines.append(f"- Twilio error [{error_code}](https://www.twilio.com/docs/api/errors/{error_code})")
    if escalated:
        lines.append("- escalated to operators")
    lines.append(f"- all of it: `heliograph trace {event_id}`")
    return "\n".join(lines)
