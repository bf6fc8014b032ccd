"""Mesh: the words beside and behind the picture."""
