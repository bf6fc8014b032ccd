"""Peers of the mesh: both peer secrets, host aliases, users of the mesh's etcd (cilium-clustermesh §2.2–2.4)."""

import base64
import copy
from typing import Any

from backends.lab.charts.context import ChartError, Context, Object, refuse
from backends.lab.charts.trees import text

FOLDER = "/var/lib/cilium/clustermesh"


def peers(context: Context) -> list[dict[str, Any]]:
    """The peers as the chart reads them: a list, or since 1.19 also a map, without those set ``enabled: false``."""
    given = context.get("clustermesh.config.clusters")
    if isinstance(given, dict):
        if context.minor < 19:
            return _old_map(given)
        found = {name: {**(peer or {}), "name": name} for name, peer in given.items()}
    elif isinstance(given, list):
        if context.minor < 19:
            return [dict(peer) for peer in given]
        found = {peer["name"]: dict(peer) for peer in given}
    elif given is None and context.minor < 19:
        return []
    else:
        kind = {str: "string", bool: "bool", int: "float64", type(None): "invalid"}.get(type(given), "unknown")
        raise refuse(
            "clustermesh-config/clustermesh-secret.yaml:21:12", f"unknown type {kind} for clustermesh.config.clusters"
        )
    wanted = copy.deepcopy([found[name] for name in sorted(found)])
    return [peer for peer in wanted if peer.pop("enabled", True) is not False]


def _old_map(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Before 1.19 a map's values are taken as they are, so that a peer without ``name`` makes no YAML."""
    found = [dict(given[key] or {}) for key in sorted(given)]
    if not all(peer.get("name") for peer in found):
        raise ChartError(
            "YAML parse error on cilium/templates/clustermesh-config/clustermesh-secret.yaml: "
            "error converting YAML to JSON: yaml: line 6: did not find expected key"
        )
    return found


def host_aliases(context: Context) -> list[Object]:
    """``<peer>.mesh.cilium.io`` for every address of every peer; none with ``disableKubernetesHostAliases`` (1.20)."""
    if context.minor >= 20 and context.on("clustermesh.disableKubernetesHostAliases"):
        return []
    domain = context.text("clustermesh.config.domain")
    return [
        {"ip": text(address), "hostnames": [f"{text(peer.get('name'))}.{domain}"]}
        for peer in peers(context)
        for address in peer.get("ips") or []
    ]


def peer_secrets(context: Context) -> list[Object]:
    """Secrets ``cilium-clustermesh`` (read by agents) and ``cilium-kvstoremesh`` (read by the cache)."""
    if not context.on("clustermesh.config.enabled"):
        return []
    found = [_secret(context, "cilium-clustermesh", through_cache=context.kvstoremesh)]
    if context.kvstoremesh:
        found.append(_secret(context, "cilium-kvstoremesh", through_cache=False))
    return found


def remote_users(context: Context) -> list[Object]:
    """ConfigMap ``clustermesh-remote-users``: who may read this cluster's etcd, unless the mode is ``legacy``."""
    if context.text("clustermesh.apiserver.tls.authMode") == "legacy":
        return []
    if context.minor >= 16 and not context.mesh_server:
        return []
    if context.minor >= 17 and not (context.internal_store and context.crd_identities):
        return []
    if context.minor >= 19 and not context.on("clustermesh.config.enabled"):
        return []
    names = [f"remote-{text(peer.get('name'))}" for peer in peers(context)]
    if context.minor < 17 and context.on("clustermesh.apiserver.kvstoremesh.enabled"):
        names.insert(0, f"remote-{context.text('cluster.name')}")
    lines = "".join(f"- name: {name}\n  role: remote\n" for name in names)
    metadata = context.metadata(
        "clustermesh-remote-users", {"app.kubernetes.io/part-of": "cilium"}, context.table("clustermesh.annotations")
    )
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"users.yaml": f"users:\n{lines}"}}]


def _secret(context: Context, name: str, *, through_cache: bool) -> Object:
    data: dict[str, str] = {}
    for peer in peers(context):
        key = text(peer.get("name"))
        data[key] = base64.b64encode(_entry(context, peer, through_cache).encode()).decode()
        tls = peer.get("tls") or {}
        if not through_cache and tls.get("cert") and tls.get("key"):
            if tls.get("caCert"):
                data[f"{key}.etcd-client-ca.crt"] = tls["caCert"]
            data[f"{key}.etcd-client.key"] = tls["key"]
            data[f"{key}.etcd-client.crt"] = tls["cert"]
    metadata = context.metadata(name, None, context.table("clustermesh.annotations"))
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data or None}


def _entry(context: Context, peer: dict[str, Any], through_cache: bool) -> str:
    name, tls = text(peer.get("name")), peer.get("tls") or {}
    own = bool(tls.get("cert") and tls.get("key"))
    prefix, with_ca = (f"{name}." if own else "common-"), bool(tls.get("caCert"))
    if through_cache:
        prefix, with_ca = ("local-", True) if context.minor >= 17 else ("common-", with_ca)
    domain = f"{name}.{context.text('clustermesh.config.domain')}"
    if through_cache and not context.internal_store:
        return _external_entry(context)
    if through_cache:
        endpoint = f"https://clustermesh-apiserver.{context.home}.svc:2379"
    else:
        endpoint = f"https://{domain if peer.get('ips') else _address(context, peer)}:{text(peer.get('port'))}"
    trusted = f"{prefix if with_ca else 'common-'}etcd-client-ca.crt"
    lines = [
        "endpoints:",
        f"- {endpoint}",
        f"trusted-ca-file: {FOLDER}/{trusted}",
        f"key-file: {FOLDER}/{prefix}etcd-client.key",
        f"cert-file: {FOLDER}/{prefix}etcd-client.crt",
    ]
    if context.minor >= 20 and not through_cache and peer.get("ips"):
        lines += ["cilium-host-aliases:", f"- hostname: {domain}", "  ips:"]
        lines += [f"    - {text(address)}" for address in peer["ips"]]
    return "\n" + "\n".join(lines)


def _external_entry(context: Context) -> str:
    """With ``kvstoreMode: external`` the agents read the cache out of the cluster's own etcd."""
    lines = ["endpoints:", *(f"- {text(endpoint)}" for endpoint in context.items("etcd.endpoints"))]
    if context.on("etcd.ssl"):
        folder = "/var/lib/etcd-secrets"
        lines.append(f"trusted-ca-file: '{folder}/etcd-client-ca.crt'")
        lines += [f"key-file: '{folder}/etcd-client.key'", f"cert-file: '{folder}/etcd-client.crt'"]
    return "\n" + "\n".join(lines)


def _address(context: Context, peer: dict[str, Any]) -> str:
    if not peer.get("address"):
        new = context.minor >= 17
        file, place = (
            ("kvstoremesh", "19:18" if new else "14:18")
            if context.kvstoremesh
            else ("clustermesh", "22:18" if new else "16:18")
        )
        raise refuse(
            f"clustermesh-config/{file}-secret.yaml:{place}", "missing clustermesh.apiserver.config.clusters.address"
        )
    return text(peer["address"])
