"""Faults of certificates: Secrets that hold something else than they should."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from backends.lab.charts.trust.certificates import Pair, issue, new_authority
from backends.lab.faults.acting import HOME, MESH_API, restart, target_of, undone
from backends.lab.faults.fault import Fault, Undo, Undoing
from backends.lab.storage.resources import SECRETS
from backends.lab.world import LabCluster, World

_LAYER: Final = "trust"
_STEM: Final = "clustermesh-apiserver-"
_LEAVES: Final = ("server", "admin", "remote", "local")


def _read(target: LabCluster, name: str) -> dict[str, bytes] | None:
    found = target.objects.stored(SECRETS, HOME, name)
    if found is None:
        return None
    return {key: base64.b64decode(text) for key, text in (found.get("data") or {}).items()}


def _need(target: LabCluster, name: str) -> dict[str, bytes]:
    found = _read(target, name)
    if found is None:
        raise ValueError(f"{target.name} has no Secret {name}")
    return found


def _write(target: LabCluster, name: str, data: Mapping[str, bytes]) -> Undo:
    before = _need(target, name)

    def put(values: Mapping[str, bytes]) -> None:
        encoded = {key: base64.b64encode(text).decode() for key, text in values.items()}
        target.objects.patch(SECRETS, HOME, name, {"data": encoded})

    put(data)
    return lambda: put(before)


def _again(leaf: bytes, authority: Pair, starts: datetime, days: int) -> Pair:
    """A new leaf with the name and hosts of this one."""
    old = x509.load_pem_x509_certificate(leaf)
    common = str(old.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    try:
        names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    except x509.ExtensionNotFound:
        hosts = []
    return issue(authority, common, days, starts, hosts=hosts, keys="ec")


def _ca_differs() -> Fault:
    """The cluster gets a CA of its own; every leaf is signed anew and its mesh API restarted."""
    undoing = Undoing()

    def inject(world: World, target: str = "") -> None:
        here = target_of(world, target, "aks")
        now = datetime.fromtimestamp(world.clock.now(), UTC)
        _need(here, "cilium-ca")
        authority = new_authority("Cilium CA", 1095, now, "ec")
        undos = [_write(here, "cilium-ca", {"ca.crt": authority.certificate, "ca.key": authority.key})]
        for leaf in _LEAVES:
            name = f"{_STEM}{leaf}-cert"
            found = _read(here, name)
            if found is None:
                continue
            pair = _again(found["tls.crt"], authority, now, 1095)
            data = {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}
            undos.append(_write(here, name, data))
        restart(here, MESH_API)
        undoing.add(world, undone(*undos, lambda: restart(here, MESH_API)))

    return Fault("ca-differs", "CA differs", _LAYER, inject, undoing.clear)


def _leaf(name: str, title: str, starts: timedelta, days: int) -> Fault:
    """One leaf is replaced by one with other dates, by the same CA; nothing is restarted."""
    undoing = Undoing()

    def inject(world: World, target: str = "", leaf: str = "server") -> None:
        here = target_of(world, target, "aks")
        if leaf not in _LEAVES:
            raise ValueError(f"no leaf {leaf}; there are: {', '.join(_LEAVES)}")
        authority, found = _need(here, "cilium-ca"), _need(here, f"{_STEM}{leaf}-cert")
        at = datetime.fromtimestamp(world.clock.now(), UTC) + starts
        pair = _again(found["tls.crt"], Pair(authority["ca.crt"], authority["ca.key"]), at, days)
        data = {"tls.crt": pair.certificate, "tls.key": pair.key}
        undoing.add(world, _write(here, f"{_STEM}{leaf}-cert", data))

    return Fault(name, title, _LAYER, inject, undoing.clear)


FAULTS: Final[tuple[Fault, ...]] = (
    _ca_differs(),
    _leaf("leaf-expired", "A certificate has ended", timedelta(days=-400), 365),
    _leaf("leaf-not-yet-valid", "A certificate is not valid yet", timedelta(days=2), 365),
)
