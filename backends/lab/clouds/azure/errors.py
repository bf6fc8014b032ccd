"""Azure Resource Manager's errors (cloud-network §3.6)."""

from collections.abc import Mapping

from backends.lab.clouds.azure.paths import ArmPath


class ArmError(Exception):
    """An error answer: ``{"error": {"code", "message"}}`` with a status and perhaps headers."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self) -> dict[str, dict[str, str]]:
        """The answer's JSON."""
        return {"error": {"code": self.code, "message": self.message}}


def challenge(tenant: str, error: str, description: str) -> dict[str, str]:
    """The ``WWW-Authenticate`` header of a 401."""
    return {
        "WWW-Authenticate": (
            f'Bearer authorization_uri="https://login.microsoftonline.com/{tenant}", error="{error}", '
            f'error_description="{description}"'
        )
    }


def not_found(path: ArmPath) -> ArmError:
    """404 for a resource, with the words that differ between top level and child."""
    if len(path.segments) > 2:
        return ArmError(404, "NotFound", f"Resource {path.id} not found.")
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{path.type}/{path.names[0]}' under resource group '{path.group}' was not found. For more "
        "details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def group_not_found(group: str) -> ArmError:
    """404 for a resource group."""
    return ArmError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def subscription_not_found(subscription: str) -> ArmError:
    """404 for a subscription, mostly because another account is signed in."""
    return ArmError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def denied(client: str, object_id: str, action: str, scope: str) -> ArmError:
    """403 naming the action that is missing."""
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{client}' with object id '{object_id}' does not have authorization to perform action "
        f"'{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh "
        "your credentials.",
    )


def locked(client: str, object_id: str, action: str, scope: str) -> ArmError:
    """403 of a node resource group under lockdown."""
    return ArmError(
        403,
        "DenyAssignmentAuthorizationFailed",
        f"The client '{client}' with object id '{object_id}' has permission to perform action '{action}' on scope "
        f"'{scope}'; however, the access is denied because of the deny assignment with name "
        "'AKS node resource group lockdown'.",
    )


def bad(code: str, message: str) -> ArmError:
    """400."""
    return ArmError(400, code, message)
