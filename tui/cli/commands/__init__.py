"""One module per command: ``run`` on an event loop, or ``now`` where it answers at once."""
