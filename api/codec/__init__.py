"""The codec server: what Temporal's UI asks for clear text, on behalf of an operator who has logged in."""
