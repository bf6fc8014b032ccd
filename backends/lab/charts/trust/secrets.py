"""CA and leaf certificates of method ``helm``: issued while the chart renders (cilium-clustermesh §2.2, §2.7)."""

import base64
import binascii
from typing import TYPE_CHECKING, Any

from backends.lab.charts.context import ChartError, Context, Object

if TYPE_CHECKING:
    from backends.lab.charts.trust.certificates import Pair

CA_SECRET = "cilium-ca"


def certificates(context: Context) -> list[Object]:
    """``cilium-ca``, the CA bundle, and every leaf secret that the chart itself issues or is given."""
    return [*_authority_secret(context), *_bundle(context), *_mesh_leaves(context), *_hubble_leaves(context)]


def _helm_mesh(context: Context) -> bool:
    auto = "clustermesh.apiserver.tls.auto"
    on = context.mesh_server and context.on(f"{auto}.enabled")
    return on and context.text(f"{auto}.method") == "helm"


def _helm_hubble(context: Context) -> bool:
    tls = "hubble.tls"
    on = context.on("hubble.enabled") and context.on(f"{tls}.enabled") and context.on(f"{tls}.auto.enabled")
    return on and context.text(f"{tls}.auto.method") == "helm"


def _needs_authority(context: Context) -> bool:
    wanted = context.on("agent") or context.on("hubble.relay.enabled") or context.on("hubble.ui.enabled")
    given = context.on("tls.ca.key") and context.on("tls.ca.cert")
    return _helm_mesh(context) or (wanted and _helm_hubble(context)) or given


def authority(context: Context) -> "Pair":
    """The CA of this rendering: from values, else from the cluster, else a new one (``cilium.ca.setup``)."""
    if context.authority is None:
        context.authority = _authority(context)
    found: Pair = context.authority
    return found


def _authority(context: Context) -> "Pair":
    from backends.lab.charts.trust.certificates import BadAuthority, Pair, load_authority, new_authority

    cert, key = context.text("tls.ca.cert"), context.text("tls.ca.key")
    live = None
    if not (cert and key):
        live = context.lookup("Secret", context.home, CA_SECRET)
        if live is None:
            days = int(context.get("tls.ca.certValidityDuration"))
            return new_authority("Cilium CA", days, context.now, context.keys)
        data: dict[str, str] = live.get("data") or {}
        if "ca.crt" not in data or "ca.key" not in data:
            name, column = ("$crt", 34) if "ca.crt" not in data else ("$key", 39)
            raise _unusable(context, column, f"<{name}>: invalid value; expected string", live=True)
        cert, key = data["ca.crt"], data["ca.key"]
    try:
        pair = Pair(_decoded(cert, "certificate"), _decoded(key, "private key"))
        load_authority(pair)
    except BadAuthority as error:
        reason = f"<buildCustomCert $crt $key>: error calling buildCustomCert: {error}"
        raise _unusable(context, 18 if live else 16, reason, live=live is not None) from error
    return pair


def _unusable(context: Context, column: int, reason: str, *, live: bool) -> ChartError:
    """The words of the first template that signs with the CA, which is the deepest, last by name."""
    line = (66 if context.minor < 18 else 77) + (5 if live else 0)
    steps = [("cilium.ca.setup", f"_helpers.tpl:{line}:{column}")]
    if _helm_hubble(context) and context.on("agent"):
        place = "hubble/tls-helm/server-secret.yaml:2:10"
        if context.minor == 15:
            # This version's Hubble reads the values itself and leaves the rest to the common template.
            own = ("hubble-generate-certs.helm.setup-ca", f"hubble/tls-helm/_helpers.tpl:{20 if live else 18}:16")
            steps = [own, *steps] if live else [own]
    elif _helm_mesh(context) and context.internal_store:
        place = "clustermesh-apiserver/tls-helm/server-secret.yaml:2:10"
    else:
        place = "cilium-ca-secret.yaml:7:10"
    text = f'template: cilium/templates/{place}: executing "cilium/templates/{place.partition(":")[0]}" at '
    for name, helper in steps:
        text += (
            f'<include "{name}" .>: error calling include: template: cilium/templates/{helper}: executing "{name}" at '
        )
    return ChartError(text + reason)


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        from backends.lab.charts.trust.certificates import BadAuthority

        raise BadAuthority(f"unable to decode base64 {what}") from None


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _marks(context: Context, annotations: dict[str, str]) -> tuple[dict[str, str] | None, dict[str, str]]:
    """Labels and annotations of objects that change with every rendering (marked since 1.19)."""
    if context.minor < 19:
        return None, annotations
    labels = {"cilium.io/helm-template-non-idempotent": "true"}
    return labels, {**annotations, **context.table("nonIdempotentAnnotations")}


def _secret(context: Context, name: str, data: dict[str, str], annotations: dict[str, str], kind: str = "") -> Object:
    labels, found = _marks(context, annotations)
    metadata = context.metadata(name, None, found)
    if labels:
        metadata["labels"] = {**metadata.get("labels", {}), **labels}
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
    return {**secret, "type": kind} if kind else secret


def _authority_secret(context: Context) -> list[Object]:
    if not _needs_authority(context):
        return []
    pair = authority(context)
    return [_secret(context, CA_SECRET, {"ca.crt": _encoded(pair.certificate), "ca.key": _encoded(pair.key)}, {})]


def _bundle(context: Context) -> list[Object]:
    content = context.text("tls.caBundle.content")
    if not (context.on("tls.caBundle.enabled") and content):
        return []
    secret = context.on("tls.caBundle.useSecret")
    # A block scalar keeps one final newline, whatever the value ends with.
    data = {context.text("tls.caBundle.key"): content.rstrip("\n") + "\n"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret" if secret else "ConfigMap",
            "metadata": context.metadata(context.text("tls.caBundle.name")),
            "stringData" if secret else "data": data,
        }
    ]


def server_hosts(context: Context) -> list[str]:
    """Names and addresses in the mesh server's certificate (§2.2); its common name is the first."""
    service = f"clustermesh-apiserver.{context.home}.svc"
    tls = "clustermesh.apiserver.tls"
    if context.minor >= 20:
        names = context.items(f"{tls}.auto.server.extraDnsNames") or context.items(f"{tls}.server.extraDnsNames")
        extra = context.items(f"{tls}.auto.server.extraIpAddresses")
        addresses = extra or context.items(f"{tls}.server.extraIpAddresses")
        return [service, "*.mesh.cilium.io", *names, "127.0.0.1", "::1", *addresses]
    names = context.items(f"{tls}.server.extraDnsNames")
    addresses = context.items(f"{tls}.server.extraIpAddresses")
    usual = ["clustermesh-apiserver.cilium.io", "*.mesh.cilium.io", service]
    return [*usual, *names, "127.0.0.1", "::1", *addresses]


def remote_name(context: Context) -> str:
    """Common name of the certificate that reads other clusters: ``remote``, or per cluster in mode ``cluster``."""
    own = context.text("clustermesh.apiserver.tls.authMode") == "cluster"
    return f"remote-{context.text('cluster.name')}" if own else "remote"


def mesh_leaves(context: Context) -> dict[str, tuple[str, list[str]]]:
    """Leaf secrets of the mesh server: name to (common name, hosts), as helm issues them and certgen is told to."""
    cluster = context.text("cluster.name")
    hosts = server_hosts(context)
    found: dict[str, tuple[str, list[str]]] = {
        "clustermesh-apiserver-server-cert": (hosts[0], hosts),
        "clustermesh-apiserver-admin-cert": (f"admin-{cluster}", ["localhost"] if context.minor == 15 else []),
    }
    if context.on("clustermesh.useAPIServer"):
        found["clustermesh-apiserver-remote-cert"] = (remote_name(context), [])
        if context.minor >= 16 and context.on("clustermesh.apiserver.kvstoremesh.enabled"):
            found["clustermesh-apiserver-local-cert"] = (f"local-{cluster}", [])
    if context.minor < 18 and context.on("externalWorkloads.enabled"):
        found["clustermesh-apiserver-client-cert"] = ("externalworkload", [])
    return found


def _leaf(context: Context, name: str, common_name: str, hosts: list[str], days: Any, notes: dict[str, str]) -> Object:
    from backends.lab.charts.trust.certificates import issue

    ca = authority(context)
    pair = issue(ca, common_name, int(days), context.now, hosts=hosts, keys=context.keys)
    data = {
        "ca.crt": _encoded(ca.certificate),
        "tls.crt": _encoded(pair.certificate),
        "tls.key": _encoded(pair.key),
    }
    return _secret(context, name, data, notes, "kubernetes.io/tls")


def _mesh_leaves(context: Context) -> list[Object]:
    if not (_helm_mesh(context) and context.internal_store):
        return []
    days = context.get("clustermesh.apiserver.tls.auto.certValidityDuration")
    notes = context.table("clustermesh.annotations")
    return [_leaf(context, name, cn, hosts, days, notes) for name, (cn, hosts) in sorted(mesh_leaves(context).items())]


def hubble_leaves(context: Context) -> dict[str, tuple[str, list[str]]]:
    """Leaf secrets of Hubble: name to (common name, hosts)."""
    cluster = context.text("cluster.name").replace(".", "-")
    found: dict[str, tuple[str, list[str]]] = {}
    if context.on("agent"):
        name = f"*.{cluster}.hubble-grpc.cilium.io"
        tls = "hubble.tls.server"
        extra = [*context.items(f"{tls}.extraDnsNames"), *context.items(f"{tls}.extraIpAddresses")]
        found["hubble-server-certs"] = (name, [name, *extra])
    if context.on("hubble.relay.enabled"):
        name = "*.hubble-relay.cilium.io"
        found["hubble-relay-client-certs"] = (name, [name])
        if context.on("hubble.relay.tls.server.enabled"):
            tls = "hubble.relay.tls.server"
            extra = [*context.items(f"{tls}.extraDnsNames"), *context.items(f"{tls}.extraIpAddresses")]
            found["hubble-relay-server-certs"] = (name, [name, *extra])
    return found


def _hubble_leaves(context: Context) -> list[Object]:
    if not _helm_hubble(context):
        return []
    days = context.get("hubble.tls.auto.certValidityDuration")
    notes = context.table("hubble.annotations")
    found = []
    for name, (common_name, hosts) in sorted(hubble_leaves(context).items()):
        kept = _kept(context, name)
        secret = _leaf(context, name, common_name, hosts, days, notes)
        secret["data"].update(kept)
        found.append(secret)
    return found


def _kept(context: Context, name: str) -> dict[str, str]:
    """Since 1.18 a Hubble leaf that exists is kept: a new CA alone does not renew it."""
    if context.minor < 18 or name == "hubble-relay-server-certs":
        return {}
    live = context.lookup("Secret", context.home, name)
    data: dict[str, str] = (live or {}).get("data") or {}
    if data.get("tls.crt") and data.get("tls.key"):
        return {"tls.crt": data["tls.crt"], "tls.key": data["tls.key"]}
    return {}
