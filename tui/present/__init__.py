"""What screens show, as pure functions: from a session's snapshot to lines of (text, style token)."""
