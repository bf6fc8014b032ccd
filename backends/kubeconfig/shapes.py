"""The shape of a kubeconfig file (k8s.io/client-go/tools/clientcmd/api/v1), with the types that kubectl insists on."""

from typing import Any

from msgspec import Struct, field

Text = str | None


class Named(Struct):
    """``name`` and ``extension`` of an extension."""

    name: Text = None
    extension: Any = None


class Cluster(Struct):
    """``clusters[].cluster``."""

    server: Text = None
    tls_server_name: Text = field(name="tls-server-name", default=None)
    insecure: bool | None = field(name="insecure-skip-tls-verify", default=None)
    ca_file: Text = field(name="certificate-authority", default=None)
    ca_data: Text = field(name="certificate-authority-data", default=None)
    proxy_url: Text = field(name="proxy-url", default=None)
    disable_compression: bool | None = field(name="disable-compression", default=None)
    extensions: list[Named] | None = None


class EnvVar(Struct):
    """One variable for a plugin."""

    name: Text = None
    value: Text = None


class Exec(Struct):
    """``users[].user.exec``."""

    command: Text = None
    args: list[Text] | None = None
    env: list[EnvVar] | None = None
    api_version: Text = field(name="apiVersion", default=None)
    install_hint: Text = field(name="installHint", default=None)
    provide_cluster_info: bool | None = field(name="provideClusterInfo", default=None)
    interactive_mode: Text = field(name="interactiveMode", default=None)


class AuthProvider(Struct):
    """``users[].user.auth-provider``; removed from kubectl, kept here so that it can be named."""

    name: Text = None
    config: dict[str, Text] | None = None


class User(Struct):
    """``users[].user``."""

    client_certificate: Text = field(name="client-certificate", default=None)
    client_certificate_data: Text = field(name="client-certificate-data", default=None)
    client_key: Text = field(name="client-key", default=None)
    client_key_data: Text = field(name="client-key-data", default=None)
    token: Text = None
    token_file: Text = field(name="tokenFile", default=None)
    impersonate: Text = field(name="as", default=None)
    impersonate_uid: Text = field(name="as-uid", default=None)
    impersonate_groups: list[Text] | None = field(name="as-groups", default=None)
    impersonate_extra: dict[str, list[Text] | None] | None = field(name="as-user-extra", default=None)
    username: Text = None
    password: Text = None
    auth_provider: AuthProvider | None = field(name="auth-provider", default=None)
    exec: Exec | None = None


class Context(Struct):
    """``contexts[].context``."""

    cluster: Text = None
    user: Text = None
    namespace: Text = None


class NamedCluster(Struct):
    """One of ``clusters``."""

    name: Text = None
    cluster: Cluster | None = None


class NamedUser(Struct):
    """One of ``users``."""

    name: Text = None
    user: User | None = None


class NamedContext(Struct):
    """One of ``contexts``."""

    name: Text = None
    context: Context | None = None


class Config(Struct):
    """A whole file."""

    kind: Text = None
    api_version: Text = field(name="apiVersion", default=None)
    clusters: list[NamedCluster | None] | None = None
    users: list[NamedUser | None] | None = None
    contexts: list[NamedContext | None] | None = None
    current_context: Text = field(name="current-context", default=None)
