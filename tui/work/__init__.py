"""What the app does: wishes of the screens become jobs of the engine, answers become snapshots."""
