"""Names, labels and annotations: the forms an API server accepts, with its complaints."""

import re
from collections.abc import Mapping
from typing import Any, Final

from backends.lab.storage.resources import Resource
from backends.lab.storage.status import Cause

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_1035: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")

_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_1035_TEXT: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_KEY_TEXT: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_ANY_NAME: Final = frozenset({"roles", "clusterroles", "rolebindings", "clusterrolebindings"})
_ANNOTATIONS_LIMIT: Final = 256 * 1024


def name_problem(resource: Resource, name: str) -> str | None:
    """The server's complaint about an object's name, or None."""
    if resource.group == "rbac.authorization.k8s.io" and resource.plural in _ANY_NAME:
        if name in (".", ".."):
            return f"may not be '{name}'"
        bad = next((sign for sign in "/%" if sign in name), None)
        return f"may not contain '{bad}'" if bad else None
    if resource.key == ("", "services"):
        if len(name) > 63:
            return "must be no more than 63 characters"
        return None if _LABEL_1035.fullmatch(name) else _LABEL_1035_TEXT
    if resource.key == ("", "namespaces"):
        if len(name) > 63:
            return "must be no more than 63 bytes"
        return None if _LABEL.fullmatch(name) else _LABEL_TEXT
    if len(name) > 253:
        return "must be no more than 253 bytes"
    return None if _SUBDOMAIN.fullmatch(name) else _SUBDOMAIN_TEXT


def metadata_causes(resource: Resource, meta: Mapping[str, Any]) -> list[Cause]:
    """Everything wrong with ``metadata``."""
    causes: list[Cause] = []
    name = meta.get("name")
    if not name:
        causes.append(Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name"))
    elif problem := name_problem(resource, str(name)):
        causes.append(Cause("FieldValueInvalid", f'Invalid value: "{name}": {problem}', "metadata.name"))
    for key, value in (meta.get("labels") or {}).items():
        causes += _key_causes(str(key), "metadata.labels")
        causes += _value_causes(str(value))
    annotations = meta.get("annotations") or {}
    for key in annotations:
        causes += _key_causes(str(key).lower(), "metadata.annotations")
    if sum(len(str(key)) + len(str(value)) for key, value in annotations.items()) > _ANNOTATIONS_LIMIT:
        text = "Too long: may not be more than 262144 bytes"
        causes.append(Cause("FieldValueTooLong", text, "metadata.annotations"))
    return causes


def _key_causes(key: str, field: str) -> list[Cause]:
    prefix, slash, name = key.rpartition("/")
    problems = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif slash and not _SUBDOMAIN.fullmatch(prefix):
        problems.append(f"prefix part {_SUBDOMAIN_TEXT}")
    if not name:
        problems.append("name part must be non-empty")
    if len(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    if not _QUALIFIED.fullmatch(name):
        problems.append(_KEY_TEXT)
    return [Cause("FieldValueInvalid", f'Invalid value: "{key}": {problem}', field) for problem in problems]


def _value_causes(value: str) -> list[Cause]:
    field = "metadata.labels"
    causes = []
    if len(value) > 63:
        text = f'Invalid value: "{value}": must be no more than 63 bytes'
        causes.append(Cause("FieldValueInvalid", text, field))
    if value and not _QUALIFIED.fullmatch(value):
        causes.append(Cause("FieldValueInvalid", f'Invalid value: "{value}": {_VALUE_TEXT}', field))
    return causes
