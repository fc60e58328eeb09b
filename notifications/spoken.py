"""What calls say, and in whose voice."""

from notifications.texts import Texts

# Languages of <Say> by those of our texts (Twilio, "Text-to-speech").
_VOICES = {"en": "en-US", "es": "es-ES", "de": "de-DE", "ja": "ja-JP"}

PRESS_1 = Texts(
    {
        "en": " Press 1 to acknowledge.",
        "es": " Pulse 1 para confirmar.",
        "de": " Zum Quittieren drücken Sie die 1.",
        "ja": " 確認は1を押してください。",
    }
)
ACKNOWLEDGED = Texts(
    {
        "en": "Thank you. It is yours now.",
        "es": "Gracias. Queda a su cargo.",
        "de": "Danke. Sie haben übernommen.",
        "ja": "確認しました。ありがとうございます。",
    }
)
NOT_ACKNOWLEDGED = Texts(
    {
        "en": "It was not acknowledged.",
        "es": "No se ha confirmado.",
        "de": "Es wurde nicht quittiert.",
        "ja": "確認されていません。",
    }
)


def voice_of(locale: str | None) -> str:
    """The language tag that <Say> gets."""
    return _VOICES[PRESS_1.language(locale)]
