"""The real tier: skipped with the reason where the servers are not built, failed where ``REQUIRE_REAL`` is set."""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.real import clusters
from tests.real.control_plane import ControlPlane, start, wait_for, write_kubeconfig
from tests.real.lab import Lab, lab_up
from tests.real.programs import BIN, CHARTS, SERVERS, missing


@dataclass(frozen=True)
class Clusters:
    """Running control planes, and one kubeconfig with a context for each."""

    planes: tuple[ControlPlane, ...]
    kubeconfig: Path

    def __getitem__(self, context: str) -> ControlPlane:
        return next(plane for plane in self.planes if plane.context == context)


def need(*programs: str) -> None:
    """Skip the test, or fail it under ``REQUIRE_REAL``, if a program has not been built."""
    absent = missing(*programs)
    if absent:
        message = f"not built: {', '.join(absent)}; run `make tools`"
        if os.environ.get("REQUIRE_REAL"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under ``REQUIRE_REAL`` a skip is a failure: a tier that did not run proves nothing.

    What a machine's kernel may lack (mark ``kernel``) is required by ``REQUIRE_KERNEL`` instead.
    """
    report = yield
    required = "REQUIRE_KERNEL" if item.get_closest_marker("kernel") else "REQUIRE_REAL"
    if os.environ.get(required) and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although {required} is set: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A short-lived folder with a short path: etcd and the credentials of real servers live in it."""
    path = Path(tempfile.mkdtemp(prefix="meshwright-real-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def two_clusters(folder: Path) -> Iterator[Clusters]:
    """A real EKS-like and a real AKS-like cluster, nodes Ready, nothing of Cilium in them."""
    need(*SERVERS)
    planes = (
        ControlPlane(folder / "eks", clusters.EKS, "172.20.0.0/16"),
        ControlPlane(folder / "aks", clusters.AKS, "172.21.0.0/16"),
    )
    with ExitStack() as cleanup:
        start(planes, clusters.seed, cleanup)
        for plane in planes:
            wait_for(partial(clusters.settled, plane), 60, f"running system pods in {plane.context}", every=0.2)
        kubeconfig = folder / "kubeconfig"
        write_kubeconfig(kubeconfig, planes)
        yield Clusters(planes, kubeconfig)


@pytest.fixture(scope="session")
def lab(folder: Path) -> Iterator[Lab]:
    """A lab of an EKS and an AKS cluster without Cilium, as ``meshwright lab up`` starts it."""
    with lab_up(folder / "lab", "--scenario", "fresh") as up:
        yield up


@pytest.fixture(scope="session")
def healthy_lab(folder: Path) -> Iterator[Lab]:
    """A lab of an EKS and an AKS cluster joined by Cilium: every node Ready, every pod running."""
    with lab_up(folder / "healthy-lab", "--scenario", "healthy") as up:
        yield up


@pytest.fixture(scope="session")
def kubectl() -> Path:
    """The real kubectl."""
    need("kubectl")
    return BIN / "kubectl"


@pytest.fixture(scope="session")
def helm() -> Path:
    """The real helm."""
    need("helm")
    return BIN / "helm"


@pytest.fixture(scope="session", params=["1.15.19", "1.20.2"])
def chart(request: pytest.FixtureRequest) -> Path:
    """The real Cilium chart of each pinned release in turn."""
    path = CHARTS / str(request.param)
    if not (path / "Chart.yaml").is_file():
        pytest.skip(f"the chart of Cilium {request.param} is not there; run `make tools`")
    return path
