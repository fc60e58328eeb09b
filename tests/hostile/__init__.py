"""What attackers send: whatever comes, it is refused, quickly, and nothing comes of it (docs/security.md)."""
