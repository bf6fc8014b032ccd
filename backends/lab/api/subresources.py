"""status, scale, finalize, eviction and service account tokens."""

from typing import Any, Final

import msgspec
from aiohttp import web

from backends.lab.api import answers, bodies, ownership, reading, writing
from backends.lab.api.context import Context
from backends.lab.api.identity import Identity
from backends.lab.objects import Object, Resource, timestamp
from backends.lab.storage import patches
from backends.lab.storage.resources import NAMESPACES, PODS, RESOURCES
from backends.lab.storage.selectors import from_label_selector, labels_match
from backends.lab.storage.status import ApiError, Cause, method_not_allowed, no_such_resource

_SCALE: Final = "autoscaling/v1"


async def status(context: Context, resource: Resource) -> web.Response:
    """GET, PUT and PATCH of ``status``."""
    if not resource.status:
        raise no_such_resource()
    match context.info.verb:
        case "get":
            return reading.get(context, resource)
        case "update":
            return await writing.replace(context, resource, "status")
        case "patch":
            return await writing.patch(context, resource, "status")
    raise method_not_allowed()


async def scale(context: Context, resource: Resource) -> web.Response:
    """GET, PUT and PATCH of the number of replicas, as an ``autoscaling/v1`` Scale."""
    if not resource.scale:
        raise no_such_resource()
    store, verb = context.store, context.info.verb
    old = store.need(resource, context.namespace, context.info.name)
    shown = _scale(old)
    if verb == "get":
        return answers.respond(context.request, shown)
    if verb == "update":
        wanted = await bodies.anything(context, "Scale")
    elif verb == "patch":
        form = "json" if bodies.media_type(context) == "application/json-patch+json" else "merge"
        wanted = patches.patched(shown, msgspec.json.decode(await bodies.raw(context)), form)
    else:
        raise method_not_allowed()
    replicas = (wanted.get("spec") or {}).get("replicas", 0) if isinstance(wanted, dict) else None
    if not isinstance(replicas, int) or replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        causes = [Cause("FieldValueInvalid", text, "spec.replicas").json()]
        details = {"name": context.info.name, "group": "autoscaling", "kind": "Scale", "causes": causes}
        message = f'Scale.autoscaling "{context.info.name}" is invalid: spec.replicas: {text}'
        raise ApiError(422, "Invalid", message, details)
    version = (wanted.get("metadata") or {}).get("resourceVersion")
    new = {**old, "spec": {**old["spec"], "replicas": replicas}}
    new["metadata"] = {**old["metadata"], "resourceVersion": version}

    def finish(final: Object) -> None:
        shape = bodies.shape_of(context, resource)
        ownership.record_update(shape, old, final, context.manager, store.now(), "scale")

    stored = store.update(resource, new, dry_run=writing.dry_run(context), finish=finish)
    return answers.respond(context.request, _scale(stored))


def _scale(obj: Object) -> Object:
    meta, spec = obj["metadata"], obj["spec"]
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    current: dict[str, Any] = {"replicas": (obj.get("status") or {}).get("replicas", 0)}
    if labels:
        current["selector"] = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": _SCALE,
        "metadata": {field: meta[field] for field in kept if field in meta},
        "spec": {"replicas": spec["replicas"]} if spec.get("replicas") else {},
        "status": current,
    }


async def finalize(context: Context, resource: Resource) -> web.Response:
    """PUT of a namespace's ``spec.finalizers``."""
    if resource.key != NAMESPACES.key:
        raise no_such_resource()
    if context.info.verb != "update":
        raise method_not_allowed()
    given = await bodies.of_kind(context, resource)
    old = context.store.need(resource, None, context.info.name)
    finalizers = (given.get("spec") or {}).get("finalizers") or []
    stored = context.store.update(resource, {**old, "spec": {**old["spec"], "finalizers": finalizers}})
    return reading.show(context, resource, stored)


async def evict(context: Context, resource: Resource) -> web.Response:
    """POST of an Eviction: a delete that a PodDisruptionBudget can refuse (429)."""
    if resource.key != PODS.key:
        raise no_such_resource()
    if context.info.verb != "create":
        raise method_not_allowed()
    body = await bodies.anything(context, "Eviction")
    pod = context.store.need(resource, context.namespace, context.info.name)
    budgets = _budgets(context, pod)
    options = (body.get("deleteOptions") if isinstance(body, dict) else None) or {}
    given = options.get("gracePeriodSeconds")
    grace = int(pod["spec"].get("terminationGracePeriodSeconds", 30) if given is None else given)
    if not writing.dry_run(context):
        for budget in budgets:
            _spend(context, budget, pod)
        context.store.delete(resource, context.namespace, context.info.name, grace_seconds=grace)
    done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return answers.respond(context.request, done, 201)


def _budgets(context: Context, pod: Object) -> list[Object]:
    """The budgets that cover a pod. Raises ``ApiError`` 429 where one allows no disruption."""
    found = []
    for budget in context.store.view(RESOURCES["policy", "poddisruptionbudgets"], context.namespace):
        selector = (budget.get("spec") or {}).get("selector") or {}
        if not labels_match(from_label_selector(selector), pod):
            continue
        counts = budget.get("status") or {}
        if counts.get("disruptionsAllowed", 0) > 0:
            found.append(budget)
            continue
        name = budget["metadata"]["name"]
        cause = {
            "reason": "DisruptionBudget",
            "message": f"The disruption budget {name} needs {counts.get('desiredHealthy', 0)} healthy pods and has "
            f"{counts.get('currentHealthy', 0)} currently",
        }
        message = "Cannot evict pod as it would violate the pod's disruption budget."
        raise ApiError(429, "TooManyRequests", message, {"causes": [cause]})
    return found


def _spend(context: Context, budget: Object, pod: Object) -> None:
    """Count the eviction at once, so that the next one knows of it before the budget's controller has looked."""
    counts = {**budget["status"], "disruptionsAllowed": budget["status"]["disruptionsAllowed"] - 1}
    counts["disruptedPods"] = {**(counts.get("disruptedPods") or {}), pod["metadata"]["name"]: _now(context)}
    meta = budget["metadata"]
    context.store.set_status(RESOURCES["policy", "poddisruptionbudgets"], meta["namespace"], meta["name"], counts)


def _now(context: Context) -> str:
    return timestamp(context.store.now())


async def token(context: Context, resource: Resource) -> web.Response:
    """POST of a TokenRequest: a bearer token of the service account until it ends."""
    if resource.key != ("", "serviceaccounts"):
        raise no_such_resource()
    if context.info.verb != "create":
        raise method_not_allowed()
    body = await bodies.anything(context, "TokenRequest")
    account = context.store.need(resource, context.namespace, context.info.name)
    spec = (body.get("spec") if isinstance(body, dict) else None) or {}
    seconds = spec.get("expirationSeconds") or 3600
    if not isinstance(seconds, int) or seconds < 600:
        text = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
        cause = Cause("FieldValueInvalid", text, "spec.expirationSeconds")
        details = {"group": "authentication.k8s.io", "kind": "TokenRequest", "causes": [cause.json()]}
        message = f'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: {text}'
        raise ApiError(422, "Invalid", message, details)
    name, namespace = context.info.name, context.info.namespace
    ends = context.store.now() + seconds
    value = context.cluster.identities.issue(
        Identity(
            f"system:serviceaccount:{namespace}:{name}",
            ("system:serviceaccounts", f"system:serviceaccounts:{namespace}"),
            account["metadata"]["uid"],
        ),
        ends,
    )
    answer = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": timestamp(context.store.now())},
        "spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": seconds},
        "status": {"token": value, "expirationTimestamp": timestamp(ends)},
    }
    return answers.respond(context.request, answer, 201)
