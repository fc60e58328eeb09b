"""What is personal in a notification: the number, and what is said."""

from typing import NewType

Confidential = NewType("Confidential", str)
"""Clear only in the API process that takes the event in, and in the activity that hands it to Twilio. Everywhere else,
in Temporal and in SQL, sealed under a key of the recipient's own, which is destroyed when he is forgotten; workflows
pass it on and never see what is in it."""
