"""The lab's API server answers as a real one does: the table, request by request."""

import pytest

from tests.real import clusters
from tests.real.conformance.run import Outcome, run, titles
from tests.real.conformance.server import Server
from tests.real.conftest import Clusters
from tests.real.lab import Lab


@pytest.fixture(scope="module")
def outcomes(lab: Lab, two_clusters: Clusters) -> dict[str, Outcome]:
    """Every request of the table sent to both, in its order."""
    real = two_clusters[clusters.EKS]
    context = next(name for name in lab.contexts if "eks" in name)
    return run(Server(lab.kubeconfig, context, lab.env), Server(real.kubeconfig, real.context))


def test_the_table_is_long_and_its_titles_are_unique() -> None:
    assert len(titles()) == len(set(titles())) >= 60


@pytest.mark.parametrize("title", titles())
def test_the_lab_answers_as_a_real_api_server(title: str, outcomes: dict[str, Outcome]) -> None:
    objections = outcomes[title].objections()
    assert not objections, "\n" + "\n".join(objections)
