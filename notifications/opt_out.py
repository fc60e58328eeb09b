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
    r"|stop (?:texting|messaging|contacting|spamming|bothering)"
    r"|stop sending (?:me|us)"
    r"|stop sending(?: (?:any|all|more|these|those|the|your|this|it|them|texts|messages|sms|spam|please))*$"
    r"|stop (?:all|these|those|the)(?: (?:of )?(?:these|those|them|the|your|texts|messages|sms))*(?: (?:please|now))?$"
    r"|no more (?:texts|messages|sms|of these)(?= (?:please|pls|thanks|thank|ever|to me|for me|from you|now)\b|$)"
    r"|(?:do not|dont|don t|never) (?:text|message|contact|sms) (?:me|us|this)"
    r"|(?:do not|dont|don t|never) (?:ever )?send (?:me |us )?(?:any |more )*(?:texts|messages|sms|of these)"
    r"|(?:remove|delete) (?:me|(?:my|this) number)(?: (?:from (?:your|the|this) (?:\w+ )?(?:list|lists|database|system"
    r"|contacts|records)|please|now)|$)"
    r"|take (?:me|(?:my|this) number) off"
    r"|wrong (?:number|person) (?:please )?stop|lose my number|leave me alone"
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
_NOT = re.compile(
    r"\b(?:do not|dont|don t|never) (?:ever |please |(?:want|wish|mean|like) to )?(?:stop|quit|end|unsubscribe|opt)\b"
)
_LAST_WORDS = frozenset({"stop", "stopp", "unsubscribe", "optout", "stopall"})
_CLAUSE_ENDS = re.compile(r"[.!?;:,\n\r。！？、]+|\s[-–—]+\s")


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
    clauses = [words for clause in _CLAUSE_ENDS.split(plain) if (words := re.sub(r"[\W_]+", " ", clause).split())]
    texts = [" ".join(words) for words in clauses]
    if any(_CLEAR.search(text) and not _NOT.search(text) for text in texts):
        return True
    if not clauses or any(_NOT.search(text) for text in texts):
        return False
    whole = [word for words in clauses for word in words]
    return _only(whole, _ASKS) or _only(clauses[-1], _LAST_WORDS)


def _only(words: list[str], asks: frozenset[str]) -> bool:
    """Whether there is nothing but words that ask to stop, and polite ones."""
    return any(word in asks for word in words) and all(word in asks | _POLITE for word in words)
