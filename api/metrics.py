"""What Prometheus reads at `/metrics`. Labels hold kinds, statuses and codes; never anything personal."""

from prometheus_client import Counter

EVENTS = Counter("heliograph_events", "Events posted", ["kind", "result"])
CALLBACKS = Counter("heliograph_callbacks", "Status callbacks from Twilio", ["status", "counted"])
FORGED = Counter("heliograph_callback_signature_failures", "Callbacks without Twilio's signature")
SECOND_SIDS = Counter("heliograph_second_messages", "Callbacks of a second message for one leg")
