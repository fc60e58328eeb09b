"""What happens, in order. Deterministic: no input or output, no clock but Temporal's."""
