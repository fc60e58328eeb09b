"""What operators see of it from outside: metrics and traces. Nothing personal is in either."""
