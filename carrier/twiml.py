"""What Twilio is told to do with a call or a message that came in (TwiML)."""

from twilio.twiml.messaging_response import MessagingResponse
from twilio.twiml.voice_response import Gather, VoiceResponse


def asks_for_key(text: str, *, language: str, action: str, timeout: int) -> str:
    """Speaks the text twice, takes one key, also while it speaks, and hangs up."""
    response = VoiceResponse()
    gather = Gather(num_digits=1, action=action, method="POST", timeout=timeout)
    for _ in range(2):
        gather.say(text, language=language)
    response.append(gather)
    response.hangup()
    return str(response)


def says_and_hangs_up(text: str, *, language: str) -> str:
    response = VoiceResponse()
    response.say(text, language=language)
    response.hangup()
    return str(response)


def replies(text: str | None) -> str:
    """A message back to the sender, or none."""
    response = MessagingResponse()
    if text is not None:
        response.message(text)
    return str(response)
