"""The one page of the codec server: where an operator logs in."""

import base64
import hashlib
from html import escape

from api.codec.operators import Session

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem; color: #1b1b1f }
input, button { font: inherit; padding: .5rem .75rem; border: 1px solid #8a8a94; border-radius: .4rem }
input { width: 100%; box-sizing: border-box } button { margin-top: .75rem; cursor: pointer }
.wrong { color: #b3261e } small { color: #5c5c66 }
"""
# Nothing from elsewhere, no script, in nobody's frame, and the key goes to nobody but us.
SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def login(session: Session | None, ui: str, endpoint: str, wrong: str = "") -> str:
    """The whole page: the form, or who is logged in."""
    return _page(_inside(session, ui, endpoint) if session else _form(wrong))


def _form(wrong: str) -> str:
    says = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    return f"""
<p>Log in to read numbers and texts in Temporal's UI, in this browser, for eight hours. What you read is logged.</p>
{says}
<form method="post" action="login">
<label for="key">Operator key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
</form>"""


def _inside(session: Session, ui: str, endpoint: str) -> str:
    return f"""
<p>Logged in as <b>{escape(session.operator)}</b> until {session.until:%H:%M} UTC.
<a href="{escape(ui)}">Temporal's UI</a> shows clear text now; reload what is open there.</p>
<p><small>Still encrypted? Then the UI does not send the log-in along. Once per browser: the glasses at its
top right, “Use my browser setting”, endpoint <code>{escape(endpoint)}</code>, “Include cross-origin credentials”,
Apply. Or the UI was opened under another address than <code>{escape(ui)}</code>.</small></p>
<form method="post" action="logout"><button>Log out</button></form>"""


def _page(content: str) -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Heliograph: clear text for operators</title><style>{STYLE}</style></head>
<body><h1>Clear text for operators</h1>{content}</body></html>"""
