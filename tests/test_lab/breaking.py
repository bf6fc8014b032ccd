"""Breaks that need more than a rule on the wire."""

import base64
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from backends.lab.charts.trust.certificates import Pair, issue, new_authority
from backends.lab.storage.resources import PODS, SECRETS
from tests.test_lab.meadow import Meadow


def lab_date(one: Meadow) -> datetime:
    return datetime.fromtimestamp(one.world.clock.now(), UTC)


def secret(one: Meadow, cluster: str, name: str) -> dict[str, bytes]:
    found = one.cluster(cluster).objects.need(SECRETS, "kube-system", name)
    return {key: base64.b64decode(value) for key, value in found["data"].items()}


def write(one: Meadow, cluster: str, name: str, data: dict[str, bytes]) -> None:
    body: dict[str, Any] = {"data": {key: base64.b64encode(value).decode() for key, value in data.items()}}
    one.cluster(cluster).objects.patch(SECRETS, "kube-system", name, body)


def restart(one: Meadow, cluster: str, app: str) -> None:
    for pod in one.pods(cluster, "k8s-app", app):
        one.cluster(cluster).objects.delete(PODS, "kube-system", pod["metadata"]["name"])


def trust_another_ca(one: Meadow, cluster: str) -> None:
    """The cluster's agents, made anew, trust a CA that signed nothing of the peer's."""
    other = new_authority("c1-ca", 30, lab_date(one), "ec")
    data = secret(one, cluster, "clustermesh-apiserver-remote-cert")
    write(one, cluster, "clustermesh-apiserver-remote-cert", {**data, "ca.crt": other.certificate})
    one.settle(100)
    restart(one, cluster, "cilium")


def reissue(one: Meadow, cluster: str, name: str, common_name: str, days: int, starts: float = 0.0) -> None:
    """Replace a leaf by one of the same CA that starts ``starts`` lab seconds from now and lasts ``days``."""
    authority = secret(one, cluster, "cilium-ca")
    pair = Pair(authority["ca.crt"], authority["ca.key"])
    when = datetime.fromtimestamp(one.world.clock.now() + starts, UTC)
    old = x509.load_pem_x509_certificate(secret(one, cluster, name)["tls.crt"])
    try:
        names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    except x509.ExtensionNotFound:
        hosts = []
    leaf = issue(pair, common_name, days, when, hosts=hosts, keys="ec")
    write(one, cluster, name, {"ca.crt": pair.certificate, "tls.crt": leaf.certificate, "tls.key": leaf.key})
