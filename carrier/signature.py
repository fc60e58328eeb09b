"""Twilio's signature on its webhooks (https://www.twilio.com/docs/usage/webhooks/webhooks-security)."""

from collections.abc import Sequence

from starlette.datastructures import FormData
from twilio.request_validator import RequestValidator


class Signatures:
    """Checks against every token that may sign: during a rotation the secondary one as well."""

    def __init__(self, auth_tokens: Sequence[str], base_url: str, account_sid: str | None = None) -> None:
        """`account_sid` is the account whose callbacks alone are taken; every one of Twilio's names it."""
        self._validators = [RequestValidator(token) for token in auth_tokens]
        self._base_url = base_url
        self._account_sid = account_sid

    def genuine(self, raw_path: bytes, raw_query: bytes, form: FormData, signature: str | None) -> bool:
        """Whether Twilio signed this form POST.

        The URL is `PUBLIC_BASE_URL` with path and query byte for byte as they came; what a proxy has made of scheme
        and host does not matter. `form` holds all parameters, blank and unknown ones too.
        """
        # Names and values are signed in a row, the URL before them: `…eventId=1` and `2AccountSid` are signed like
        # `…eventId=12` and `AccountSid`. This parameter is the first of the row, so the URL ends where Twilio's did.
        if not signature or (self._account_sid is not None and form.getlist("AccountSid") != [self._account_sid]):
            return False
        query = f"?{raw_query.decode('latin-1')}" if raw_query else ""
        url = self._base_url + raw_path.decode("latin-1") + query
        # The library raises on input it does not expect (IndexError, TypeError, ValueError): not genuine then.
        try:
            return any(validator.validate(url, form, signature) for validator in self._validators)
        except Exception:
            return False
