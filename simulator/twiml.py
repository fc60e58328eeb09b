"""TwiML, Twilio's markup of what a call or an answer to a text is to do: the verbs that are simulated."""

from dataclasses import dataclass
from xml.etree import ElementTree

XML_TYPES = frozenset({"text/xml", "application/xml", "text/html"})
"""The types in which Twilio takes TwiML."""


class NotTwiml(Exception):
    """No document that Twilio would carry out; its argument is Twilio's warning."""


@dataclass(frozen=True)
class Say:
    text: str


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Gather:
    """Waits for keys; a key that is pressed cuts the prompts short."""

    prompts: "tuple[Say | Pause | Unknown, ...]"
    action: str | None
    method: str
    most: int | None
    """`numDigits`: so many keys are waited for."""
    finish: str
    """The key that ends the input and is not part of it; may be none."""
    timeout: float
    """Seconds from the last prompt or key."""
    on_empty: bool
    """Whether the action is asked though no key was pressed."""


@dataclass(frozen=True)
class Hangup:
    pass


@dataclass(frozen=True)
class Unknown:
    """A verb that is passed over."""

    warning: str


Verb = Say | Pause | Gather | Hangup | Unknown


def verbs(document: str) -> list[Verb]:
    """The verbs of a call's document. Raises NotTwiml."""
    return [verb for element in _response(document) for verb in _verbs(element)]


def replies(document: str) -> list[str]:
    """The texts of the `<Message>`s that answer an incoming text. Raises NotTwiml."""
    found = _response(document).iter("Message")
    return [_words(message if (body := message.find("Body")) is None else body) for message in found]


def _response(document: str) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(document.strip())
    except ElementTree.ParseError:
        raise NotTwiml("12100 Document parse failure") from None
    if root.tag != "Response":
        raise NotTwiml("12102 Invalid document: the root element is no <Response>")
    return root


def _verbs(element: ElementTree.Element) -> list[Verb]:
    if element.tag == "Gather":
        return [_gather(element)]
    if element.tag == "Hangup":
        return [Hangup()]
    return list(_prompts(element))


def _prompts(element: ElementTree.Element) -> "list[Say | Pause | Unknown]":
    if element.tag == "Say":
        loop = int(_number(element, "loop", 1))
        return [Say(_words(element))] * min(loop or 1000, 1000)
    if element.tag == "Pause":
        return [Pause(_number(element, "length", 1))]
    return [Unknown(f"<{element.tag}> is not simulated")]


def _gather(element: ElementTree.Element) -> Gather:
    most = int(_number(element, "numDigits", 0))
    return Gather(
        prompts=tuple(prompt for child in element for prompt in _prompts(child)),
        action=element.get("action"),
        method="GET" if element.get("method", "").upper() == "GET" else "POST",
        most=most or None,
        finish=element.get("finishOnKey", "#"),
        timeout=_number(element, "timeout", 5),
        on_empty=element.get("actionOnEmptyResult", "false").lower() == "true",
    )


def _words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _number(element: ElementTree.Element, name: str, default: float) -> float:
    text = element.get(name, "")
    return float(text) if text.isascii() and text.isdigit() else default
