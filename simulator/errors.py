"""Twilio's error bodies."""

from typing import Any

MORE_INFO = "https://www.twilio.com/docs/errors/{}"

_MESSAGES = {
    20003: "Authenticate",
    20008: "Resource not accessible with Test Account Credentials",
    20009: "Cannot delete this resource before it is complete",
    20422: "A parameter is invalid.",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    20503: "Service unavailable",
    21201: "No 'To' number is specified",
    21205: "Url is not valid: the simulator carries out the Twiml that a call is created with.",
    21208: "Timeout is not a positive whole number.",
    21209: "Method is neither GET nor POST.",
    21210: "The source phone number provided, {from_}, is not yet verified for your account. You may only make calls "
    "from phone numbers that you've verified or purchased from Twilio.",
    21211: "The 'To' number {to} is not a valid phone number.",
    21212: "The 'From' number {from_} is not a valid phone number, shortcode, or alphanumeric sender ID.",
    21213: "A 'From' number is required.",
    21214: "The phone number you are attempting to call, {to}, can not be reached.",
    21215: "Account not authorized to call {to}. Perhaps you need to enable some international permissions.",
    21216: "Account not allowed to call {to}",
    21217: "The phone number you are attempting to call, {to}, is not valid.",
    21220: "Call is not in-progress. Cannot redirect.",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The From phone number {from_} is not a valid, SMS-capable inbound phone number or short code "
    "for your account.",
    21609: "The 'StatusCallback' URL is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "SMS queue is full.",
    21612: "Message cannot be sent with the current combination of 'To' ({to}) and/or 'From' ({from_}) parameters",
    21614: "To number: {to}, is not a mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit.",
    21624: "The ValidityPeriod value is invalid.",
    21626: "A StatusCallbackEvent is invalid.",
    21701: "The Messaging Service does not exist.",
    21711: "The 'From' number {from_} is not in the Messaging Service's sender pool.",
    60200: "Invalid parameter",
    60202: "Max check attempts reached",
    60203: "Max send attempts reached",
    60205: "SMS is not supported by landline phone number",
    60212: "Too many concurrent requests for phone number",
    60410: "The destination phone number has been temporarily blocked by Twilio due to fraudulent activities",
    60605: "The destination phone number is blocked by Verify Geo-Permissions",
    30400: "The message cannot be updated that way.",
    32018: "Twiml size exceeded maximum allowed value of 4000 characters",
    35111: "SendAt is missing.",
    35114: "SendAt is out of the allowed window.",
}
_STATUS = {20003: 401, 20008: 403, 20009: 409, 20422: 422, 20429: 429, 20500: 500, 20503: 503, 21611: 429, 21701: 404,
           60202: 429, 60203: 429, 60205: 403, 60212: 429, 60410: 403, 60605: 403}  # fmt: skip


class TwilioError(Exception):
    """Answered as Twilio answers it."""

    def __init__(
        self, code: int, *, status: int | None = None, to: str = "", from_: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(code)
        self.status = status or _STATUS.get(code, 400)
        self.retry_after = retry_after
        self.body: dict[str, Any] = {
            "code": code,
            "message": _MESSAGES.get(code, "The request failed.").format(to=to, from_=from_),
            "more_info": MORE_INFO.format(code),
            "status": self.status,
        }
        if code == 20003:
            self.body["detail"] = "Your AccountSid or AuthToken was incorrect."


class NotFound(TwilioError):
    """404, with the path in its message."""

    def __init__(self, path: str) -> None:
        super().__init__(20404, status=404)
        self.body["message"] = f"The requested resource {path} was not found"
