"""Fields that an API server fills in when they are not given, as far as readers see them.

Source: k8s.io/kubernetes pkg/apis/*/v1/defaults.go, compared with a running kube-apiserver.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from backends.lab.storage.pod_defaults import pod, template
from backends.lab.storage.resources import Resource
from backends.lab.storage.selectors import Object

Spec: TypeAlias = dict[str, Any]


def string_data(obj: Object) -> None:
    """Move a Secret's ``stringData`` into ``data``, base64; an empty ``stringData`` goes."""
    given = obj.pop("stringData", None)
    for key, value in (given or {}).items():
        data = obj.get("data") or {}
        data[key] = base64.b64encode(str(value).encode()).decode()
        obj["data"] = data


def apply(resource: Resource, obj: Object) -> None:
    """Fill in the defaults of the object's kind, in place."""
    rule = _RULES.get(resource.key)
    if rule is not None:
        rule(obj)


def _spec(obj: Object) -> Spec:
    spec: Spec = obj.get("spec") or {}
    obj["spec"] = spec
    return spec


def _fill(target: Spec, **values: Any) -> None:
    for key, value in values.items():
        if target.get(key) is None:
            target[key] = value


def _service(obj: Object) -> None:
    spec = _spec(obj)
    _fill(spec, type="ClusterIP", sessionAffinity="None")
    if spec["sessionAffinity"] == "ClientIP":
        _fill(spec, sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10800}})
    for port in spec.get("ports") or ():
        if isinstance(port, dict):
            _fill(port, protocol="TCP")
            if port.get("targetPort") in (None, 0, "") and "port" in port:
                port["targetPort"] = port["port"]
    if spec["type"] != "ExternalName":
        _fill(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _fill(spec, externalTrafficPolicy="Cluster")
    elif not spec.get("externalIPs"):
        spec.pop("externalTrafficPolicy", None)
    if spec["type"] == "LoadBalancer":
        _fill(spec, allocateLoadBalancerNodePorts=True)
    else:
        spec.pop("allocateLoadBalancerNodePorts", None)
    obj["status"] = obj.get("status") or {}
    obj["status"].setdefault("loadBalancer", {})


def _namespace(obj: Object) -> None:
    labels = obj["metadata"].get("labels") or {}
    labels.setdefault("kubernetes.io/metadata.name", obj["metadata"].get("name", ""))
    obj["metadata"]["labels"] = labels
    spec = _spec(obj)
    if "deletionTimestamp" not in obj["metadata"]:
        _fill(spec, finalizers=["kubernetes"])
    obj["status"] = obj.get("status") or {"phase": "Active"}
    obj["status"].setdefault("phase", "Active")


def _deployment(obj: Object) -> None:
    spec = _spec(obj)
    _fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
    strategy = spec["strategy"]
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(strategy, rollingUpdate={})
        _fill(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    template(spec)
    obj.setdefault("status", {})


def _daemonset(obj: Object) -> None:
    spec = _spec(obj)
    _fill(spec, revisionHistoryLimit=10, updateStrategy={})
    strategy = spec["updateStrategy"]
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(strategy, rollingUpdate={})
        _fill(strategy["rollingUpdate"], maxUnavailable=1, maxSurge=0)
    template(spec)
    annotations = obj["metadata"].get("annotations") or {}
    generation = str(obj["metadata"].get("generation", 1))
    annotations.setdefault("deprecated.daemonset.template.generation", generation)
    obj["metadata"]["annotations"] = annotations
    status = obj.setdefault("status", {})
    for count in ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"):
        status.setdefault(count, 0)


def _replicaset(obj: Object) -> None:
    spec = _spec(obj)
    _fill(spec, replicas=1)
    template(spec)
    obj.setdefault("status", {}).setdefault("replicas", 0)


def _statefulset(obj: Object) -> None:
    spec = _spec(obj)
    _fill(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady", updateStrategy={})
    _fill(spec, persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"})
    strategy = spec["updateStrategy"]
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(strategy, rollingUpdate={})
        _fill(strategy["rollingUpdate"], partition=0)
    template(spec)
    status = obj.setdefault("status", {})
    status.setdefault("replicas", 0)
    status.setdefault("availableReplicas", 0)


def _job_spec(spec: Spec) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    _fill(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False, manualSelector=False)
    _fill(spec, podReplacementPolicy="TerminatingOrFailed")


def _job(obj: Object) -> None:
    spec = _spec(obj)
    _job_spec(spec)
    template(spec)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)
    obj.setdefault("status", {})


def job_selector(obj: Object) -> None:
    """Select a new Job's own pods by its uid, unless its client chose a selector."""
    spec, meta = obj["spec"], obj["metadata"]
    if spec.get("manualSelector") or spec.get("selector"):
        return
    owned = {
        "batch.kubernetes.io/controller-uid": meta["uid"],
        "batch.kubernetes.io/job-name": meta["name"],
        "controller-uid": meta["uid"],
        "job-name": meta["name"],
    }
    inner = spec.setdefault("template", {}).setdefault("metadata", {})
    inner["labels"] = {**(inner.get("labels") or {}), **owned}
    if not meta.get("labels"):
        meta["labels"] = dict(inner["labels"])
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": meta["uid"]}}


def _cronjob(obj: Object) -> None:
    spec = _spec(obj)
    _fill(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    below = spec.setdefault("jobTemplate", {})
    below.setdefault("metadata", {})
    inner = below.setdefault("spec", {})
    template(inner)
    obj.setdefault("status", {})


def _secret(obj: Object) -> None:
    _fill(obj, type="Opaque")


def _binding(obj: Object) -> None:
    reference = obj.get("roleRef")
    if isinstance(reference, dict):
        _fill(reference, apiGroup="rbac.authorization.k8s.io")
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            _fill(subject, apiGroup="rbac.authorization.k8s.io")


def _network_policy(obj: Object) -> None:
    spec = _spec(obj)
    kinds = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    _fill(spec, podSelector={}, policyTypes=kinds)
    for rule in [*(spec.get("ingress") or ()), *(spec.get("egress") or ())]:
        for port in rule.get("ports") or ():
            _fill(port, protocol="TCP")


def _endpointslice(obj: Object) -> None:
    obj.setdefault("endpoints", [])
    for port in obj.get("ports") or ():
        _fill(port, protocol="TCP", name="")


def _node(obj: Object) -> None:
    _spec(obj)
    obj.setdefault("status", {})


def _crd(obj: Object) -> None:
    spec = _spec(obj)
    _fill(spec, conversion={"strategy": "None"})
    names = spec.get("names") or {}
    if names.get("kind"):
        _fill(names, singular=str(names["kind"]).lower(), listKind=f"{names['kind']}List")
    status = obj["status"] = obj.get("status") or {}
    if not status.get("conditions"):
        at = obj["metadata"].get("creationTimestamp")
        status["conditions"] = [
            {
                "lastTransitionTime": at,
                "message": "no conflicts found",
                "reason": "NoConflicts",
                "status": "True",
                "type": "NamesAccepted",
            },
            {
                "lastTransitionTime": at,
                "message": "the initial names have been accepted",
                "reason": "InitialNamesAccepted",
                "status": "True",
                "type": "Established",
            },
        ]
    status["acceptedNames"] = names
    stored = [version["name"] for version in spec.get("versions") or () if version.get("storage")]
    _fill(status, storedVersions=stored)


def _storage_class(obj: Object) -> None:
    _fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


_RULES: Final[Mapping[tuple[str, str], Callable[[Object], None]]] = {
    ("", "pods"): pod,
    ("", "services"): _service,
    ("", "namespaces"): _namespace,
    ("", "nodes"): _node,
    ("", "secrets"): _secret,
    ("apps", "deployments"): _deployment,
    ("apps", "daemonsets"): _daemonset,
    ("apps", "replicasets"): _replicaset,
    ("apps", "statefulsets"): _statefulset,
    ("batch", "jobs"): _job,
    ("batch", "cronjobs"): _cronjob,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
    ("networking.k8s.io", "networkpolicies"): _network_policy,
    ("discovery.k8s.io", "endpointslices"): _endpointslice,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _crd,
    ("storage.k8s.io", "storageclasses"): _storage_class,
}
