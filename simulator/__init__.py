"""A Twilio that runs here: REST, signed callbacks, phones on a web page, and faults on demand.

It imports nothing of Heliograph, so that the two prove each other.
"""
