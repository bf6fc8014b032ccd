"""Every fault of the lab, alone in a mesh of three clusters; the fast tests take one of each kind."""

import pytest

from tests.proof.figures import told
from tests.test_walk.test_faults import shows
from tests.test_walk.test_faults_of_three import SHOWN_OF_THREE, mesh_of_three

pytestmark = pytest.mark.timeout(3600)


def test_every_fault_alone_among_three() -> None:
    with told("Each fault alone is the first problem in a mesh of three, and gone when taken back") as figures:
        with mesh_of_three() as running:
            for fault, shown in SHOWN_OF_THREE.items():
                shows(running, fault, shown)
        figures += [f"{len(SHOWN_OF_THREE)} faults", "3 clusters, 2 of them on one cloud"]
