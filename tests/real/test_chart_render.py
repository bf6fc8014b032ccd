"""The lab's rendering of the Cilium chart is held against the real chart, rendered by the real helm."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from backends.lab.charts import ChartError, ChartVersion, default_values, render
from backends.lab.charts.strvals import assign
from tests.real.chart_fields import Object, differences, fields

VALUES = sorted((Path(__file__).parents[1] / "data" / "values").glob("*.yaml"))
KUBERNETES = "v1.34.4"


@pytest.fixture(scope="module")
def chart_of(chart: Path) -> Path:
    """The chart's folder, from ``MESHWRIGHT_CHARTS`` where that names one."""
    given = os.environ.get("MESHWRIGHT_CHARTS")
    return Path(given) / chart.name if given else chart


def real(helm: Path, chart: Path, home: Path, *arguments: str) -> tuple[list[Object], str]:
    """What ``helm template`` renders, or the error it prints (without its hint about ``--debug``)."""
    command = [str(helm), "template", "cilium", str(chart), "-n", "kube-system", *arguments]
    env = {"HOME": str(home), "PATH": os.defpath}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)
    if done.returncode:
        error = done.stderr[done.stderr.index("Error: ") + len("Error: ") :]
        return [], error.split("\n\nUse --debug")[0].rstrip("\n")
    return [item for item in yaml.safe_load_all(done.stdout) if item], ""


def ours(version: str, values: Object, kubernetes: str = KUBERNETES) -> tuple[list[Object], str]:
    """What the lab renders, or the error it raises."""
    now = datetime.now(UTC)
    try:
        found = render(version, values, lookup=lambda *_: None, now=now, kube_version=kubernetes, keys="ec")
    except ChartError as error:
        return [], str(error).rstrip("\n")
    return found, ""


@pytest.mark.parametrize("file", VALUES, ids=lambda path: path.stem)
def test_values_render_as_by_the_real_chart(helm: Path, chart_of: Path, file: Path, tmp_path: Path) -> None:
    values = yaml.safe_load(file.read_text())
    expected, refusal = real(helm, chart_of, tmp_path, "--kube-version", KUBERNETES, "-f", str(file))
    found, error = ours(chart_of.name, values)
    assert error == refusal
    assert differences(fields(found), fields(expected)) == []


@pytest.mark.parametrize("kubernetes", ["v1.26.15", "v1.30.2"])
def test_older_kubernetes_changes_the_same_fields(helm: Path, chart_of: Path, kubernetes: str, tmp_path: Path) -> None:
    file = next(path for path in VALUES if path.stem == "eks-1.15")
    expected, _ = real(helm, chart_of, tmp_path, "--kube-version", kubernetes, "-f", str(file))
    found, _ = ours(chart_of.name, yaml.safe_load(file.read_text()), kubernetes)
    assert found
    assert differences(fields(found), fields(expected)) == []


REFUSED = {
    "name-with-capitals": "cluster.name=My_Cluster",
    "name-too-long": "cluster.name=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "default-name": "cluster.id=3",
    "too-many-clusters": "clustermesh.maxConnectedClusters=100",
    "kvstore-identities": "clustermesh.useAPIServer=true,identityAllocationMode=kvstore,"
    "clustermesh.apiserver.kvstoremesh.enabled=false",
    "no-endpoint-resources": "clustermesh.useAPIServer=true,disableEndpointCRD=true",
    "high-id-with-eni": "cluster.id=130,cluster.name=c,eni.enabled=true,ipam.mode=eni",
    "eni-mode-without-eni": "ipam.mode=eni",
    "removed-tunnel": "tunnel=vxlan",
    "removed-mesh-ca": "clustermesh.apiserver.tls.ca.cert=x",
    "removed-encryption-key": "encryption.keyFile=x",
    "kube-proxy-mode": "kubeProxyReplacement=maybe",
    "aks-native": "aksbyocni.enabled=true,routingMode=native",
    "gke-tunnel": "gke.enabled=true,routingMode=tunnel",
    "native-without-range": "routingMode=native,enableIPv4Masquerade=true,ipMasqAgent.enabled=false",
    "auth-mode": "clustermesh.useAPIServer=true,clustermesh.apiserver.tls.authMode=foo",
    "peer-without-address": "clustermesh.config.enabled=true,clustermesh.config.clusters[0].name=x",
    "cached-peer-without-address": "clustermesh.useAPIServer=true,clustermesh.config.enabled=true,"
    "clustermesh.config.clusters[0].name=x",
    "node-taints": "operator.setNodeTaints=true,operator.removeNodeTaints=false",
    "relay-without-hubble": "hubble.relay.enabled=true,hubble.enabled=false",
    "issuer-missing": "clustermesh.useAPIServer=true,clustermesh.apiserver.tls.auto.method=certmanager",
    "two-api-servers": "k8sServiceHostRef.name=a,k8sServiceHostRef.key=b,k8sServiceHost=c",
    "external-store": "clustermesh.useAPIServer=true,clustermesh.apiserver.kvstoremesh.kvstoreMode=external",
    "wrong-types": "MTU=abc,cluster.id=foo",
    "wrong-type-of-port": "k8sServicePort=true",
    "wrong-choice": "clustermesh.apiserver.service.externalTrafficPolicy=Foo",
    "nullable-type": "bpf.masquerade=no",
    "peers-as-text": "clustermesh.config.clusters=foo",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_chart_refuses_is_refused_in_its_words(helm: Path, chart_of: Path, case: str, tmp_path: Path) -> None:
    line = REFUSED[case]
    values: Object = {}
    assign(line, values)
    expected, refusal = real(helm, chart_of, tmp_path, "--kube-version", KUBERNETES, "--set", line)
    found, error = ours(chart_of.name, values)
    if refusal.startswith("template: "):
        assert error, "the chart fails in a template of its own, ours accepts the values"
    else:
        # Several wrong types are listed in no fixed order.
        assert sorted(error.splitlines()) == sorted(refusal.splitlines())
        assert differences(fields(found), fields(expected)) == []


def test_default_values_are_the_charts(chart_of: Path) -> None:
    actual = yaml.safe_load((chart_of / "values.yaml").read_text())
    assert list(_wrong_defaults(default_values(ChartVersion.parse(chart_of.name)), actual)) == []


def _wrong_defaults(ours_: Object, actual: Object, above: str = "") -> Iterator[str]:
    for key, value in ours_.items():
        if key not in actual:
            yield f"{above}{key}: not a value of the chart"
        elif isinstance(value, dict) and isinstance(actual[key], dict):
            yield from _wrong_defaults(value, actual[key], f"{above}{key}.")
        elif value != actual[key]:
            yield f"{above}{key}: ours {value!r}, real {actual[key]!r}"


def test_an_older_kubernetes_than_the_chart_wants_is_refused(helm: Path, chart_of: Path, tmp_path: Path) -> None:
    _, refusal = real(helm, chart_of, tmp_path, "--kube-version", "v1.14.3")
    _, error = ours(chart_of.name, {}, "v1.14.3")
    assert error == refusal
