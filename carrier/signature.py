"""Twilio's signature on its webhooks (https://www.twilio.com/docs/usage/webhooks/webhooks-security)."""

from collections.abc import Sequence

from starlette.datastructures import FormData
from twilio.request_validator import RequestValidator


class Signatures:
    """Checks against every token that may sign: during a rotation the secondary one as well."""

    def __init__(self, auth_tokens: Sequence[str], base_url: str, account_sid: str | None = None) -> None:
        """`account_sid` is the account whose callbacks alone are taken; all of Twilio's name one."""
        self._validators = [RequestValidator(token) for token in auth_tokens]
        self._base_url = base_url
        self._account_sid = account_sid

    def genuine(self, raw_path: bytes, raw_query: bytes, form: FormData, signature: str | None) -> bool:
        """Whether Twilio signed this form POST.

        The URL is `PUBLIC_BASE_URL` with path and query byte for byte as they came; what a proxy has made of scheme
        and host does not matter. `form` holds all parameters, blank and unknown ones too.
        """
        if not signature:
            return False
        query = f"?{raw_query.decode('latin-1')}" if raw_query else ""
        url = self._base_url + raw_path.decode("latin-1") + query
        if self._account_sid is not None and _ends_elsewhere(url, form, self._account_sid):
            return False
        # The library raises on input it does not expect (IndexError, TypeError, ValueError): not genuine then.
        try:
            return any(validator.validate(url, form, signature) for validator in self._validators)
        except Exception:
            return False


def _ends_elsewhere(url: str, form: FormData, account_sid: str) -> bool:
    """Whether the URL may not end where Twilio's did.

    Names and values are signed in a row, the URL before them: `…eventId=1` with `2AccountSid`, or with a blank `2`, is
    signed like `…eventId=12` with `AccountSid`. Of all that Twilio sends `AccountSid` comes first in that row. So it is
    the first here, or it was swallowed by what stands before it, and shows there.
    """
    names = sorted(set(form))
    if "AccountSid" in names:
        return names[0] != "AccountSid" or form.getlist("AccountSid") != [account_sid]
    row = "".join(name + str(value) for name in names for value in sorted(set(map(str, form.getlist(name)))))
    return f"AccountSid{account_sid}" in url + row
