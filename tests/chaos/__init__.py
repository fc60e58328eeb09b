"""The fault campaign: the real stack under a seeded storm, and an auditor who compares three independent records."""
