"""Validation at write time, as far as a mesh's objects can get it wrong; each complaint in the server's words."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from backends.lab.storage import names
from backends.lab.storage.resources import Resource
from backends.lab.storage.selectors import Object, from_label_selector, labels_match
from backends.lab.storage.status import Cause, invalid

_IMMUTABLE: Final = "Invalid value: {value}: field is immutable"
SECRET_LIMIT: Final = 1024 * 1024


def check(resource: Resource, obj: Object) -> None:
    """Raises ``ApiError`` 422 with one cause per field."""
    causes = names.metadata_causes(resource, obj["metadata"])
    rule = _RULES.get(resource.key)
    if rule is not None:
        causes += rule(obj)
    if causes:
        raise invalid(resource, str(obj["metadata"].get("name", "")), causes)


def check_change(resource: Resource, old: Object, new: Object) -> None:
    """Raises ``ApiError`` 422 where an update changes what cannot be changed."""
    causes: list[Cause] = []
    if old.get("immutable") and any(old.get(field) != new.get(field) for field in ("data", "binaryData", "immutable")):
        causes.append(Cause("FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set", "data"))
    for path in _FIXED.get(resource.key, ()):
        before, after = _at(old, path), _at(new, path)
        if before != after:
            text = _IMMUTABLE.format(value=_shown(after))
            causes.append(Cause("FieldValueInvalid", text, path))
    if resource.key == ("", "services"):
        causes += _service_change(old["spec"], new["spec"])
    if resource.key == ("", "pods"):
        causes += _pod_change(old["spec"], new["spec"])
    if causes:
        raise invalid(resource, new["metadata"]["name"], causes)


_FIXED: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("", "secrets"): ("type",),
    ("apps", "deployments"): ("spec.selector",),
    ("apps", "daemonsets"): ("spec.selector",),
    ("apps", "replicasets"): ("spec.selector",),
    ("batch", "jobs"): ("spec.selector", "spec.template"),
    ("rbac.authorization.k8s.io", "rolebindings"): ("roleRef",),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): ("roleRef",),
    ("discovery.k8s.io", "endpointslices"): ("addressType",),
}


def _at(obj: Any, path: str) -> Any:
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        pairs = (f'"{key}":{_shown(item)}' for key, item in sorted(value.items()))
        return "{" + ",".join(pairs) + "}"
    return "null" if value is None else str(value)


def _required(obj: Any, *paths: str) -> list[Cause]:
    return [
        Cause("FieldValueRequired", "Required value", path) for path in paths if _at(obj, path) in (None, "", [], {})
    ]


def _containers(spec: Mapping[str, Any], where: str) -> list[Cause]:
    if not spec.get("containers"):
        return [Cause("FieldValueRequired", "Required value", f"{where}.containers")]
    causes: list[Cause] = []
    seen: set[str] = set()
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            at = f"{where}.{field}[{index}]"
            name = container.get("name")
            if not name:
                causes.append(Cause("FieldValueRequired", "Required value", f"{at}.name"))
            elif name in seen:
                causes.append(Cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{at}.name"))
            seen.add(str(name))
            if not container.get("image"):
                causes.append(Cause("FieldValueRequired", "Required value", f"{at}.image"))
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            for place, mount in enumerate(container.get("volumeMounts") or ()):
                if mount.get("name") not in volumes:
                    at = f"{where}.{field}[{index}].volumeMounts[{place}].name"
                    causes.append(Cause("FieldValueNotFound", f'Not found: "{mount.get("name", "")}"', at))
    return causes


def _pod(obj: Object) -> list[Cause]:
    return _containers(obj.get("spec") or {}, "spec")


def _workload(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes = _required(obj, "spec.selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    if selector and not labels_match(from_label_selector(selector), {"metadata": {"labels": labels}}):
        text = f"Invalid value: {_shown(labels)}: `selector` does not match template `labels`"
        causes.append(Cause("FieldValueInvalid", text, "spec.template.metadata.labels"))
    return causes + _containers((spec.get("template") or {}).get("spec") or {}, "spec.template.spec")


def _job(obj: Object) -> list[Cause]:
    inner = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    causes = _containers(inner, "spec.template.spec")
    policy = inner.get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        text = f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"'
        causes.append(Cause("FieldValueNotSupported", text, "spec.template.spec.restartPolicy"))
    return causes


def _cronjob(obj: Object) -> list[Cause]:
    return _required(obj, "spec.schedule") + [
        Cause(cause.reason, cause.message, cause.field.replace("spec.", "spec.jobTemplate.spec.", 1))
        for cause in _job({"spec": _at(obj, "spec.jobTemplate.spec")})
    ]


_SERVICE_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


def _service(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    ports = spec.get("ports") or []
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and spec.get("type") != "ExternalName":
        causes.append(Cause("FieldValueRequired", "Required value", "spec.ports"))
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        causes.append(Cause("FieldValueInvalid", 'Invalid value: "": must not be empty', "spec.externalName"))
    if spec.get("type") not in _SERVICE_TYPES:
        known = ", ".join(f'"{kind}"' for kind in _SERVICE_TYPES)
        text = f'Unsupported value: "{spec.get("type")}": supported values: {known}'
        causes.append(Cause("FieldValueNotSupported", text, "spec.type"))
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        causes += _service_port(port, index, len(ports) > 1)
        key = (port.get("port"), port.get("protocol"))
        if key in seen:
            text = f'Duplicate value: {{"port":{key[0]},"protocol":"{key[1]}"}}'
            causes.append(Cause("FieldValueDuplicate", text, f"spec.ports[{index}]"))
        seen.add(key)
    return causes


def _service_port(port: Mapping[str, Any], index: int, several: bool) -> list[Cause]:
    at = f"spec.ports[{index}]"
    causes: list[Cause] = []
    if several and not port.get("name"):
        causes.append(Cause("FieldValueRequired", "Required value", f"{at}.name"))
    number = port.get("port")
    if not isinstance(number, int) or not 1 <= number <= 65535:
        text = f"Invalid value: {number or 0}: must be between 1 and 65535, inclusive"
        causes.append(Cause("FieldValueInvalid", text, f"{at}.port"))
        if port.get("targetPort", number) == number:
            causes.append(Cause("FieldValueInvalid", text, f"{at}.targetPort"))
    if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
        text = f'Unsupported value: "{port.get("protocol")}": supported values: "SCTP", "TCP", "UDP"'
        causes.append(Cause("FieldValueNotSupported", text, f"{at}.protocol"))
    return causes


def _service_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Cause]:
    kept = before.get("clusterIP")
    if kept and after.get("type") != "ExternalName" and after.get("clusterIP") != kept:
        text = f'Invalid value: ["{after.get("clusterIP")}"]: may not change once set'
        return [Cause("FieldValueInvalid", text, "spec.clusterIPs[0]")]
    return []


_POD_CHANGEABLE: Final = frozenset(
    {
        "containers",
        "initContainers",
        "activeDeadlineSeconds",
        "terminationGracePeriodSeconds",
        "tolerations",
        "nodeName",
    }
)
_POD_FORBIDDEN: Final = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _pod_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Cause]:
    def fixed(spec: Mapping[str, Any]) -> dict[str, Any]:
        rest: dict[str, Any] = {key: value for key, value in spec.items() if key not in _POD_CHANGEABLE}
        for field in ("containers", "initContainers"):
            rest[field] = [{**container, "image": ""} for container in spec.get(field) or ()]
        return rest

    bound = before.get("nodeName")
    if fixed(before) != fixed(after) or (bound and bound != after.get("nodeName")):
        return [Cause("FieldValueForbidden", _POD_FORBIDDEN, "spec")]
    return []


def _secret(obj: Object) -> list[Cause]:
    data = obj.get("data") or {}
    causes = [
        Cause("FieldValueRequired", "Required value", f"data[{key}]")
        for key in ("tls.crt", "tls.key")
        if obj.get("type") == "kubernetes.io/tls" and key not in data
    ]
    if sum(len(str(value)) * 3 // 4 for value in data.values()) > SECRET_LIMIT:
        causes.append(Cause("FieldValueTooLong", "Too long: may not be more than 1048576 bytes", "data"))
    return causes


def _config_map(obj: Object) -> list[Cause]:
    size = sum(len(str(value)) for value in (obj.get("data") or {}).values())
    if size > SECRET_LIMIT:
        return [Cause("FieldValueTooLong", "Too long: may not be more than 1048576 bytes", "")]
    return []


def _binding(obj: Object) -> list[Cause]:
    return _required(obj, "roleRef.name", "roleRef.kind")


def _crd(obj: Object) -> list[Cause]:
    causes = _required(obj, "spec.group", "spec.versions", "spec.names.plural", "spec.names.kind")
    names_ = _at(obj, "spec.names") or {}
    expected = f"{names_.get('plural')}.{_at(obj, 'spec.group')}"
    if not causes and obj["metadata"]["name"] != expected:
        text = f'Invalid value: "{obj["metadata"]["name"]}": must be spec.names.plural+"."+spec.group'
        causes.append(Cause("FieldValueInvalid", text, "metadata.name"))
    return causes


_RULES: Final[Mapping[tuple[str, str], Callable[[Object], list[Cause]]]] = {
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("", "secrets"): _secret,
    ("", "configmaps"): _config_map,
    ("apps", "deployments"): _workload,
    ("apps", "daemonsets"): _workload,
    ("apps", "replicasets"): _workload,
    ("apps", "statefulsets"): _workload,
    ("batch", "jobs"): _job,
    ("batch", "cronjobs"): _cronjob,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _crd,
}
