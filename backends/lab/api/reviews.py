"""Questions about rights: who am I, may I, what may I; answered by the authorizer that also decides."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from backends.lab.api import answers, bodies
from backends.lab.api.authorizer import Attributes
from backends.lab.api.context import Context
from backends.lab.api.discovery import REVIEWS
from backends.lab.api.identity import Identity
from backends.lab.objects import Object, timestamp
from backends.lab.storage.status import bad_request, method_not_allowed


def is_review(context: Context) -> bool:
    """Whether the path names a kind that is only asked, never stored."""
    info = context.info
    return any(extra.name == info.resource for extra in REVIEWS.get((info.group, info.version), ()))


async def serve(context: Context) -> web.Response:
    """Answer a posted review. Raises ``ApiError`` 400 for what is not the named kind, 405 for other methods."""
    info = context.info
    if info.verb != "create":
        raise method_not_allowed()
    extra = next(extra for extra in REVIEWS[info.group, info.version] if extra.name == info.resource)
    body = await bodies.anything(context, extra.kind)
    if not isinstance(body, dict) or body.get("kind", extra.kind) != extra.kind:
        raise bad_request(f"the object provided is unrecognized (must be of type {extra.kind})")
    spec = body.get("spec") or {}
    answer: Object = {"kind": extra.kind, "apiVersion": f"{info.group}/{info.version}", "metadata": {}}
    if extra.kind == "SelfSubjectReview":
        answer["metadata"] = {"creationTimestamp": timestamp(context.store.now())}
        answer["status"] = {"userInfo": user_info(context.who)}
    elif extra.kind == "SelfSubjectRulesReview":
        if not spec.get("namespace"):
            raise bad_request("no namespace on request")
        answer |= {"spec": {}, "status": _rules(context, str(spec["namespace"]))}
    else:
        answer |= {"spec": spec, "status": _access(context, extra.kind, spec)}
    return answers.respond(context.request, answer, 201)


def user_info(who: Identity) -> Object:
    """``UserInfo`` of an identity."""
    info: Object = {"username": who.name}
    if who.uid:
        info["uid"] = who.uid
    info["groups"] = list(who.groups)
    if who.extra:
        info["extra"] = {key: list(values) for key, values in who.extra.items()}
    return info


def _access(context: Context, kind: str, spec: Mapping[str, Any]) -> Object:
    who = context.who
    if not kind.startswith("SelfSubject"):
        who = Identity(str(spec.get("user", "")), tuple(spec.get("groups") or ()))
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        raise bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    if resource is not None:
        what = Attributes(
            str(resource.get("verb", "")),
            str(resource.get("group", "")),
            str(resource.get("resource", "")),
            str(resource.get("subresource", "")),
            str(resource.get("namespace", "")),
            str(resource.get("name", "")),
        )
    else:
        what = Attributes(str((path or {}).get("verb", "")), path=str((path or {}).get("path", "")))
    reason = context.authorizer.reason(who, what)
    if reason is None:
        return {"allowed": False}
    return {"allowed": True, "reason": reason} if reason else {"allowed": True}


def _rules(context: Context, namespace: str) -> Object:
    resources: list[Object] = []
    paths: list[Object] = []
    for rule, _ in context.authorizer.rules(context.who, namespace):
        verbs = list(rule.get("verbs") or ())
        if rule.get("nonResourceURLs"):
            paths.append({"verbs": verbs, "nonResourceURLs": list(rule["nonResourceURLs"])})
        if rule.get("resources"):
            entry: Object = {"verbs": verbs, "apiGroups": list(rule.get("apiGroups") or ())}
            entry["resources"] = list(rule["resources"])
            if rule.get("resourceNames"):
                entry["resourceNames"] = list(rule["resourceNames"])
            resources.append(entry)
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}
