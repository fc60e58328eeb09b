"""The soak: the fault campaign's stack under a steady load for long, and a judge who looks for what grows."""
