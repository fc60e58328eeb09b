"""What keeps personal data where it belongs: masking, the log filter, encryption."""
