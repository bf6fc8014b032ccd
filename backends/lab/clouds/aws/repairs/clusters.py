"""EKS: add-ons and access entries, which moto does not have at all."""

import re
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.eks import models, urls
from moto.eks.exceptions import InvalidParameterException, ResourceNotFoundException
from moto.eks.responses import EKSResponse

_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
_PATHS = (
    "{0}/clusters/(?P<name>[^/]+)/addons$",
    "{0}/clusters/(?P<name>[^/]+)/addons/(?P<addonName>[^/]+)$",
    "{0}/clusters/(?P<name>[^/]+)/access-entries$",
    "{0}/clusters/(?P<name>[^/]+)/access-entries/(?P<principalArn>.+)$",
)


def apply() -> None:
    """See the module."""
    module: Any = models
    module.validate_role_arn = _validate_role_arn
    for path in _PATHS:
        urls.url_paths[path] = urls.response.dispatch
    for method in (list_addons, describe_addon, list_access_entries, describe_access_entry):
        setattr(EKSResponse, method.__name__, method)


def _validate_role_arn(arn: str) -> None:
    """As moto's own, which reads botocore's list of regions anew each time (85 ms)."""
    if not _ROLE.fullmatch(arn):
        raise InvalidParameterException(message="Invalid Role Arn: '" + arn + "'")


def _held(response: Any, what: str) -> dict[str, Any]:
    cluster = response.eks_backend.describe_cluster(name=response._get_param("name"))
    found: dict[str, Any] = cluster.__dict__.setdefault(what, {})
    return found


def _missing(message: str) -> ResourceNotFoundException:
    return ResourceNotFoundException(
        clusterName=None, nodegroupName=None, fargateProfileName=None, addonName=None, message=message
    )


def list_addons(self: Any) -> ActionResult:
    """EKS operation ListAddons."""
    return ActionResult({"addons": sorted(_held(self, "addons"))})


def describe_addon(self: Any) -> ActionResult:
    """EKS operation DescribeAddon."""
    name = self._get_param("addonName")
    held = _held(self, "addons")
    if name not in held:
        raise _missing(f"No addon: {name} found in cluster: {self._get_param('name')}")
    return ActionResult({"addon": held[name]})


def list_access_entries(self: Any) -> ActionResult:
    """EKS operation ListAccessEntries."""
    return ActionResult({"accessEntries": sorted(_held(self, "access_entries"))})


def describe_access_entry(self: Any) -> ActionResult:
    """EKS operation DescribeAccessEntry."""
    principal = self._get_param("principalArn")
    held = _held(self, "access_entries")
    if principal not in held:
        raise _missing(f"The specified principalArn could not be found: {principal}")
    return ActionResult({"accessEntry": held[principal]})
