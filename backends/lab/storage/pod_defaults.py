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
    """Default a pod in place, with what the admission chain of every cluster adds."""
    spec = obj["spec"] = obj.get("spec") or {}
    pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", _PRIORITIES.get(spec.get("priorityClassName", ""), 0))
    account = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = account
    _tolerations(spec)
    status = obj["status"] = obj.get("status") or {}
    status.setdefault("phase", "Pending")
    status.setdefault("qosClass", quality(spec))


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
    host = bool(spec.get("hostNetwork"))
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            if isinstance(container, dict):
                _container(container, host)
    for volume in spec.get("volumes") or ():
        if isinstance(volume, dict):
            _volume(volume)


def _container(container: Spec, host_network: bool) -> None:
    image = str(container.get("image", ""))
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = "Always" if _floats(image) else "IfNotPresent"
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    if container.get("resources") is None:
        container["resources"] = {}
    limits = container["resources"].get("limits")
    if limits:
        container["resources"]["requests"] = {**limits, **(container["resources"].get("requests") or {})}
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if host_network and not port.get("hostPort"):
            port["hostPort"] = port.get("containerPort")
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
