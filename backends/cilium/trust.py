"""The mesh's certificates out of their Secrets: facts only, the bytes and keys stay in these functions."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct, field

from backends.certificates import NotACertificate, Parsed, parse_all, signers
from backends.cilium.workloads import Metadata
from mesh.model.cilium import LeafCertificate, MeshCertificates

CA_SECRET: Final = "cilium-ca"
BUNDLE: Final = "cilium-root-ca.crt"
LEAVES: Final = tuple(f"clustermesh-apiserver-{role}-cert" for role in ("server", "admin", "remote", "local", "client"))
RENEWAL: Final = "clustermesh-apiserver-generate-certs"
_CERT_MANAGER: Final = "cert-manager.io/certificate-name"


class CertificateData(Struct):
    """``ca.crt`` and ``tls.crt`` in base64."""

    ca: str = field(name="ca.crt", default="")
    leaf: str = field(name="tls.crt", default="")


class CertificateSecret(Struct):
    """The certificates of a Secret in base64. Its private key is not even decoded from JSON."""

    metadata: Metadata
    data: CertificateData = field(default_factory=CertificateData)


class BundleObject(Struct):
    """ConfigMap ``cilium-root-ca.crt``."""

    metadata: Metadata
    data: dict[str, str] | None = None


class CronSpec(Struct):
    """``spec`` of a CronJob."""

    schedule: str = ""
    suspend: bool = False


class CronStatus(Struct):
    """``status`` of a CronJob."""

    last_success: datetime | None = field(name="lastSuccessfulTime", default=None)


class CronJobObject(Struct):
    """The part of a CronJob that is read."""

    metadata: Metadata
    spec: CronSpec = field(default_factory=CronSpec)
    status: CronStatus = field(default_factory=CronStatus)


class JobStatus(Struct):
    """``status`` of a Job."""

    succeeded: int = 0
    failed: int = 0
    active: int = 0
    started: datetime | None = field(name="startTime", default=None)
    completed: datetime | None = field(name="completionTime", default=None)


class JobObject(Struct):
    """The part of a Job that is read."""

    metadata: Metadata
    status: JobStatus = field(default_factory=JobStatus)


class Renewal(Struct, frozen=True):
    """What renews the leaves: schedule, last success (epoch, 0 = never), whether the newest run failed."""

    schedule: str = ""
    last_success: float = 0.0
    failed: bool = False
    exists: bool = False


def read_certificates(
    secrets: Mapping[str, CertificateSecret], bundle: BundleObject | None, renewal: Renewal
) -> MeshCertificates:
    """All certificates of a cluster; nothing but their facts leaves this function. Private keys are never decoded."""
    problems: list[str] = []
    ca_secret = secrets.get(CA_SECRET)
    own = _parsed(CA_SECRET, ca_secret.data.ca or ca_secret.data.leaf, problems) if ca_secret else []
    trusted = _bundle(bundle, problems)
    leaves: list[tuple[str, Parsed, list[Parsed]]] = []
    for name in LEAVES:
        secret = secrets.get(name)
        if secret is not None:
            chain = _parsed(name, secret.data.leaf, problems)
            authorities = _parsed(name, secret.data.ca, problems) if secret.data.ca else []
            leaves += [(name, chain[0], authorities)] if chain else []
    known = [*own, *trusted, *(ca for _, _, authorities in leaves for ca in authorities)]
    return MeshCertificates(
        ca=own[0].facts if own else None,
        leaves=tuple(
            LeafCertificate(name, leaf.facts, _fingerprints(authorities), signers(leaf, known))
            for name, leaf, authorities in leaves
        ),
        trusted=tuple(ca.facts for ca in (trusted or own)),
        has_bundle=bundle is not None,
        problems=tuple(dict.fromkeys(problems)),
        renewal_schedule=renewal.schedule,
        renewal_last_success=renewal.last_success,
        renewal_failed=renewal.failed,
        method=_method(secrets, renewal),
    )


def renewal_of(cron: CronJobObject | None, jobs: list[JobObject]) -> Renewal:
    """The certgen CronJob with its Jobs (§2.7): in charts without a schedule there are only Jobs."""
    runs = [job for job in jobs if job.metadata.name.startswith(RENEWAL)]
    newest = max(runs, key=lambda job: _epoch(job.status.started), default=None)
    succeeded = [_epoch(job.status.completed) for job in runs if job.status.succeeded]
    cron_success = _epoch(cron.status.last_success) if cron else 0.0
    return Renewal(
        schedule=cron.spec.schedule if cron and not cron.spec.suspend else "",
        last_success=max([*succeeded, cron_success]),
        failed=bool(newest and newest.status.failed and not newest.status.succeeded),
        exists=cron is not None or bool(runs),
    )


def _method(secrets: Mapping[str, CertificateSecret], renewal: Renewal) -> str:
    """How the leaves are issued: by what marks their Secrets, else by what renews them."""
    marked = [secrets[name].metadata for name in LEAVES if name in secrets]
    if any(_CERT_MANAGER in item.annotations for item in marked):
        return "certmanager"
    if any(item.labels.get("app.kubernetes.io/managed-by") == "Helm" for item in marked):
        return "helm"
    return "cronJob" if renewal.exists else ""


def _parsed(name: str, encoded: str, problems: list[str]) -> list[Parsed]:
    try:
        return parse_all(base64.b64decode(encoded, validate=True))
    except (NotACertificate, binascii.Error, ValueError):
        problems.append(name)
        return []


def _bundle(bundle: BundleObject | None, problems: list[str]) -> list[Parsed]:
    if bundle is None:
        return []
    data = bundle.data or {}
    text = data.get("ca.crt") or "\n".join(data.values())
    try:
        return parse_all(text.encode())
    except NotACertificate:
        problems.append(BUNDLE)
        return []


def _fingerprints(authorities: list[Parsed]) -> tuple[str, ...]:
    return tuple(sorted({ca.facts.spki_sha256 for ca in authorities}))


def _epoch(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
