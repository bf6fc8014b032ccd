"""The whole set-up in the smallest terminal, without colours; at 80×24 the fast tests walk it."""

from pathlib import Path

import pytest

from tests.test_screens.test_journeys import first_set_up

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


def test_j1_first_set_up(tmp_path: Path) -> None:
    first_set_up(tmp_path, (60, 18), NO_COLOR="1")
