"""Collectors of plain Kubernetes facts; each is a row of the Facts screen (screens.md §3.2)."""
