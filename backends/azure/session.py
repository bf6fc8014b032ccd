"""azure-mgmt clients for one subscription, and what their errors mean (cloud-network §3.1, §3.2, §3.6)."""

import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from backends.parts import AT_ONCE
from mesh.errors import UsageError
from mesh.facts import Reason
from mesh.reading import NotRead
from mesh.text import one_line

ENDPOINT = "MESHWRIGHT_AZURE_ENDPOINT"
LOGIN = "az login"


class AzureSession:
    """Clients made once each; ``exec_argv`` is the context's credential command.

    ``MESHWRIGHT_AZURE_ENDPOINT`` names another Azure Resource Manager (Azure Stack, sovereign clouds).
    Plain http is accepted for loopback addresses only: elsewhere a token would travel unprotected.
    """

    def __init__(self, subscription: str, exec_argv: tuple[str, ...] = ()) -> None:
        self.subscription = subscription
        self._by_cli = "azurecli" in exec_argv
        self._clients: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._credential: Any = None
        self._seats = threading.Semaphore(AT_ONCE)

    def network(self, subscription: str = "") -> Any:
        """The ``NetworkManagementClient``; a hub may be in another subscription."""
        return self._client("network", _network_client, subscription)

    def clusters(self) -> Any:
        """The ``ContainerServiceClient``."""
        return self._client("clusters", _cluster_client)

    def _client(self, kind: str, make: Callable[..., Any], subscription: str = "") -> Any:
        wanted = subscription or self.subscription
        name = f"{kind} {wanted.lower()}"
        with self._lock:
            if name not in self._clients:
                options: dict[str, Any] = {
                    "retry_total": 3,
                    "connection_timeout": 10,
                    "read_timeout": 30,
                    "polling_interval": 2,
                }
                endpoint = os.environ.get(ENDPOINT, "").rstrip("/")
                if endpoint:
                    options["base_url"] = endpoint
                    options["credential_scopes"] = ["https://management.azure.com/.default"]
                    if endpoint.startswith("http://"):
                        options["per_call_policies"] = [_plain_on_loopback(endpoint)]
                if self._credential is None:
                    self._credential = _credential(self._by_cli)
                self._clients[name] = make(self._credential, wanted, options)
            return self._clients[name]

    def call(self, action: str, ask: Callable[[], Any]) -> dict[str, Any]:
        """One object as REST JSON. Raises ``NotRead``; ``action`` is the Azure action that a denial names."""
        answer = self._guard(action, ask)
        found: dict[str, Any] = answer.as_dict() if hasattr(answer, "as_dict") else dict(answer or {})
        return found

    def pages(self, action: str, ask: Callable[[], Iterable[Any]]) -> list[dict[str, Any]]:
        """Every item of every page as REST JSON. Raises ``NotRead``."""
        return [item.as_dict() for item in self._guard(action, lambda: list(ask()))]

    def operation(self, action: str, begin: Callable[[], Any], seconds: float) -> dict[str, Any]:
        """The result of a long-running operation. Raises ``NotRead``, also when it has not ended within ``seconds``."""

        def ask() -> Any:
            poller = begin()
            found = poller.result(seconds)
            if not poller.done():
                raise NotRead(Reason.TIMEOUT, f"{action}: not finished within {seconds:g} s", right=action)
            return found

        return self.call(action, ask)

    def _guard(self, action: str, ask: Callable[[], Any]) -> Any:
        from azure.core.exceptions import AzureError

        try:
            with self._seats:
                return ask()
        except AzureError as error:
            raise not_read(error, action) from error


def _network_client(credential: Any, subscription: str, options: dict[str, Any]) -> Any:
    from azure.mgmt.network import NetworkManagementClient

    return NetworkManagementClient(credential, subscription, **options)


def _cluster_client(credential: Any, subscription: str, options: dict[str, Any]) -> Any:
    from azure.mgmt.containerservice import ContainerServiceClient

    return ContainerServiceClient(credential, subscription, **options)


def _credential(by_cli: bool) -> Any:
    """The login that the context itself uses; else the SDK's chain without the sources that wait or prompt."""
    from azure.identity import AzureCliCredential, DefaultAzureCredential

    # azure.identity reports through the root handler, which would print over the screen.
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    if by_cli:
        return AzureCliCredential(process_timeout=15)
    return DefaultAzureCredential(
        exclude_managed_identity_credential=True,
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
        exclude_broker_credential=True,
        exclude_interactive_browser_credential=True,
    )


def _plain_on_loopback(endpoint: str) -> Any:
    from urllib.parse import urlsplit

    from azure.core.pipeline import PipelineRequest
    from azure.core.pipeline.policies import SansIOHTTPPolicy

    if (urlsplit(endpoint).hostname or "") not in ("127.0.0.1", "localhost", "::1"):
        raise UsageError(f"{ENDPOINT} must be https: a token would travel unprotected to {endpoint}")

    class Plain(SansIOHTTPPolicy[Any, Any]):
        """Lets the bearer token policy pass for this loopback endpoint."""

        def on_request(self, request: PipelineRequest[Any]) -> None:
            """Before the token is asked for."""
            request.context["enforce_https"] = False
            request.context.options["enforce_https"] = False

    return Plain()


def not_read(error: Exception, action: str) -> NotRead:
    """An SDK error in our words, with the right it was about and Azure's code."""
    code = str(getattr(getattr(error, "error", None), "code", "") or "")
    made = _words(error, action, code)
    made.right, made.code = action, one_line(code, 80)
    return made


def _words(error: Exception, action: str, code: str) -> NotRead:
    """Narrow classes first, as they inherit from each other."""
    name = type(error).__name__
    text = one_line(str(getattr(error, "message", "") or error), 300)
    status = getattr(error, "status_code", None)
    if name == "CredentialUnavailableError" or status == 401 or name == "ClientAuthenticationError":
        return NotRead(Reason.EXPIRED, text, LOGIN)
    if code == "DenyAssignmentAuthorizationFailed":
        return NotRead(
            Reason.FORBIDDEN, f"{action}: the node resource group is locked", "change it through the AKS API"
        )
    if status == 403:
        return NotRead(
            Reason.FORBIDDEN, f"{action} is not allowed", f"grant {action} (role Reader) on the scope named: {text}"
        )
    if status == 404:
        return NotRead(Reason.INVALID, f"{action}: not found: {text}", f"{LOGIN} with the account of this subscription")
    if status == 429:
        return NotRead(Reason.THROTTLED, text, "read again later")
    if name == "ServiceRequestError":
        return NotRead(Reason.UNREACHABLE, text)
    if name in ("ServiceResponseError", "ServiceResponseTimeoutError"):
        return NotRead(Reason.TIMEOUT, text)
    return NotRead(Reason.INVALID, f"{action}: {text}")
