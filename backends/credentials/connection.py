"""What a kubeconfig says about reaching one API server and signing in to it, resolved and ready for use."""

from typing import Any

from msgspec import Struct

from mesh.model.context import ContextRef
from mesh.text import Secret


class ExecPlugin(Struct, frozen=True):
    """``users[].user.exec``: a command that prints an ExecCredential (client.authentication.k8s.io)."""

    command: str
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = "IfAvailable"

    @property
    def argv(self) -> tuple[str, ...]:
        """Command and arguments as they are run."""
        return (self.command, *self.args)


class ClusterEntry(Struct, frozen=True):
    """``clusters[].cluster``; ``ca`` are PEM bytes, ``exec_config`` the extension that plugins are given."""

    server: str
    tls_server_name: str = ""
    insecure: bool = False
    ca: bytes | None = None
    proxy_url: str = ""
    disable_compression: bool = False
    exec_config: Any = None


class Impersonation(Struct, frozen=True):
    """``as``, ``as-uid``, ``as-groups`` and ``as-user-extra``."""

    user: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class UserEntry(Struct, frozen=True):
    """``users[].user``; ``certificate`` and ``key`` are PEM. ``auth_provider`` names the removed in-tree kind."""

    token: Secret | None = None
    token_file: str = ""
    username: str = ""
    password: Secret | None = None
    certificate: bytes | None = None
    key: Secret | None = None
    impersonation: Impersonation = Impersonation()
    plugin: ExecPlugin | None = None
    auth_provider: str = ""


class Connection(Struct, frozen=True):
    """Everything needed to talk to the API server of one context."""

    ref: ContextRef
    cluster: ClusterEntry
    user: UserEntry

    @property
    def secure(self) -> bool:
        """Whether credentials may be sent: over plain HTTP (``kubectl proxy``) client-go sends none, runs no plugin."""
        return self.cluster.server.lower().startswith("https://")


class Credential(Struct, frozen=True):
    """What proves who we are: a bearer token, or a client certificate with its key. ``expires`` in epoch, 0 = never."""

    token: Secret | None = None
    certificate: bytes | None = None
    key: Secret | None = None
    expires: float = 0.0
