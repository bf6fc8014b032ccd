"""The certgen program: issues the leaf Secrets that its Job's arguments ask for, with the CA of Secret ``cilium-ca``.

Source: cilium-clustermesh §2.2 and §2.7. Up to 1.15 the leaves are flags, later they are a YAML list in an environment
variable.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import yaml

from backends.lab.charts.trust.certificates import BadAuthority, Pair, issue, load_authority, new_authority
from backends.lab.controllers.kubelet.programs import Ground
from backends.lab.controllers.kubelet.runtime import Process
from backends.lab.controllers.kubelet.volumes import contents
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import SECRETS

_CA_DAYS: Final = 1095
_NAMES: Final = {
    "clustermesh-apiserver-server": ("clustermesh-apiserver-server-cert", "clustermesh-apiserver.cilium.io"),
    "clustermesh-apiserver-admin": ("clustermesh-apiserver-admin-cert", "root"),
    "clustermesh-apiserver-client": ("clustermesh-apiserver-client-cert", "externalworkload"),
    "clustermesh-apiserver-remote": ("clustermesh-apiserver-remote-cert", "remote"),
    "hubble-server": ("hubble-server-certs", "*.default.hubble-grpc.cilium.io"),
    "hubble-relay-client": ("hubble-relay-client-certs", "*.hubble-relay.cilium.io"),
    "hubble-relay-server": ("hubble-relay-server-certs", "*.hubble-relay.cilium.io"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One leaf to be issued."""

    secret: str
    namespace: str
    common_name: str
    hosts: tuple[str, ...]
    days: int


def _flags(words: tuple[str, ...]) -> dict[str, str]:
    flags = {}
    for word in words:
        if word.startswith("--"):
            name, given, value = word[2:].partition("=")
            flags[name] = value if given else "true"
    return flags


def _days(text: str) -> int:
    """Whole days of a Go duration such as ``26280h`` or ``94608000s``."""
    units = {"h": 3600, "m": 60, "s": 1}
    seconds = sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([hms])", text))
    return max(1, int(seconds // 86400))


def wanted_leaves(process: Process) -> Iterator[Wanted]:
    """The leaves that a certgen container is asked for. Raises ``ValueError`` for a configuration it cannot read."""
    flags = _flags(process.args)
    config = process.environment.get("CILIUM_CERTGEN_CONFIG")
    if config:
        parsed = yaml.safe_load(config)
        for entry in parsed.get("certs") or ():
            yield Wanted(
                str(entry["name"]),
                str(entry.get("namespace") or "kube-system"),
                str(entry["commonName"]),
                tuple(str(host) for host in entry.get("hosts") or ()),
                _days(str(entry.get("validity", "26280h"))),
            )
        return
    namespace = flags.get("cilium-namespace", "kube-system")
    for stem, (secret, usual) in _NAMES.items():
        if flags.get(f"{stem}-cert-generate") != "true":
            continue
        common_name = flags.get(f"{stem}-cert-common-name", usual)
        hosts = [name for name in flags.get(f"{stem}-cert-sans", "").split(",") if name]
        if stem == "clustermesh-apiserver-server":
            hosts = [common_name, *hosts, "127.0.0.1", "::1"]
        elif stem.startswith("hubble"):
            hosts = [common_name]
        elif stem.endswith("admin"):
            hosts = ["localhost"]
        days = _days(flags.get(f"{stem}-cert-validity-duration", "94608000s"))
        yield Wanted(secret, namespace, common_name, tuple(hosts), days)


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def _authority(store: ObjectStore, flags: Mapping[str, str], namespace: str, now: datetime) -> Pair | str:
    name = flags.get("ca-secret-name", "cilium-ca")
    home = flags.get("ca-secret-namespace", namespace)
    secret = store.stored(SECRETS, home, name)
    if secret is not None and "ca-reuse-secret" in flags:
        have = contents(SECRETS, secret)
        pair = Pair(have.get("ca.crt") or have.get("tls.crt", b""), have.get("ca.key") or have.get("tls.key", b""))
        try:
            load_authority(pair)
        except BadAuthority as error:
            return f"failed to load CA from secret {home}/{name}: {error}"
        return pair
    if flags.get("ca-generate", "false") == "false":
        return f'failed to get CA from secret: secrets "{name}" not found'
    pair = new_authority(flags.get("ca-common-name", "Cilium CA"), _CA_DAYS, now, "ec")
    body = {
        "metadata": {"name": name, "namespace": home},
        "type": "Opaque",
        "data": _encoded({"ca.crt": pair.certificate, "ca.key": pair.key}),
    }
    store.apply(SECRETS, body)
    return pair


def run(ground: Ground, process: Process) -> str:
    """Do what the container was told; returns why it failed, or ""."""
    store = ground.store
    now = datetime.fromtimestamp(store.now(), UTC)
    flags = _flags(process.args)
    try:
        leaves = list(wanted_leaves(process))
    except (yaml.YAMLError, KeyError, AttributeError, TypeError) as error:
        return f"failed to parse certificate configuration: {error}"
    namespace = leaves[0].namespace if leaves else flags.get("cilium-namespace", "kube-system")
    authority = _authority(store, flags, namespace, now)
    if isinstance(authority, str):
        return authority
    for leaf in leaves:
        pair = issue(authority, leaf.common_name, leaf.days, now, hosts=leaf.hosts, keys="ec")
        store.apply(SECRETS, _secret(store, leaf, authority, pair))
    return ""


def _secret(store: ObjectStore, leaf: Wanted, authority: Pair, pair: Pair) -> Object:
    old = store.stored(SECRETS, leaf.namespace, leaf.secret)
    meta: Object = {"name": leaf.secret, "namespace": leaf.namespace}
    for field in ("labels", "annotations", "ownerReferences"):
        kept = (old or {}).get("metadata", {}).get(field)
        if kept:
            meta[field] = kept
    data = _encoded({"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key})
    return {"metadata": meta, "type": "kubernetes.io/tls", "data": data}
