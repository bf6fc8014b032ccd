"""Defaults of pods and pod templates, and what admission adds to a pod (tolerations, priority, its account's token)."""

from typing import Any, Final, TypeAlias

from backends.lab.storage.selectors import Object

Spec: TypeAlias = dict[str, Any]

_PRIORITIES: Final = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}
TOKEN_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"


def template(spec: Spec) -> None:
    """Default the pod template of a workload's ``spec`` in place."""
    body = spec.get("template")
    if not isinstance(body, dict):
        return
    body.setdefault("metadata", {})
    inner = body.get("spec")
    if isinstance(inner, dict):
        pod_spec(inner)


def pod(obj: Object) -> None:
    """Default a pod in place."""
    spec = obj["spec"] = obj.get("spec") or {}
    pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for container in _containers(spec):
        limits = container["resources"].get("limits")
        if limits:
            container["resources"]["requests"] = {**limits, **(container["resources"].get("requests") or {})}
        for port in container.get("ports") or ():
            if spec.get("hostNetwork"):
                port.setdefault("hostPort", port.get("containerPort"))
    status = obj["status"] = obj.get("status") or {}
    status.setdefault("phase", "Pending")
    status.setdefault("qosClass", quality(spec))


def admit(obj: Object, suffix: str) -> None:
    """What the admission chain of every cluster adds to a new pod: account and token, priority, tolerations."""
    spec = obj["spec"]
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", _PRIORITIES.get(spec.get("priorityClassName", ""), 0))
    account = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = account
    _tolerations(spec)
    _mount_token(spec, suffix)


def pod_spec(spec: Spec) -> None:
    """Default a ``PodSpec`` in place."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    spec.setdefault("terminationGracePeriodSeconds", 30)
    if spec.get("serviceAccountName") and not spec.get("serviceAccount"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount") and not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for container in _containers(spec):
        _container(container)
    for volume in spec.get("volumes") or ():
        if isinstance(volume, dict):
            _volume(volume)


def _containers(spec: Spec) -> list[Spec]:
    listed = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return [container for container in listed if isinstance(container, dict)]


def _container(container: Spec) -> None:
    image = str(container.get("image", ""))
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = "Always" if _floats(image) else "IfNotPresent"
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    if container.get("resources") is None:
        container["resources"] = {}
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe):
            _probe(container[probe])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and hook.get("httpGet"):
            hook["httpGet"].setdefault("scheme", "HTTP")


def _floats(image: str) -> bool:
    if "@" in image:
        return False
    tag = image.rpartition("/")[2].partition(":")[2]
    return tag in ("", "latest")


def _probe(probe: Spec) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    if probe.get("httpGet"):
        probe["httpGet"].setdefault("scheme", "HTTP")
        probe["httpGet"].setdefault("path", "/")
    if probe.get("grpc"):
        probe["grpc"].setdefault("service", "")


def _volume(volume: Spec) -> None:
    for source in ("secret", "configMap", "projected", "downwardAPI"):
        if isinstance(volume.get(source), dict):
            volume[source].setdefault("defaultMode", 420)
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    for part in (volume.get("projected") or {}).get("sources") or ():
        if isinstance(part.get("serviceAccountToken"), dict):
            part["serviceAccountToken"].setdefault("expirationSeconds", 3600)


def _mount_token(spec: Spec, suffix: str) -> None:
    """The volume with the service account's token, unless the pod declines or has one."""
    containers = _containers(spec)
    if spec.get("automountServiceAccountToken") is False:
        return
    name = f"kube-api-access-{suffix}"
    wanting = [
        one
        for one in containers
        if all(mount.get("mountPath") != TOKEN_PATH for mount in one.get("volumeMounts") or ())
    ]
    if not wanting:
        return
    for container in wanting:
        mount = {"mountPath": TOKEN_PATH, "name": name, "readOnly": True}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources: list[Spec] = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        {"downwardAPI": {"items": [{"fieldRef": field, "path": "namespace"}]}},
    ]
    volume = {"name": name, "projected": {"defaultMode": 420, "sources": sources}}
    spec["volumes"] = [*(spec.get("volumes") or ()), volume]


def _tolerations(spec: Spec) -> None:
    tolerations: list[Spec] = spec.get("tolerations") or []
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        covered = any(
            (item.get("key") in (key, None, "")) and item.get("effect") in ("NoExecute", None, "")
            for item in tolerations
        )
        if not covered:
            tolerations.append({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300})
    if tolerations:
        spec["tolerations"] = tolerations


def quality(spec: Spec) -> str:
    """The QoS class that follows from requests and limits."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    if not any(entry.get("requests") or entry.get("limits") for entry in resources):
        return "BestEffort"
    whole = all(
        {"cpu", "memory"} <= set(entry.get("limits") or {})
        and (entry.get("requests") or entry["limits"]) == entry["limits"]
        for entry in resources
    )
    return "Guaranteed" if whole else "Burstable"
