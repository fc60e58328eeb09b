"""The domain: what is told, to whom, by which rules. Pure; no input or output."""
