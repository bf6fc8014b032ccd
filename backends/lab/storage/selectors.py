"""Label and field selectors as an API server reads them from a query."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from backends.lab.storage.resources import Resource
from backends.lab.storage.status import ApiError, bad_request

Object: TypeAlias = dict[str, Any]

_TOKEN: Final = re.compile(r"\s*(==|!=|=|!|,|\(|\)|>|<|[^\s=!,()<>]+)")
_COMPARISONS: Final = {"=": "in", "==": "in", "!=": "notin", "in": "in", "notin": "notin", ">": "gt", "<": "lt"}
_SIGNS: Final = frozenset({"==", "!=", "=", "!", ",", "(", ")", ">", "<", ""})


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a label selector: ``operator`` is in, notin, exists, absent, gt or lt."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels satisfies the term; ``notin`` is true where the key is absent."""
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "absent":
                return value is None
        if value is None or not value.lstrip("-").isdigit():
            return False
        bound = int(next(iter(self.values)))
        return int(value) > bound if self.operator == "gt" else int(value) < bound


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Read a ``labelSelector``. Raises ``ApiError`` 400 with the parser's complaint."""
    tokens = [*_TOKEN.findall(text), ""]
    requirements: list[Requirement] = []
    while tokens[0]:
        requirements.append(_requirement(tokens))
        if tokens[0] == ",":
            tokens.pop(0)
            if tokens[0] in ("", ","):
                raise _unparsed(tokens[0], "identifier after ','")
        elif tokens[0]:
            raise _unparsed(tokens[0], "',' or 'end of string'")
    return tuple(requirements)


def _unparsed(found: str, expected: str) -> ApiError:
    return bad_request(f"unable to parse requirement: found '{found}', expected: {expected}")


def _requirement(tokens: list[str]) -> Requirement:
    """Take one term off the tokens (k8s.io/apimachinery/pkg/labels)."""
    negated = tokens[0] == "!"
    if negated:
        tokens.pop(0)
    key = tokens.pop(0)
    if key in _SIGNS or key in ("in", "notin"):
        raise _unparsed(key, "identifier")
    if tokens[0] in ("", ","):
        return Requirement(key, "absent" if negated else "exists")
    sign = tokens.pop(0)
    operator = _COMPARISONS.get(sign)
    if operator is None or negated:
        raise _unparsed(sign, "in, notin, =, ==, !=, gt, lt")
    if sign in ("in", "notin"):
        return Requirement(key, operator, _values(tokens))
    value = "" if tokens[0] in ("", ",") else tokens.pop(0)
    if value in _SIGNS and value:
        raise _unparsed(value, "identifier")
    if operator in ("gt", "lt") and not value.lstrip("-").isdigit():
        why = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise bad_request(f'values[0][{key}]: Invalid value: "{value}": {why}')
    return Requirement(key, operator, frozenset([value]))


def _values(tokens: list[str]) -> frozenset[str]:
    opening = tokens.pop(0)
    if opening != "(":
        raise bad_request(f"unable to parse requirement: found '{opening}' expected: '('")
    values: set[str] = set()
    while tokens[0] != ")":
        if tokens[0] == ",":
            values.add("")
            tokens.pop(0)
            continue
        if tokens[0] in _SIGNS:
            raise _unparsed(tokens[0], "',', ')' or identifier")
        values.add(tokens.pop(0))
        if tokens[0] == ",":
            tokens.pop(0)
        elif tokens[0] != ")":
            raise _unparsed(tokens[0], "',' or ')'")
    tokens.pop(0)
    return frozenset(values)


def from_mapping(labels: Mapping[str, str]) -> tuple[Requirement, ...]:
    """Equality terms, as a Service's selector means them."""
    return tuple(Requirement(key, "in", frozenset([value])) for key, value in labels.items())


def from_label_selector(selector: Mapping[str, Any]) -> tuple[Requirement, ...]:
    """Terms of a ``LabelSelector`` (``matchLabels``, ``matchExpressions``) of a workload."""
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}
    expressions = selector.get("matchExpressions") or ()
    return from_mapping(selector.get("matchLabels") or {}) + tuple(
        Requirement(term["key"], operators[term["operator"]], frozenset(term.get("values") or ()))
        for term in expressions
    )


def labels_match(requirements: tuple[Requirement, ...], obj: Object) -> bool:
    """Whether the object's labels satisfy every term."""
    labels = obj["metadata"].get("labels") or {}
    return all(requirement.holds(labels) for requirement in requirements)


_COMMON: Final = frozenset({"metadata.name", "metadata.namespace"})
_FIELDS: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("", "pods"): frozenset(
        {
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        }
    ),
    ("", "nodes"): frozenset({"spec.unschedulable"}),
    ("", "namespaces"): frozenset({"status.phase"}),
    ("", "secrets"): frozenset({"type"}),
    ("", "services"): frozenset({"spec.clusterIP", "spec.type"}),
    ("", "events"): frozenset(
        {
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        }
    ),
    ("apps", "replicasets"): frozenset({"status.replicas"}),
    ("batch", "jobs"): frozenset({"status.successful"}),
    ("certificates.k8s.io", "certificatesigningrequests"): frozenset({"spec.signerName"}),
}


def _field(obj: Object, path: str) -> str:
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if path == "source":
        return str((value or {}).get("component", ""))
    if isinstance(value, bool):
        return "true" if value else "false"
    if path in ("spec.unschedulable", "spec.hostNetwork"):
        return "false"
    return "" if value is None else str(value)


def parse_fields(resource: Resource, text: str) -> Callable[[Object], bool]:
    """Read a ``fieldSelector``. Raises ``ApiError`` 400 for a field the kind does not select by."""
    terms: list[tuple[str, bool, str]] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", part)
        if match is None:
            raise ApiError(400, "BadRequest", f"invalid selector: '{text}'; can't understand '{part}'")
        path, operator, value = match.groups()
        if path not in _COMMON | _FIELDS.get(resource.key, frozenset()):
            raise bad_request(_unsupported(resource, path))
        terms.append((path, operator != "!=", value))
    return lambda obj: all((_field(obj, path) == value) is wanted for path, wanted, value in terms)


def _unsupported(resource: Resource, path: str) -> str:
    if resource.key == ("batch", "jobs"):
        return f'field label "{path}" not supported for {resource.kind}'
    if resource.key in _FIELDS:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
