"""Order of the files, and how often garbage is looked for.

Those that mostly wait for a lab come first, so that no core idles behind one at the end.
"""

import gc

import pytest

# As the program sets it (tui/__main__.py).
gc.set_threshold(100_000, 20, 50)

_FIRST = ("test_walk/", "test_screens/test_journeys.py", "test_screens/")


def _turn(item: pytest.Item) -> int:
    path = item.path.as_posix()
    return next((number for number, part in enumerate(_FIRST) if part in path), len(_FIRST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files keep their order within each turn, tests theirs within a file."""
    items.sort(key=_turn)
