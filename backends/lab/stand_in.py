"""Stand-in for ``aws``, ``az`` and ``kubelogin`` as credential plugins; copied into a lab's ``path`` and run by itself.

Standard library only, so that it starts in a few milliseconds. It reads the logins beside it (``../logins``) and fails
as the real commands fail when a login has ended.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

_LOGINS = Path(__file__).resolve().parents[1] / "logins"
_EKS_TOKEN_SECONDS = 14 * 60
_ENTRA_TOKEN_SECONDS = 60 * 60


def _option(argv: list[str], *names: str) -> str:
    for index, word in enumerate(argv):
        head, equals, tail = word.partition("=")
        if head in names:
            return tail if equals else next(iter(argv[index + 1 : index + 2]), "")
    return ""


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"{message}\n")
    return code


def _login(name: str) -> dict[str, Any] | None:
    try:
        login: dict[str, Any] = json.loads((_LOGINS / f"{name}.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    return login


def _renew(name: str, login: dict[str, Any]) -> None:
    fresh = _LOGINS / f"{name}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump({**login, "valid": True}, file)
    os.replace(fresh, _LOGINS / f"{name}.json")


def _credential(token: str, seconds: int) -> int:
    asked = json.loads(os.environ.get("KUBERNETES_EXEC_INFO") or "{}")
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    answer = {
        "kind": "ExecCredential",
        "apiVersion": asked.get("apiVersion", "client.authentication.k8s.io/v1beta1"),
        "spec": {},
        "status": {"expirationTimestamp": ends, "token": token},
    }
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def aws(argv: list[str]) -> int:
    """``aws eks get-token`` and ``aws sso login``."""
    profile = _option(argv, "--profile") or os.environ.get("AWS_PROFILE", "default")
    login = _login(f"aws-{profile}")
    if login is None:
        return _fail(f"\nThe config profile ({profile}) could not be found", 255)
    words = [word for word in argv if not word.startswith("-")]
    if "sso" in words and "login" in words:
        _renew(f"aws-{profile}", login)
        sys.stdout.write(f"Successfully logged into Start URL: {login['start_url']}\n")
        return 0
    if "get-token" not in words:
        return _fail("aws: error: the lab's stand-in knows: eks get-token, sso login", 252)
    if not login["valid"]:
        return _fail("\nError when retrieving token from sso: Token has expired and refresh failed", 255)
    name = _option(argv, "--cluster-name", "--cluster-id")
    token = login["tokens"].get(name)
    if token is None:
        # The real command signs a token for any name; the API server of another cluster then refuses it.
        token = f"k8s-aws-v1.{name}"
    return _credential(token, _EKS_TOKEN_SECONDS)


_AZ_ENDED = (
    "ERROR: AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency checks by conditional "
    "access.\nTo re-authenticate, please run:\naz login"
)


def kubelogin(argv: list[str]) -> int:
    """``kubelogin get-token --login azurecli``."""
    login = _login("azure")
    if not argv or argv[0] != "get-token":
        return _fail("Error: the lab's stand-in knows: get-token", 1)
    if login is None or not login["valid"]:
        return _fail(f"Error: failed to get token: AzureCLICredential: {_AZ_ENDED}", 1)
    token = login["tokens"].get(_option(argv, "--server-id"))
    if token is None:
        return _fail("Error: failed to get token: AADSTS500011: The resource principal was not found in the tenant", 1)
    return _credential(token, _ENTRA_TOKEN_SECONDS)


def az(argv: list[str]) -> int:
    """``az login``."""
    login = _login("azure")
    if login is None or argv[:1] != ["login"]:
        return _fail("ERROR: the lab's stand-in knows: login", 2)
    _renew("azure", login)
    sys.stdout.write(json.dumps(login["subscriptions"], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    _COMMANDS = {"aws": aws, "az": az, "kubelogin": kubelogin}
    sys.exit(_COMMANDS[Path(sys.argv[0]).name](sys.argv[1:]))
