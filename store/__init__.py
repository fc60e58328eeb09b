"""The SQL side: the send ledger that lets a leg be posted once, and the timeline that tells its story."""
