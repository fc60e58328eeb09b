"""Every search attribute, in one place; `bootstrap` registers them. They are not encrypted: no personal data."""

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from notifications.notification import NotificationRequest
from notifications.status import DeliveryStatus

KIND = SearchAttributeKey.for_keyword("NotificationKind")
STATUS = SearchAttributeKey.for_keyword("DeliveryStatus")
MESSAGE_SID = SearchAttributeKey.for_keyword("MessageSid")
COUNTRY = SearchAttributeKey.for_keyword("Country")
CALLER = SearchAttributeKey.for_keyword("Caller")
RECIPIENT_HASH = SearchAttributeKey.for_keyword("RecipientHash")
ERROR_CODE = SearchAttributeKey.for_int("TwilioErrorCode")
ESCALATED = SearchAttributeKey.for_bool("Escalated")
DUPLICATE_SEND = SearchAttributeKey.for_bool("DuplicateSend")
ACKNOWLEDGED = SearchAttributeKey.for_bool("Acknowledged")

ALL = (KIND, STATUS, MESSAGE_SID, COUNTRY, CALLER, RECIPIENT_HASH, ERROR_CODE, ESCALATED, DUPLICATE_SEND, ACKNOWLEDGED)


def at_start(request: NotificationRequest) -> TypedSearchAttributes:
    asked = [SearchAttributePair(ACKNOWLEDGED, False)] if request.acknowledge_within is not None else []
    return TypedSearchAttributes(
        [
            *asked,
            SearchAttributePair(KIND, request.kind),
            SearchAttributePair(STATUS, DeliveryStatus.PENDING.value),
            SearchAttributePair(COUNTRY, request.recipient.country),
            SearchAttributePair(CALLER, request.caller),
            SearchAttributePair(RECIPIENT_HASH, request.recipient.hash),
            SearchAttributePair(ESCALATED, request.escalated),
        ]
    )
