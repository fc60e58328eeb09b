"""The catalogue of the errors of Twilio Verify, which sends and checks one-time codes.

A wrong code is no error: Twilio answers 2xx with the status "pending".
"""

from collections.abc import Mapping
from types import MappingProxyType

from notifications.cause import Cause, Remedy, Who
from notifications.causes import cause_of

_AT_VERIFY = (
    Cause(
        20404,
        "The verification has ended: it was approved, has expired, was tried too often, or never existed.",
        "Start a new verification. If the very first check says so, correct TWILIO_VERIFY_SERVICE_SID.",
        Who.CALLER,
        Remedy.PERMANENT,
    ),
    Cause(
        20429,
        "Too many requests at once, or a rate limit of the Verify service; Twilio did not process this one.",
        "Repeat it after some seconds, with growing pauses. If it lasts, look at the service's rate limits.",
        Who.OPERATOR,
        Remedy.RETRY,
    ),
    Cause(
        60200,
        "A parameter of the request is not valid: the number, the code or the channel.",
        "Check that the number is in full E.164 form and that the code is made of digits only.",
        Who.CALLER,
        Remedy.PERMANENT,
    ),
    Cause(
        60202,
        "The code was entered wrongly too often.",
        "Let the recipient wait until this verification has expired, then start a new one.",
        Who.RECIPIENT,
        Remedy.DELAY,
    ),
    Cause(
        60203,
        "The code was sent too often without being checked.",
        "Let the recipient enter the last code, or wait until it has expired and start a new verification.",
        Who.RECIPIENT,
        Remedy.DELAY,
    ),
    Cause(
        60204,
        "The Verify service lacks a feature that the request uses.",
        "Enable the feature for the service in Twilio's console, or ask Twilio for it.",
        Who.OPERATOR,
        Remedy.CONFIGURATION,
    ),
    Cause(
        60205,
        "The number is a landline, which gets no texts.",
        "Ask the recipient for a mobile number, or offer the code by a call.",
        Who.CALLER,
        Remedy.PERMANENT,
    ),
    Cause(
        60207,
        "The Verify service has as many rate limits defined as it can hold.",
        "Delete rate limits of the service that are not in use. No number was limited by this.",
        Who.OPERATOR,
        Remedy.CONFIGURATION,
    ),
    Cause(
        60212,
        "Too many verifications were started for this number within a short time.",
        "Repeat it after some seconds. If it recurs, check who starts them: it may be fraud.",
        Who.CALLER,
        Remedy.RETRY,
    ),
    Cause(
        60217,
        "The Verify service is not set up for codes by e-mail.",
        "Add an e-mail integration to the service in Twilio's console, or use another channel.",
        Who.OPERATOR,
        Remedy.CONFIGURATION,
    ),
    Cause(
        60220,
        "Twilio must approve the use case before codes can be sent to China.",
        "Ask Twilio's support to vet the use case.",
        Who.OPERATOR,
        Remedy.CONFIGURATION,
    ),
    Cause(
        60221,
        "The request names neither a number nor a verification.",
        "Report it to the developers of Heliograph.",
        Who.DEVELOPER,
        Remedy.PERMANENT,
    ),
    Cause(
        60223,
        "The channel is disabled in the Verify service.",
        "Enable the channel for the service in Twilio's console, or use another one.",
        Who.OPERATOR,
        Remedy.CONFIGURATION,
    ),
    Cause(
        60238,
        "Twilio blocked the verification: the account is under review, or Twilio does not serve the country.",
        "Read Twilio's page on this error, and ask Twilio's support if the block lasts longer than it says.",
        Who.OPERATOR,
        Remedy.CONFIGURATION,
    ),
    Cause(
        60410,
        "Twilio's Fraud Guard has blocked texts to numbers that begin like this one for some hours.",
        "Check who starts verifications for such numbers. Until the block ends, offer another channel.",
        Who.OPERATOR,
        Remedy.DELAY,
    ),
    Cause(
        60413,
        "Twilio's Device Intelligence took the device for a risk and blocked the verification.",
        "Check the rules of Device Intelligence in Twilio's console, and allow the device if it is known.",
        Who.OPERATOR,
        Remedy.PERMANENT,
    ),
    Cause(
        60605,
        "The account may not send codes to the recipient's country.",
        "Enable the country under Verify's own Geographic Permissions in Twilio's console, if it is meant.",
        Who.OPERATOR,
        Remedy.CONFIGURATION,
    ),
)

VERIFY_CATALOGUE: Mapping[int, Cause] = MappingProxyType({each.code: each for each in _AT_VERIFY})


def verify_cause_of(code: int) -> Cause:
    """The cause of any code that Verify answers; what it shares with messaging is said as there."""
    return VERIFY_CATALOGUE.get(code) or cause_of(code)
