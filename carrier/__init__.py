"""The only code that speaks Twilio."""
