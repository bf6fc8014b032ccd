"""Row *rights*: which of the rights that reading and joining need this user has, asked of the API server itself."""

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from mesh import catalogue as fact
from mesh.facts import FactName, Reason
from mesh.model import kinds, rights
from mesh.model.context import Right, Rights
from mesh.model.kinds import Resource
from mesh.reading import ClusterReader, Collected, Cost, NotRead, Scope

_NAMED = re.compile(r'User "([^"\\]+)" cannot ')
_PLACES = (rights.SYSTEM, "default")


class _Rule(Struct):
    verbs: list[str] = []
    groups: list[str] | None = field(name="apiGroups", default=None)
    resources: list[str] | None = None
    names: list[str] | None = field(name="resourceNames", default=None)

    def gives(self, right: Right) -> bool:
        """Whether the rule gives the right, by RBAC's own matching; on named objects only if it names all we need."""
        _, _, part = right.resource.partition("/")
        wanted = {"*", right.resource, *((f"*/{part}",) if part else ())}
        if not {"*", right.verb} & set(self.verbs) or not {"*", right.group} & set(self.groups or ()):
            return False
        if not wanted & set(self.resources or ()):
            return False
        return not self.names or rights.NAMES.get(right, frozenset({""})) <= set(self.names)


class _RulesStatus(Struct):
    rules: list[_Rule] | None = field(name="resourceRules", default=None)
    incomplete: bool = False


class _RulesReview(Struct):
    status: _RulesStatus


class _AccessStatus(Struct):
    allowed: bool = False


class _AccessReview(Struct):
    status: _AccessStatus


class _Nothing(Struct):
    """An object of which nothing is kept."""


class _UserInfo(Struct):
    username: str = ""


class _SubjectStatus(Struct):
    user: _UserInfo = field(name="userInfo", default_factory=_UserInfo)


class _SubjectReview(Struct):
    status: _SubjectStatus


class RightsReview:
    """SelfSubjectRulesReview in kube-system and default.

    Where a webhook authorizes (EKS, AKS) it is incomplete: what it does not grant is then asked one by one with
    SelfSubjectAccessReview.
    """

    id = "rights"
    label = "rights"
    provides: tuple[FactName[Any], ...] = (fact.RIGHTS,)
    needs: tuple[FactName[Any], ...] = (fact.VERSION,)
    rbac: tuple[Right, ...] = ()
    cost = Cost.CHEAP
    timeout_s = 30.0
    max_bytes = 16_000_000

    async def collect(self, scope: Scope) -> Collected:
        """See ``Collector``."""
        reader = scope.reader
        reviews = await asyncio.gather(*(_rules(reader, place) for place in _PLACES))
        by_place = dict(zip(_PLACES, reviews, strict=True))
        incomplete = any(review.incomplete for review in reviews)
        granted = {right for right in rights.APPLY if _granted(right, by_place)}
        if incomplete:
            rest = [right for right in rights.APPLY if right not in granted]
            answers = await asyncio.gather(*(_allowed(reader, right) for right in rest))
            granted |= {right for right, allowed in zip(rest, answers, strict=True) if allowed}
            incomplete = any(allowed is None for allowed in answers)
        denied = tuple(right for right in rights.APPLY if right not in granted)
        user = await _user(reader) or await _user_by_refusal(reader, denied)
        found = Rights(user, tuple(right for right in rights.APPLY if right in granted), denied, incomplete)
        known = scope.known(found, "create selfsubjectrulesreviews")
        return Collected({fact.RIGHTS: known}, f"{len(granted)}/{len(rights.APPLY)} {rights.profile(found)}")


def _granted(right: Right, reviews: dict[str, _RulesStatus]) -> bool:
    """A right in every namespace is taken for granted when both namespaces have it."""
    places: Iterable[str] = (right.namespace,) if right.namespace in reviews else reviews
    return all(any(rule.gives(right) for rule in reviews[place].rules or ()) for place in places)


async def _rules(reader: ClusterReader, namespace: str) -> _RulesStatus:
    body = {"kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    return (await reader.review(kinds.RULES_REVIEWS, body, _RulesReview)).status


async def _allowed(reader: ClusterReader, right: Right) -> bool | None:
    resource, _, part = right.resource.partition("/")
    attributes = {"verb": right.verb, "group": right.group, "resource": resource, "namespace": right.namespace}
    body = {"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": {**attributes, "subresource": part}}}
    try:
        return (await reader.review(kinds.ACCESS_REVIEWS, body, _AccessReview)).status.allowed
    except NotRead:
        return None


async def _user(reader: ClusterReader) -> str:
    """Our name as the API server sees it; "" where it is too old to be asked (before 1.27)."""
    for version in ("v1", "v1beta1", "v1alpha1"):
        resource = Resource(kinds.SUBJECT_REVIEWS.plural, kinds.SUBJECT_REVIEWS.group, version)
        try:
            return (await reader.review(resource, {"kind": "SelfSubjectReview"}, _SubjectReview)).status.user.username
        except NotRead as error:
            if error.unknown.reason is not Reason.ABSENT_API:
                return ""
    return ""


async def _user_by_refusal(reader: ClusterReader, denied: Iterable[Right]) -> str:
    """Our name out of a refusal, which every API server writes it into; "" where there is none to be had."""
    for right in denied:
        if right.verb not in {"get", "list"} or "/" in right.resource or right.resource == kinds.SECRETS.plural:
            continue
        resource = Resource(right.resource, right.group)
        try:
            if right.verb == "list":
                await reader.list(resource, _Nothing, namespace=right.namespace)
            else:
                await reader.get(resource, _Nothing, "meshwright", right.namespace)
        except NotRead as error:
            found = _NAMED.search(error.unknown.detail)
            return found[1] if found and error.unknown.reason is Reason.FORBIDDEN else ""
        return ""
    return ""
