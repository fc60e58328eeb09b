"""Twilio's signature on its webhooks (https://www.twilio.com/docs/usage/webhooks/webhooks-security)."""

from collections.abc import Sequence

from starlette.datastructures import FormData
from twilio.request_validator import RequestValidator


class Signatures:
    """Checks against every token that may sign: during a rotation the secondary one as well."""

    def __init__(self, auth_tokens: Sequence[str], base_url: str) -> None:
        self._validators = [RequestValidator(token) for token in auth_tokens]
        self._base_url = base_url

    def genuine(self, raw_path: bytes, raw_query: bytes, form: FormData, signature: str | None) -> bool:
        """Whether Twilio signed this form POST.

        The URL is `PUBLIC_BASE_URL` with path and query byte for byte as they came; what a proxy has made of scheme
        and host does not matter. `form` holds all parameters, blank and unknown ones too.
        """
        if not signature:
            return False
        query = f"?{raw_query.decode('latin-1')}" if raw_query else ""
        url = self._base_url + raw_path.decode("latin-1") + query
        # The library raises on input it does not expect (IndexError, TypeError, ValueError): not genuine then.
        try:
            return any(validator.validate(url, form, signature) for validator in self._validators)
        except Exception:
            return False
