"""The whole service on one machine, as separate processes: for a first look, for development, for tests."""
