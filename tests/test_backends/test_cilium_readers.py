"""What is read of Cilium's objects: settings by version, owners, releases without keys, peers, certificates."""

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from backends.cilium.owner import owner_of
from backends.cilium.peers import read_peers
from backends.cilium.release import ReleaseMetadata, ReleaseSecret, decode, without_keys
from backends.cilium.settings import BadSetting, read_settings
from backends.cilium.trust import (
    BundleObject,
    CertificateData,
    CertificateSecret,
    CronJobObject,
    CronSpec,
    CronStatus,
    JobObject,
    JobStatus,
    Renewal,
    read_certificates,
    renewal_of,
)
from backends.cilium.workloads import Manager, Metadata, OwnerReference, agents_of, numbers, version_of
from mesh.facts import Reason
from mesh.model.cilium import PeerEntry
from mesh.model.kubernetes import OwnerKind, Workload
from mesh.reading import NotRead
from tests.test_backends.servers.api import Authority

ADDON = "addonmanager.kubernetes.io/mode"
TRACKING = "argocd.argoproj.io/tracking-id"
NOT_A_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def test_defaults_of_an_empty_config() -> None:
    found = read_settings({}, ())
    assert (found.cluster_name, found.cluster_id, found.max_connected_clusters) == ("default", 0, 255)
    assert not found.max_connected_explicit
    assert (found.routing_mode, found.tunnel_protocol, found.tunnel_port) == ("tunnel", "vxlan", 8472)
    assert (found.kube_proxy_replacement, found.ipv4, found.ipv6, found.mtu) == (False, True, False, 0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"tunnel": "disabled"}, ("native", "vxlan", 8472)),
        ({"tunnel": "geneve"}, ("tunnel", "geneve", 6081)),
        ({"tunnel-protocol": "geneve"}, ("tunnel", "geneve", 6081)),
        ({"tunnel-port": "8473"}, ("tunnel", "vxlan", 8473)),
        ({"routing-mode": "native", "tunnel-protocol": "vxlan"}, ("native", "vxlan", 8472)),
        ({"tunnel-port": "0"}, ("tunnel", "vxlan", 8472)),
    ],
)
def test_tunnels_old_and_new(data: dict[str, str], expected: tuple[str, str, int]) -> None:
    found = read_settings(data, (1, 15))
    assert (found.routing_mode, found.tunnel_protocol, found.tunnel_port) == expected


@pytest.mark.parametrize(
    ("value", "on"), [("true", True), ("strict", True), ("partial", False), ("disabled", False), ("false", False)]
)
def test_kube_proxy_replacement_in_all_its_words(value: str, on: bool) -> None:
    assert read_settings({"kube-proxy-replacement": value}, (1, 15)).kube_proxy_replacement is on


@pytest.mark.parametrize(
    ("version", "expected"), [((1, 15), None), ((1, 17, 4), None), ((1, 18, 0), False), ((1, 19, 5), True), ((), None)]
)
def test_what_policies_mean_without_a_cluster_changed_in_1_19(version: tuple[int, ...], expected: bool | None) -> None:
    assert read_settings({}, version).policy_default_local_cluster is expected
    explicit = {"policy-default-local-cluster": "false"}
    assert read_settings(explicit, version).policy_default_local_cluster is False


def test_pools_belong_to_the_mode_that_uses_them() -> None:
    data = {"cluster-pool-ipv4-cidr": "10.1.0.0/16 10.2.0.0/16", "ipam": "cluster-pool"}
    assert read_settings(data, ()).pod_cidrs == ("10.1.0.0/16", "10.2.0.0/16")
    assert read_settings({**data, "ipam": "eni"}, ()).pod_cidrs == ()
    both = {**data, "enable-ipv6": "true", "cluster-pool-ipv6-cidr": "fd00::/104"}
    assert read_settings(both, ()).pod_cidrs == ("10.1.0.0/16", "10.2.0.0/16", "fd00::/104")


@pytest.mark.parametrize("value", ["one", "-1", "1.5", "１", "9" * 12, "0x1"])
def test_a_number_that_is_none_is_named(value: str) -> None:
    with pytest.raises(BadSetting, match="cluster-id"):
        read_settings({"cluster-id": value}, ())


@pytest.mark.parametrize(
    ("image", "labels", "version"),
    [
        ("quay.io/cilium/cilium:v1.19.5@sha256:" + 64 * "a", {}, "1.19.5"),
        ("localhost:5000/cilium:1.20.0-pre.3", {}, "1.20.0-pre.3"),
        ("quay.io/cilium/cilium:v1.15.1-cee.1", {}, "1.15.1-cee.1"),
        ("quay.io/cilium/cilium@sha256:" + 64 * "a", {"helm.sh/chart": "cilium-1.18.3"}, "1.18.3"),
        ("quay.io/cilium/cilium@sha256:" + 64 * "a", {"app.kubernetes.io/version": "v1.18.3"}, "1.18.3"),
        ("quay.io/cilium/cilium:latest", {}, ""),
        ("quay.io/cilium/cilium-ci:" + 40 * "b", {"helm.sh/chart": "cilium"}, ""),
    ],
)
def test_the_version_of_an_image(image: str, labels: dict[str, str], version: str) -> None:
    agents = Workload("DaemonSet", "kube-system", "cilium", images=("x:1.2.3", image), labels=labels)
    assert version_of(Workload(**{**_fields(agents), "containers": ("other", "cilium-agent")})) == version


def _fields(item: Workload) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__struct_fields__}


def test_agents_are_found_under_other_names_too() -> None:
    anetd = Workload("DaemonSet", "kube-system", "anetd", containers=("cilium-agent",))
    envoy = Workload("DaemonSet", "kube-system", "cilium-envoy", containers=("cilium-envoy",))
    assert agents_of([envoy, anetd]) is anetd
    assert agents_of([envoy]) is None
    assert numbers("v1.20.0-pre.3") == (1, 20, 0)
    assert numbers("main") == ()


@pytest.mark.parametrize(
    ("item", "kind", "name"),
    [
        (Metadata(labels={"kubernetes.azure.com/managedby": "aks"}), OwnerKind.MANAGED, "AKS"),
        (Metadata(labels={ADDON: "Reconcile"}), OwnerKind.MANAGED, "the cloud's add-on manager"),
        (Metadata(managers=[Manager("eks")]), OwnerKind.MANAGED, "EKS add-on"),
        (Metadata(annotations={TRACKING: "net:apps/DaemonSet:kube-system/cilium"}), OwnerKind.ARGO, "net"),
        (Metadata(labels={"argocd.argoproj.io/instance": "net"}), OwnerKind.ARGO, "net"),
        (Metadata(labels={"helm.toolkit.fluxcd.io/name": "cilium"}), OwnerKind.FLUX, "cilium"),
        (Metadata(labels={"kustomize.toolkit.fluxcd.io/name": "infra"}), OwnerKind.FLUX, "infra"),
        (Metadata(owners=[OwnerReference("CiliumConfig", "cilium")]), OwnerKind.OPERATOR, "cilium"),
        (Metadata(labels={"olm.owner": "cilium.v1"}), OwnerKind.OPERATOR, "cilium.v1"),
        (Metadata(annotations={"meta.helm.sh/release-name": "net"}), OwnerKind.HELM, "net"),
        (Metadata(labels={"app.kubernetes.io/managed-by": "Helm"}), OwnerKind.HELM, ""),
        (Metadata(labels={"k8s-app": "cilium"}), OwnerKind.UNOWNED, ""),
    ],
)  # fmt: skip
def test_owners(item: Metadata, kind: OwnerKind, name: str) -> None:
    found = owner_of([Metadata(), item])
    assert (found.kind, found.name) == (kind, name)
    assert bool(found.evidence) is (kind is not OwnerKind.UNOWNED)


def test_a_manager_goes_before_what_it_uses() -> None:
    helm = {"meta.helm.sh/release-name": "cilium"}
    by_argo = Metadata(annotations={**helm, "argocd.argoproj.io/tracking-id": "net:x"})
    by_aks = Metadata(labels={"kubernetes.azure.com/managedby": "aks"}, annotations=helm)
    assert owner_of([Metadata(annotations=helm), by_argo]).kind is OwnerKind.ARGO
    assert owner_of([by_argo, by_aks]).kind is OwnerKind.MANAGED


def secret(data: bytes, *, zipped: bool = True) -> ReleaseSecret:
    packed = gzip.compress(data) if zipped else data
    return ReleaseSecret(ReleaseMetadata("sh.helm.release.v1.cilium.v3"), {"release": b64(b64(packed))})


def test_releases_are_decoded_with_and_without_gzip() -> None:
    text = json.dumps({"name": "cilium", "version": 3, "chart": {"metadata": {"version": "1.19.5"}}}).encode()
    for zipped in (True, False):
        assert decode(secret(text, zipped=zipped)).chart.metadata.version == "1.19.5"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (secret(b"not json"), Reason.INVALID),
        (secret(b'{"version": "three"}'), Reason.INVALID),
        (ReleaseSecret(ReleaseMetadata("x"), {"release": "%%%"}), Reason.INVALID),
        (ReleaseSecret(ReleaseMetadata("x"), {"release": b64(b64(b"\x1f\x8bnope"))}), Reason.INVALID),
        (ReleaseSecret(ReleaseMetadata("x"), None), Reason.INVALID),
        (secret(b" " * 40_000_000), Reason.TRUNCATED),
    ],
)
def test_releases_that_cannot_be_read(broken: ReleaseSecret, reason: Reason) -> None:
    with pytest.raises(NotRead) as caught:
        decode(broken)
    assert caught.value.unknown.reason is reason


def test_no_key_stays_in_values() -> None:
    pem = "-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----"
    values = {
        "tls": {"ca": {"cert": b64(pem), "key": b64(pem)}, "caBundle": {"content": pem}},
        "cluster": {"name": "a", "id": 1},
        "clustermesh": {
            "config": {"clusters": [{"name": "b", "tls": {"key": "abc", "cert": ""}, "ips": ["10.0.0.1"]}]}
        },
        "hubble": {"tls": {"auto": {"method": "helm"}}},
        "extraEnv": [{"name": "API_TOKEN", "value": "hush"}, {"name": "MODE", "value": "fast"}],
        "password": 12345,
        "encryption": {"ipsec": {"keyFile": "keys", "secretName": "cilium-ipsec-keys"}, "enabled": False},
        "some": {"jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig", "aws": "AKIAABCDEFGHIJKLMNOP"},
    }
    found: Any = without_keys(values)
    text = json.dumps(found)
    assert "PRIVATE" not in text
    for secret_text in (b64(pem), "hush", "12345", "AKIAABCDEFGHIJKLMNOP", "eyJhbGci", '"abc"'):
        assert secret_text not in text
    assert found["cluster"] == {"name": "a", "id": 1}
    assert found["hubble"]["tls"]["auto"]["method"] == "helm"
    assert found["clustermesh"]["config"]["clusters"][0]["ips"] == ["10.0.0.1"]
    assert found["extraEnv"][1]["value"] == "fast"
    assert found["encryption"]["ipsec"]["secretName"] == "cilium-ipsec-keys"
    assert found["tls"]["ca"]["key"] == f"<redacted:{len(b64(pem))}>"


def entry(host: str, *, tls: str = "common-", aliases: str = "") -> str:
    return b64(
        f"endpoints:\n- https://{host}:2379\n"
        f"trusted-ca-file: /var/lib/cilium/clustermesh/{tls}etcd-client-ca.crt\n{aliases}"
    )


def test_a_key_is_a_peer_if_it_holds_endpoints() -> None:
    aliases = "cilium-host-aliases:\n- hostname: d.mesh.cilium.io\n  ips: \n    - 10.0.0.9\n    - fd00::9\n"
    data = {
        "b": entry("b.mesh.cilium.io"),
        "c": entry("10.7.7.7", tls="c."),
        "d": entry("d.mesh.cilium.io", aliases=aliases),
        "e": entry("gone.mesh.cilium.io"),
        "self": entry("self.mesh.cilium.io"),
        "c.etcd-client.key": b64("endpoints: would be a key"),
        "c.etcd-client.crt": b64("-----BEGIN CERTIFICATE-----"),
        "junk": "%%%",
        "f": b64("endpoints: ['https://f.example.com:2379']"),
    }
    hosts = {"b.mesh.cilium.io": ("10.0.0.1", "10.0.0.2")}
    assert read_peers(data, "self", hosts) == (
        PeerEntry("b", ("https://b.mesh.cilium.io:2379",), ("10.0.0.1", "10.0.0.2")),
        PeerEntry("c", ("https://10.7.7.7:2379",), ("10.7.7.7",), embedded_certificate=True),
        PeerEntry("d", ("https://d.mesh.cilium.io:2379",), ("10.0.0.9", "fd00::9")),
        PeerEntry("e", ("https://gone.mesh.cilium.io:2379",)),
        PeerEntry("f", ("https://f.example.com:2379",)),
    )
    assert read_peers({}, "self", hosts) == ()


def leaf_secret(name: str, pair: tuple[bytes, bytes], ca: bytes) -> CertificateSecret:
    return CertificateSecret(Metadata(name), CertificateData(b64(ca), b64(pair[0])))


def test_who_signed_a_leaf_is_proven_by_its_signature() -> None:
    ca, other = Authority("Cilium CA"), Authority("Cilium CA")
    secrets = {
        "cilium-ca": CertificateSecret(Metadata("cilium-ca"), CertificateData(b64(ca.pem), "")),
        "clustermesh-apiserver-server-cert": leaf_secret("x", ca.leaf("server", "*.mesh.cilium.io"), ca.pem),
        "clustermesh-apiserver-remote-cert": leaf_secret("x", other.leaf("remote"), ca.pem),
    }
    found = read_certificates(secrets, None, Renewal())
    assert found.ca is not None
    own = found.ca.spki_sha256
    server, remote = found.leaves
    assert (server.signed_by, server.ca_spki) == ((own,), (own,))
    # The same name and a CA in ca.crt that did not sign it: names prove nothing.
    assert (remote.signed_by, remote.ca_spki) == ((), (own,))
    both = BundleObject(Metadata(), {"ca.crt": (ca.pem + other.pem).decode()})
    bundled = read_certificates(secrets, both, Renewal())
    assert len(bundled.trusted) == 2
    assert bundled.has_bundle
    assert len(bundled.leaves[1].signed_by) == 1
    assert bundled.leaves[1].signed_by != (own,)


@pytest.mark.parametrize(
    "text", ["", "<removed>", "%%%", b64("hello"), b64("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----")]
)
def test_a_secret_that_holds_no_certificate_is_a_problem_not_a_crash(text: str) -> None:
    secrets = {
        "cilium-ca": CertificateSecret(Metadata("cilium-ca"), CertificateData(text, "")),
        "clustermesh-apiserver-server-cert": CertificateSecret(Metadata("s"), CertificateData("", text)),
    }
    found = read_certificates(secrets, BundleObject(Metadata(), {"ca.crt": text}), Renewal())
    assert found.problems == ("cilium-ca", "cilium-root-ca.crt", "clustermesh-apiserver-server-cert")
    assert (found.ca, found.leaves, found.trusted) == (None, (), ())


def job(name: str, began: int, **state: int) -> JobObject:
    started = datetime.fromtimestamp(began, UTC)
    done = started if state.get("succeeded") else None
    return JobObject(Metadata(name), JobStatus(**state, started=started, completed=done))


def test_the_last_renewal_counts() -> None:
    name = "clustermesh-apiserver-generate-certs"
    cron = CronJobObject(Metadata(name), CronSpec("0 0 1 */4 *"), CronStatus(datetime.fromtimestamp(100, UTC)))
    good, bad = job(f"{name}-1", 200, succeeded=1), job(f"{name}-2", 300, failed=1)
    assert renewal_of(cron, [good, bad]) == Renewal("0 0 1 */4 *", 200.0, failed=True, exists=True)
    assert renewal_of(cron, [good]) == Renewal("0 0 1 */4 *", 200.0, failed=False, exists=True)
    assert renewal_of(None, [job("other", 500, failed=1)]) == Renewal()
    resting = CronJobObject(Metadata(name), CronSpec("0 0 1 */4 *", suspend=True))
    assert renewal_of(resting, []).schedule == ""
    # A Job that failed once and then made it is no failure.
    assert not renewal_of(None, [job(name, 1, failed=1, succeeded=1)]).failed


def test_how_leaves_are_issued() -> None:
    def method(renewal: Renewal, **metadata: Any) -> str:
        secret = CertificateSecret(Metadata("s", **metadata), CertificateData("", ""))
        return read_certificates({"clustermesh-apiserver-server-cert": secret}, None, renewal).method

    helm = {"app.kubernetes.io/managed-by": "Helm"}
    assert method(Renewal(), labels=helm) == "helm"
    assert method(Renewal(exists=True), labels=helm) == "helm"
    assert method(Renewal(), annotations={"cert-manager.io/certificate-name": "x"}) == "certmanager"
    assert method(Renewal(exists=True)) == "cronJob"
    assert method(Renewal()) == ""
