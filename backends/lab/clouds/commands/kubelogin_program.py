"""``kubelogin get-token`` by az's login. Run by itself with the folder of logins as first argument; stdlib only."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

_VERSION: Final = (
    "kubelogin version \ngit hash: v0.2.10/0f1b3e7\nGo version: go1.24.4\nBuild time: 2025-06-27T18:07:32Z\n"
    "Platform: linux/amd64"
)
_HELP: Final = (
    "login to azure active directory and populate kubeconfig with AAD tokens\n\nUsage:\n  kubelogin [flags]\n"
    "  kubelogin [command]\n\nAvailable Commands:\n  get-token          get AAD token\n"
    "  convert-kubeconfig convert kubeconfig to use exec auth module\n\nFlags:\n  -h, --help      help for kubelogin\n"
    "      --version   version for kubelogin\n"
)
_SECONDS: Final = 3600
_LOGINS: Final = (
    "devicecode",
    "interactive",
    "spn",
    "ropc",
    "msi",
    "azurecli",
    "azd",
    "workloadidentity",
    "azurepipelines",
)
_NEEDS_TERMINAL: Final = ("devicecode", "interactive")


class Failed(Exception):
    """What goes to stderr after ``Error: ``."""


def option(argv: list[str], *names: str) -> str:
    """The value of ``--name value`` or ``--name=value``."""
    for index, word in enumerate(argv):
        head, equals, tail = word.partition("=")
        if head in names:
            return tail if equals else next(iter(argv[index + 1 : index + 2]), "")
    return ""


def get_token(folder: Path, argv: list[str]) -> dict[str, Any]:
    """The ExecCredential. Raises ``Failed`` in kubelogin's words."""
    way = option(argv, "--login", "-l") or "devicecode"
    if way not in _LOGINS:
        raise Failed(f'"{way}" is not supported. Supported: {", ".join(_LOGINS)}')
    server = option(argv, "--server-id")
    if not server:
        raise Failed('required flag(s) "server-id" not set')
    try:
        login = json.loads((folder / "azure.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise Failed(
            "failed to get token: failed to create azidentity client: AzureCLICredential: ERROR: Please run 'az login' "
            "to setup account."
        ) from None
    if not login["valid"]:
        raise Failed(_ended(way))
    token = login["tokens"].get(server)
    if token is None:
        raise Failed(
            f"failed to get token: AADSTS500011: The resource principal named {server} was not found in the tenant"
        )
    asked = json.loads(os.environ.get("KUBERNETES_EXEC_INFO") or "{}")
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _SECONDS))
    return {
        "kind": "ExecCredential",
        "apiVersion": asked.get("apiVersion", "client.authentication.k8s.io/v1beta1"),
        "spec": {"interactive": False},
        "status": {"expirationTimestamp": ends, "token": token},
    }


def _ended(way: str) -> str:
    if way in _NEEDS_TERMINAL:
        return "failed to get token: expected an empty error but received: context deadline exceeded"
    return (
        "failed to get token: expected an empty error but received: AzureCLICredential: ERROR: AADSTS70043: The "
        "refresh token has expired or is invalid due to sign-in frequency checks by conditional access.\n"
        "Interactive authentication is needed. Please run:\naz login"
    )


def main(argv: list[str]) -> int:
    """Run; returns the exit code."""
    folder, words = Path(argv[0]), argv[1:]
    if "--version" in words:
        sys.stdout.write(_VERSION + "\n")
        return 0
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_HELP)
        return 0
    try:
        if words[0] != "get-token":
            raise Failed(f'unknown command "{words[0]}" for "kubelogin"')
        answer = get_token(folder, words[1:])
    except Failed as problem:
        sys.stderr.write(f"Error: {problem}\n")
        return 1
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
