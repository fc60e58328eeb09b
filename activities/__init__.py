"""Each touch of the outside world."""
