"""Whether somebody who writes back wants no more texts.

The keywords are Twilio's ("Advanced Opt-Out": default keywords), which acts on them by itself when they are the whole
message. A sentence such as "please stop" it passes on, though it must be honoured as well (47 CFR 64.1200(a)(10): any
reasonable means), so that is for us to see.
"""

import re
import unicodedata
from enum import StrEnum

STOP_WORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
START_WORDS = frozenset({"start", "yes", "unstop"})
HELP_WORDS = frozenset({"help", "info"})


class Wish(StrEnum):
    """What a reply asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"


# Nothing else is meant by these, wherever they stand in a message.
_CLEAR = re.compile(
    r"\b(?:unsubscribe|opt(?: me)? out"
    r"|stop (?:texting|messaging|sending|contacting|spamming|bothering|these|the (?:texts|messages|sms)|all)"
    r"|(?:no|any) more (?:texts|messages|sms|of these)"
    r"|(?:do not|dont|don t|never) (?:text|message|contact|sms) (?:me|us|this)"
    r"|(?:remove|take|delete) (?:me|my number|this number)"
    r"|lose my number|leave me alone"
    r"|no mas (?:mensajes|sms|textos)|dejen? de (?:enviar\w*|mandar\w*|escribir\w*)|dar(?:me)? de baja|baja por favor"
    r"|keine (?:sms|nachrichten|texte) mehr|nicht mehr (?:schreiben|anschreiben|kontaktieren|simsen)"
    r"|abmelden|abbestellen"
    r"|hor(?:en sie|t|) auf)\b"
    r"|配信停止|配信を?(?:止|停止)|送らないで|送信しないで|やめて(?:ください|下さい)?|停止してください"
)
# Or the message has no other words than these, and one that asks to stop.
_ASKS = frozenset(
    {"stop", "stopp", "quit", "end", "cancel", "basta", "pare", "alto", "unsubscribe", "optout", "stopall"}
)
_POLITE = frozenset(
    {"please", "pls", "plz", "now", "it", "this", "that", "them", "all", "already", "just", "ok", "hey", "hi", "hello"}
    | {"sir", "thanks", "thank", "you", "kindly", "again", "at", "once", "por", "favor", "ya", "gracias", "bitte"}
    | {"jetzt", "danke", "sofort", "texts", "text", "texting", "messages", "message", "messaging", "sms", "spam", "me"}
)
_NOT = re.compile(r"\b(?:do not|dont|don t|never) (?:\w+ )?(?:stop|quit|end|unsubscribe|opt)\b")


def wish_of(body: str, opt_out_type: str | None = None) -> tuple[Wish | None, bool]:
    """What is asked for, and whether Twilio has seen it too and answers by itself.

    `opt_out_type` is the parameter OptOutType, which comes with Advanced Opt-Out only and knows custom keywords.
    """
    if opt_out_type and opt_out_type.lower() in (wish.value for wish in Wish):
        return Wish(opt_out_type.lower()), True
    word = body.strip().lower()
    for wish, words in ((Wish.STOP, STOP_WORDS), (Wish.START, START_WORDS), (Wish.HELP, HELP_WORDS)):
        if word in words:
            return wish, True
    return (Wish.STOP, False) if _asks_to_stop(body) else (None, False)


def _asks_to_stop(body: str) -> bool:
    plain = "".join(char for char in unicodedata.normalize("NFKD", body.lower()) if not unicodedata.combining(char))
    if re.search(r"[ぁ-ヿ一-鿿]", body):
        plain = unicodedata.normalize("NFKC", body)
    words = re.sub(r"[\W_]+", " ", plain).split()
    text = " ".join(words)
    if _NOT.search(text):
        return False
    if _CLEAR.search(text):
        return True
    return any(word in _ASKS for word in words) and all(word in _ASKS | _POLITE for word in words)
