"""Objects of a release: their manifest, what is written of them, and when they are ready."""
