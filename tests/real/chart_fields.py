"""The fields of a rendered Cilium chart that readers of a mesh look at, as plain data that can be compared.

Not compared: probes, security contexts, life cycle hooks, resources, shell scripts, dashboards, the rules of the
agent's and operator's roles, and the bytes of keys. Certificates are compared by subject, names, issuer and validity.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from cryptography import x509

Object = dict[str, Any]
Fields = dict[str, Any]

POD_FIELDS = (
    "hostNetwork",
    "hostUsers",
    "dnsPolicy",
    "serviceAccountName",
    "automountServiceAccountToken",
    "priorityClassName",
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "nodeSelector",
    "tolerations",
    "affinity",
    "hostAliases",
    "imagePullSecrets",
    "volumes",
)
CONTAINER_FIELDS = ("name", "image", "imagePullPolicy", "args", "env", "ports", "volumeMounts")
WORKLOAD_FIELDS = ("replicas", "selector", "strategy", "updateStrategy")
JOB_FIELDS = ("ttlSecondsAfterFinished",)
CRON_FIELDS = ("schedule", "concurrencyPolicy", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
RULES_OF = re.compile(r"clustermesh-apiserver|.*-generate-certs|cilium-config-agent|.*-secrets|cilium-operator-ztunnel")
RELAY_KEYS = ("cluster-name", "peer-service", "listen-address", "disable-server-tls", "tls-hubble-server-ca-files")
CHECKSUM = re.compile(r"[0-9a-f]{64}")
JOB_HASH = re.compile(r"-[0-9a-f]{10}$")


def fields(objects: Iterable[Object]) -> dict[str, Fields]:
    """``Kind namespace/name`` to the object's compared fields."""
    found: dict[str, Fields] = {}
    for item in objects:
        key, value = _identity(item), _prune(_fields(item))
        assert key not in found, f"{key} is rendered twice"
        found[key] = value
    return found


def differences(ours: Any, real: Any, path: str = "") -> list[str]:
    """Every path at which two values differ, with both values."""
    if isinstance(ours, Mapping) and isinstance(real, Mapping):
        found: list[str] = []
        for key in sorted({*ours, *real}):
            if key not in ours or key not in real:
                found.append(f"{path}/{key}: ours {ours.get(key, '<absent>')!r}, real {real.get(key, '<absent>')!r}")
            else:
                found += differences(ours[key], real[key], f"{path}/{key}")
        return found
    if isinstance(ours, list) and isinstance(real, list) and len(ours) == len(real):
        pairs = enumerate(zip(ours, real, strict=True))
        return [line for index, (one, two) in pairs for line in differences(one, two, f"{path}[{index}]")]
    return [] if ours == real else [f"{path}: ours {ours!r}, real {real!r}"]


def _identity(item: Object) -> str:
    metadata = item["metadata"]
    name = JOB_HASH.sub("-<hash>", metadata["name"]) if item["kind"] == "Job" else metadata["name"]
    return f"{item['apiVersion']} {item['kind']} {metadata.get('namespace', '-')}/{name}"


def _fields(item: Object) -> Fields:
    kind, metadata, spec = item["kind"], item["metadata"], item.get("spec") or {}
    found: Fields = {
        "labels": metadata.get("labels"),
        "annotations": _masked(metadata.get("annotations")),
    }
    if kind == "ConfigMap":
        found["data"] = _config(metadata["name"], item.get("data") or {})
    elif kind == "Secret":
        found |= {"type": item.get("type"), "data": _secret(metadata["name"], item.get("data") or {})}
    elif kind in ("Service", "PodDisruptionBudget"):
        found["spec"] = spec
    elif kind in ("DaemonSet", "Deployment"):
        found |= {name: spec.get(name) for name in WORKLOAD_FIELDS}
        found["template"] = _template(spec["template"])
    elif kind == "Job":
        found |= _job(spec)
    elif kind == "CronJob":
        found |= {name: spec.get(name) for name in CRON_FIELDS} | _job(spec["jobTemplate"]["spec"])
    elif kind.endswith("Role") and RULES_OF.fullmatch(metadata["name"]):
        found["rules"] = item["rules"]
    elif kind.endswith("Binding"):
        found |= {"roleRef": item["roleRef"], "subjects": item["subjects"]}
    return found


def _masked(annotations: Mapping[str, str] | None) -> dict[str, str]:
    return {key: "<checksum>" if CHECKSUM.fullmatch(value) else value for key, value in (annotations or {}).items()}


def _config(name: str, data: Mapping[str, str]) -> Fields:
    if name == "cilium-envoy-config":
        return {"keys": sorted(data)}
    if name == "hubble-relay-config":
        relay = yaml.safe_load(data["config.yaml"])
        return {key: relay.get(key) for key in RELAY_KEYS}
    if name == "clustermesh-remote-users":
        return {"users.yaml": yaml.safe_load(data["users.yaml"])}
    return dict(data)


def _secret(name: str, data: Mapping[str, str]) -> Fields:
    found: Fields = {}
    for key, value in data.items():
        text = base64.b64decode(value)
        if key.endswith(".key"):
            found[key] = "<key>"
        elif text.startswith(b"-----BEGIN CERTIFICATE"):
            found[key] = _certificate(text)
        elif b"endpoints:" in text:
            found[key] = yaml.safe_load(text)
        else:
            found[key] = text
    return found


def _certificate(pem: bytes) -> Fields:
    certificate = x509.load_pem_x509_certificate(pem)
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    found: Fields = {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "days": lifetime.days,
        "extensions": sorted(extension.oid.dotted_string for extension in certificate.extensions),
    }
    for kind in (x509.KeyUsage, x509.ExtendedKeyUsage, x509.BasicConstraints, x509.SubjectAlternativeName):
        try:
            found[kind.__name__] = str(certificate.extensions.get_extension_for_class(kind).value)
        except x509.ExtensionNotFound:
            found[kind.__name__] = None
    return found


def _job(spec: Object) -> Fields:
    return {**{name: spec.get(name) for name in JOB_FIELDS}, "template": _template(spec["template"])}


def _template(template: Object) -> Fields:
    metadata, spec = template.get("metadata") or {}, template["spec"]
    found = {name: spec.get(name) for name in POD_FIELDS}
    found["volumes"] = {volume["name"]: volume for volume in spec.get("volumes") or []}
    for volume in found["volumes"].values():
        if volume.get("emptyDir") == {"medium": ""}:
            volume["emptyDir"] = {}
    found |= {"labels": metadata.get("labels"), "annotations": _masked(metadata.get("annotations"))}
    for group in ("containers", "initContainers"):
        found[group] = [_container(container) for container in spec.get(group) or []]
    return found


def _container(container: Object) -> Fields:
    found = {name: container.get(name) for name in CONTAINER_FIELDS}
    found["privileged"] = (container.get("securityContext") or {}).get("privileged")
    found["command"] = _command(container.get("command") or [])
    for variable in container.get("env") or []:
        if variable["name"] == "CILIUM_CERTGEN_CONFIG":
            found["certificates"] = yaml.safe_load(variable["value"])
    found["env"] = [item for item in container.get("env") or [] if item["name"] != "CILIUM_CERTGEN_CONFIG"]
    mounts = container.get("volumeMounts") or []
    found["volumeMounts"] = {mount["name"]: mount for mount in mounts}
    return found


def _command(words: list[str]) -> list[str]:
    """A shell's script is its own affair: only that there is one."""
    for flag in ("-ec", "-c"):
        if flag in words and words[words.index(flag) + 1 :] not in ([], ["--"]):
            return [*words[: words.index(flag) + 1], "<script>"]
    return words


def _prune(value: Any) -> Any:
    """Without nulls and empty tables, which an API server drops too."""
    if isinstance(value, Mapping):
        pruned = {key: _prune(item) for key, item in value.items()}
        return {key: item for key, item in pruned.items() if item is not None and item not in ({}, [])}
    if isinstance(value, list):
        return [_prune(item) for item in value]
    return value
