"""HTTP: what callers, operators and Twilio ask of us. One router per audience."""
