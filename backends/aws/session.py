"""boto3 clients for one account and region, and what their errors mean (cloud-network §2.1, §2.5)."""

import functools
import threading
from collections.abc import Callable
from typing import Any

from backends.parts import AT_ONCE
from mesh.facts import Reason
from mesh.model.context import ContextRef
from mesh.reading import NotRead
from mesh.text import one_line

_DENIED = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
_EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "AuthFailure",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
}
_THROTTLED = {
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "EC2ThrottledException",
    "TooManyRequestsException",
}
# What policies call a service where the SDK calls it otherwise.
_IAM = {"elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing"}
_EXPIRED_CLASSES = {"UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError", "CredentialRetrievalError"}


def argument(argv: tuple[str, ...], name: str) -> str:
    """The value of ``--name value`` or ``--name=value``."""
    for index, word in enumerate(argv):
        if word == name and index + 1 < len(argv):
            return argv[index + 1]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""


class AwsSession:
    """Clients made once each; the profile is the one that the context's own credential command names."""

    def __init__(self, ref: ContextRef) -> None:
        self.region = ref.region or argument(ref.exec_argv, "--region")
        self.profile = argument(ref.exec_argv, "--profile")
        self._clients: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._session: Any = None
        self._seats = threading.Semaphore(AT_ONCE)

    @property
    def login(self) -> str:
        """The command that renews the login."""
        return f"aws sso login --profile {self.profile}" if self.profile else "aws sso login"

    def client(self, service: str) -> Any:
        """A client with short time-outs and the SDK's standard retries. Raises ``NotRead``."""
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        with self._lock:
            try:
                if self._session is None:
                    self._session = _session(self.profile, self.region)
                if service not in self._clients:
                    config = Config(
                        retries={"mode": "standard", "max_attempts": 4},
                        connect_timeout=5,
                        read_timeout=20,
                        max_pool_connections=16,
                    )
                    self._clients[service] = self._session.client(service, config=config)
            except BotoCoreError as error:
                raise self.not_read(error, f"{service} client") from error
            return self._clients[service]

    def call(self, service: str, action: str, **arguments: Any) -> dict[str, Any]:
        """One call. Raises ``NotRead`` naming the right that would lift a denial."""
        found: dict[str, Any] = self._guard(service, action, lambda client: getattr(client, action)(**arguments))
        return found

    def pages(self, service: str, action: str, key: str, **arguments: Any) -> list[dict[str, Any]]:
        """Every item under ``key`` of every page. Raises ``NotRead``."""
        return [item for page in self.every_page(service, action, **arguments) for item in page.get(key, [])]

    def every_page(self, service: str, action: str, **arguments: Any) -> list[dict[str, Any]]:
        """The pages themselves. Raises ``NotRead``."""

        def ask(client: Any) -> list[dict[str, Any]]:
            if not client.can_paginate(action):
                return [getattr(client, action)(**arguments)]
            return list(client.get_paginator(action).paginate(**arguments))

        found: list[dict[str, Any]] = self._guard(service, action, ask)
        return found

    def _guard(self, service: str, action: str, ask: Callable[[Any], Any]) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        client = self.client(service)
        try:
            with self._seats:
                return ask(client)
        except (ClientError, BotoCoreError) as error:
            raise self.not_read(error, f"{_IAM.get(service, service)}:{_camel(action)}") from error

    def not_read(self, error: Exception, right: str) -> NotRead:
        """An SDK error in our words."""
        response = getattr(error, "response", None)
        code = str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
        made = self._words(error, right, code)
        made.right, made.code = right, one_line(code, 80)
        return made

    def _words(self, error: Exception, right: str, code: str) -> NotRead:
        text = one_line(str(error), 300)
        name = type(error).__name__
        if code in _DENIED:
            return NotRead(Reason.FORBIDDEN, f"{right} is not allowed", f"allow {right} on *")
        if code in _EXPIRED or name in _EXPIRED_CLASSES:
            return NotRead(Reason.EXPIRED, text, self.login)
        if name in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"):
            return NotRead(Reason.EXPIRED, text, f"{self.login}, or set AWS_PROFILE")
        if code in _THROTTLED:
            return NotRead(Reason.THROTTLED, f"{right}: {text}", "read again later")
        if name in ("EndpointConnectionError", "ConnectionClosedError", "ProxyConnectionError"):
            return NotRead(Reason.UNREACHABLE, text)
        if name in ("ConnectTimeoutError", "ReadTimeoutError"):
            return NotRead(Reason.TIMEOUT, text)
        where = f" (region {self.region or 'not set'})"
        return NotRead(Reason.INVALID, f"{right}: {text}{where}")


def _session(profile: str, region: str) -> Any:
    """A session that shares its service models with all others: to read EC2's takes 0.1 s of CPU each time."""
    import boto3
    import botocore.session

    core = botocore.session.get_session()
    if profile:
        # Before anything is asked of it: AWS_PROFILE may name one that is not there.
        core.set_config_variable("profile", profile)
    core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
    return boto3.Session(botocore_session=core, region_name=region or None)


@functools.cache
def _loader(data_path: str | None) -> Any:
    from botocore.loaders import create_loader

    return create_loader(data_path)


def _camel(action: str) -> str:
    return "".join(part.capitalize() for part in action.split("_"))
