"""How other clusters reach a cluster's mesh API, and whether two clusters may be connected."""

import base64
import binascii
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from backends.lab.commands.cilium.client import Client, Fatal, listed
from backends.lab.commands.kube.kinds import NODE, SERVICE
from backends.lab.commands.kube.port import ApiFailure, Object, Unreachable

SERVICE_NAME: Final = "clustermesh-apiserver"
REMOTE_SECRET: Final = "clustermesh-apiserver-remote-cert"
CA_SECRET: Final = "cilium-ca"
_OLDER_NAMES: Final = {
    REMOTE_SECRET: "clustermesh-apiserver-client-cert",
    "clustermesh-apiserver-client-cert": "clustermesh-apiserver-client-certs",
}
Say = Callable[[str], None]


@dataclass(slots=True)
class Access:
    """``access_information`` of ``clustermesh status`` (cilium-clustermesh §3.4); ``authority`` is PEM."""

    cluster_id: str = ""
    cluster_name: str = ""
    service_type: str = ""
    service_ips: list[str] = field(default_factory=list)
    service_port: int = 0
    authority: bytes = b""
    tunnel: str = ""
    max_connected_clusters: int = 255

    @property
    def named(self) -> bool:
        """Whether name and id are others than the defaults."""
        return self.cluster_name not in ("", "default") and self.cluster_id not in ("", "0")

    def json(self) -> dict[str, Any]:
        """Without empty fields."""
        found = {
            "service_type": self.service_type,
            "service_ips": self.service_ips,
            "service_port": self.service_port,
            "cluster_id": self.cluster_id,
            "cluster_name": self.cluster_name,
            "ca": base64.b64encode(self.authority).decode(),
            "tunnel": self.tunnel,
            "max_connected_clusters": self.max_connected_clusters,
        }
        return {key: value for key, value in found.items() if value}


def access(client: Client, endpoints: Sequence[str], say: Say, *, verbose: bool) -> Access:
    """Read a cluster's access information; raises ``Fatal``."""
    settings = client.settings()
    if "cluster-name" not in settings:
        raise Fatal('cluster-name is not set in ConfigMap "cilium-config"')
    found = Access(settings.get("cluster-id", ""), settings["cluster-name"], tunnel=_tunnel(settings))
    limit = settings.get("max-connected-clusters", "255")
    if not limit.isdigit():
        problem = f'strconv.Atoi: parsing "{limit}": invalid syntax'
        raise Fatal(f"unable to parse max-connected-clusters: {problem}")
    found.max_connected_clusters = int(limit)
    if verbose:
        say(f"✨ Extracting access information of cluster {found.cluster_name}...")
    try:
        service = client.get(SERVICE, SERVICE_NAME)
    except (ApiFailure, Unreachable) as error:
        raise Fatal(f'unable to get clustermesh service "{SERVICE_NAME}": {error}') from error
    if verbose:
        say(f"🔑 Extracting secrets from cluster {found.cluster_name}...")
    found.authority = _authority(client, _remote_secret(client, say))
    found.service_type = str(service["spec"].get("type") or "ClusterIP")
    _addresses(client, service, endpoints, found, say)
    if not found.service_ips:
        raise Fatal("unable to derive service IPs automatically")
    if verbose:
        say(f"ℹ️  Found ClusterMesh service IPs: {listed(found.service_ips)}")
    return found


def check_pair(local: Access, remote: Access) -> None:
    """Raise ``Fatal`` where names, ids or limits of two clusters exclude each other (R01)."""
    if not remote.named:
        raise Fatal(f"remote cluster has non-unique name ({remote.cluster_name}) and/or ID ({remote.cluster_id})")
    if not local.named:
        raise Fatal(
            f"local cluster has the default name (cluster name: {local.cluster_name}) and/or ID 0 "
            f"(cluster ID: {local.cluster_id})"
        )
    if not remote.cluster_id.isdigit():
        raise Fatal(
            f"remote cluster has non-numeric cluster ID {remote.cluster_id}. Only numeric values 1-255 are allowed"
        )
    if not 1 <= int(remote.cluster_id) <= local.max_connected_clusters:
        raise Fatal(
            f"remote cluster has cluster ID {int(remote.cluster_id)} out of acceptable range "
            f"(1-{local.max_connected_clusters})"
        )
    if remote.max_connected_clusters != local.max_connected_clusters:
        raise Fatal(
            "remote and local clusters have different max connected clusters: "
            f"{remote.max_connected_clusters} != {local.max_connected_clusters}"
        )
    if remote.cluster_name == local.cluster_name:
        raise Fatal(f"remote and local cluster have the same, non-unique name: {local.cluster_name}")
    if remote.cluster_id == local.cluster_id:
        raise Fatal(f"remote and local cluster have the same, non-unique ID: {local.cluster_id}")


def same_authority(local: Access, remote: Access) -> bool:
    """Whether both CAs carry the same subject key identifier; raises ``Fatal`` where one cannot be read."""
    return _key_identifier(local, "local") == _key_identifier(remote, "remote")


def _key_identifier(cluster: Access, side: str) -> bytes:
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(cluster.authority)
    except ValueError as error:
        raise Fatal(f"failed to parse certificate PEM for {side} CA cert") from error
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return b""


def _tunnel(settings: dict[str, str]) -> str:
    return settings.get("tunnel-protocol", "vxlan") if settings.get("routing-mode") == "tunnel" else ""


def _remote_secret(client: Client, say: Say) -> dict[str, str]:
    name = REMOTE_SECRET
    while True:
        try:
            found = client.secret(name)
        except (ApiFailure, Unreachable):
            older = _OLDER_NAMES.get(name)
            if older is None:
                raise Fatal(
                    "unable to get client secret to access clustermesh service: unable to get secret "
                    f'"{name}" and no deprecated names to try'
                ) from None
            say(f"Trying to get secret {name} by deprecated name {older}")
            name = older
            continue
        if name != REMOTE_SECRET:
            say(f'⚠️ Deprecated secret name "{name}", should be changed to "{REMOTE_SECRET}"')
        return found


def _authority(client: Client, remote: dict[str, str]) -> bytes:
    try:
        data = client.secret(CA_SECRET)
    except (ApiFailure, Unreachable) as error:
        problem, encoded = f'get secret "{CA_SECRET}" to retrieve CA: {error}', None
    else:
        problem = f'secret "{CA_SECRET}" does not contain the CA certificate'
        encoded = data.get("ca.crt", data.get("tls.crt"))
    encoded = remote.get("ca.crt") if encoded is None else encoded
    if encoded is None:
        raise Fatal(f"unable to retrieve the CA certificate: {problem}")
    try:
        return base64.b64decode(encoded)
    except binascii.Error:
        return b""


def _addresses(client: Client, service: Object, endpoints: Sequence[str], found: Access, say: Say) -> None:
    ports = service["spec"].get("ports") or []
    if endpoints:
        _given(endpoints, found)
        return
    if not ports:
        raise Fatal("port of service could not be derived, service has no ports")
    if found.service_type == "NodePort":
        found.service_port = int(ports[0].get("nodePort") or 0)
        if not found.service_port:
            raise Fatal("nodeport is not set in service")
        found.service_ips = _first_node(client)
        say("⚠️  Service type NodePort detected! Service may fail when nodes are removed from the cluster!")
        return
    found.service_port = int(ports[0].get("port") or 0)
    if found.service_type == "ClusterIP":
        address = str(service["spec"].get("clusterIP") or "")
        if not address:
            raise Fatal("IP of service could not be derived, service has no ClusterIP")
        found.service_ips = [address]
    else:
        for entry in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []:
            found.service_ips += _behind(entry, say)


def _given(endpoints: Sequence[str], found: Access) -> None:
    for endpoint in endpoints:
        address, colon, port = endpoint.rpartition(":")
        if not colon:
            problem = f"address {endpoint}: missing port in address"
            raise Fatal(f'invalid endpoint "{endpoint}", must be IP:PORT: {problem}')
        if not port.isdigit():
            raise Fatal(f'invalid port "{port}": strconv.Atoi: parsing "{port}": invalid syntax')
        if found.service_port not in (0, int(port)):
            raise Fatal(
                f"port mismatch ({found.service_port} != {int(port)}), all endpoints must use the same port number"
            )
        found.service_port = int(port)
        found.service_ips.append(address.strip("[]"))


def _first_node(client: Client) -> list[str]:
    """One node's address: another one's would need another port in the same entry."""
    try:
        nodes = client.port.list(NODE, None)
    except (ApiFailure, Unreachable) as error:
        raise Fatal(f"unable to list nodes in cluster: {error}") from error
    for node in nodes:
        chosen = ""
        for address in (node.get("status") or {}).get("addresses") or []:
            if address.get("type") == "ExternalIP" or (address.get("type") == "InternalIP" and not chosen):
                chosen = str(address.get("address", ""))
        if chosen:
            return [chosen]
    return []


def _behind(entry: Object, say: Say) -> list[str]:
    hostname = str(entry.get("hostname") or "")
    if not hostname:
        return [str(entry.get("ip") or "")]
    say("Hostname based ingress detected, trying to resolve it")
    addresses = resolve(hostname)
    if not addresses:
        problem = f"lookup {hostname}: no such host"
        say(f"Could not resolve the hostname of the ingress, falling back to the static IP. Error: {problem}")
        # The program's own defect: without an address it goes on with an empty one.
        return [str(entry.get("ip") or "")]
    say("Hostname resolved, using the found ip(s)")
    return addresses


def resolve(hostname: str) -> list[str]:
    """Addresses of a name in the lab's DNS, which its control answers for; none where there is no lab."""
    url, file = os.environ.get("MESHWRIGHT_LAB_CONTROL", ""), os.environ.get("MESHWRIGHT_LAB_TOKEN_FILE", "")
    if not url or not file:
        return []
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        headers = {"Authorization": f"Bearer {Path(file).read_text('utf-8').strip()}"}
        connection.request("POST", "/resolve", json.dumps({"hostname": hostname}), headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        return [str(address) for address in found["addresses"]] if answer.status == 200 else []
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return []
    finally:
        connection.close()
