"""Programs that can be run in containers by exec."""
