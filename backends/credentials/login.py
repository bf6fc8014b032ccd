"""Which command renews a login, and what a credential plugin's complaint means."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from mesh.facts import Reason
from mesh.text import clean, one_line

# Complaints that end with a person signing in, as the tools word them.
_LOGIN_ENDED: Final = re.compile(
    r"sso (?:session|access token|token)[^\n]*(?:expired|invalid|not exist)|error loading sso token"
    r"|retrieving token from sso|token has expired|expired ?token|security token[^\n]*(?:expired|invalid)"
    r"|unable to locate credentials|session has expired|re-?authenticat"
    r"|please run:? *[\"'`$]* *(?:az|aws|gcloud|kubelogin|tsh)\b|run [\"'`]?az login|az login|aws login|aws sso login"
    r"|gcloud auth login|AADSTS\d+|devicelogin|login\.microsoftonline|interactive authentication is needed"
    r"|interaction[_ ]required|refresh token[^\n]*(?:expired|revoked)|invalid_grant|no active account"
    r"|not (?:currently )?have an active account|not logged in|please (?:log|sign) ?in|login (?:has )?expired"
    r"|credentials? (?:has|have|are|is)? ?expired|open the (?:page|following|url)|opening (?:your|a) browser",
    re.IGNORECASE,
)
_PROGRAM_MISSING: Final = re.compile(
    r"exec: \"(?P<quoted>[\w.-]+)\": executable file not found|(?P<azure>Azure CLI) not found on path"
    r"|(?P<shell>[\w.-]+): (?:command )?not found$",
    re.IGNORECASE | re.MULTILINE,
)
_SECRET_OPTION: Final = re.compile(r"^--?[\w-]*(?:secret|password|token|api-?key)$", re.IGNORECASE)
_INSTALL: Final = {
    "aws": "install the AWS CLI, version 2",
    "aws-iam-authenticator": "install aws-iam-authenticator, or write the entry again: aws eks update-kubeconfig",
    "kubelogin": "az aks install-cli",
    "az": "install the Azure CLI",
    "gke-gcloud-auth-plugin": "gcloud components install gke-gcloud-auth-plugin",
    "kubectl-oidc_login": "kubectl krew install oidc-login",
}
_AUTH_PROVIDERS: Final = {
    "gcp": "gcloud components install gke-gcloud-auth-plugin, then gcloud container clusters get-credentials",
    "azure": "kubelogin convert-kubeconfig",
    "oidc": "kubectl krew install oidc-login, then kubectl oidc-login setup",
}


def option(argv: Sequence[str], *names: str) -> str:
    """The value of an option given as ``--name value`` or ``--name=value``; "" if it is not there."""
    for index, word in enumerate(argv):
        head, equals, tail = word.partition("=")
        if head in names:
            return tail if equals else next(iter(argv[index + 1 : index + 2]), "")
    return ""


def login_command(argv: Sequence[str], environment: Mapping[str, str], complaint: str = "") -> tuple[str, ...]:
    """The command with which a person renews this plugin's login; empty when none is known.

    ``environment`` are the plugin's variables over ours; ``complaint`` what it said, if it did.
    """
    tool = program(argv)
    if tool in ("aws", "aws-iam-authenticator"):
        return _aws(argv, environment, complaint)
    if tool == "kubelogin" and option(argv, "--server-id"):
        return _kubelogin(argv, environment)
    if tool == "az":
        return ("az", "login")
    if tool in ("gke-gcloud-auth-plugin", "gcloud"):
        return ("gcloud", "auth", "login")
    if tool == "tsh":
        proxy = option(argv, "--proxy")
        return ("tsh", "login", f"--proxy={proxy}") if proxy else ("tsh", "login")
    if asks_a_person(argv):
        return tuple(argv)
    return ()


def asks_a_person(argv: Sequence[str]) -> bool:
    """Whether this plugin itself leads a person through a login, so that running it on a terminal renews it."""
    tool = program(argv)
    if tool == "kubelogin" and option(argv, "--server-id"):
        return (option(argv, "--login", "-l") or "devicecode") in ("devicecode", "interactive")
    return "oidc-login" in argv or tool in ("kubelogin", "kubectl-oidc_login")


def program(argv: Sequence[str]) -> str:
    """The program's name without its folder."""
    return argv[0].replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".exe") if argv else ""


def meaning(complaint: str) -> Reason:
    """What a failed plugin's words mean: ``EXPIRED``, ``NO_PLUGIN`` (a program it needs is missing), or ``INVALID``."""
    if _PROGRAM_MISSING.search(complaint):
        return Reason.NO_PLUGIN
    return Reason.EXPIRED if _LOGIN_ENDED.search(complaint) else Reason.INVALID


def telling_line(complaint: str) -> str:
    """The line of a plugin's complaint that says most: the one about the login, else the last."""
    lines = [one_line(line, 300) for line in complaint.splitlines() if line.strip()]
    about = [line for line in lines if _LOGIN_ENDED.search(line) or _PROGRAM_MISSING.search(line)]
    return (about or lines[-1:] or ["it said nothing"])[0]


def how_to_install(argv: Sequence[str], hint: str = "", complaint: str = "") -> str:
    """How to get a missing plugin, by the kubeconfig's own hint first; or the program that its complaint names."""
    found = _PROGRAM_MISSING.search(complaint)
    if found:
        name, hint = "az" if found["azure"] else found["quoted"] or found["shell"], ""
    else:
        name = program(argv)
    return one_line(hint, 300) or _INSTALL.get(name, f"install {one_line(name, 60)} or put it on PATH")


def shown(argv: Sequence[str]) -> tuple[str, ...]:
    """A command as it may be shown: cleaned, values of options that hold secrets masked."""
    words: list[str] = []
    mask = False
    for word in argv:
        head, equals, _ = word.partition("=")
        secret = bool(_SECRET_OPTION.match(head)) and head != "--get-token"
        words.append("***" if mask else f"{head}=***" if secret and equals else clean(word))
        mask = secret and not equals and not mask
    return tuple(words)


def instead_of_auth_provider(name: str) -> str:
    """What replaces an auth-provider that kubectl no longer has."""
    return _AUTH_PROVIDERS.get(name, "write the user entry again with an exec plugin")


def _aws(argv: Sequence[str], environment: Mapping[str, str], complaint: str) -> tuple[str, ...]:
    profile = option(argv, "--profile") or environment.get("AWS_PROFILE", "")
    command = ("aws", "login") if re.search(r"\baws login\b", complaint) else ("aws", "sso", "login")
    return (*command, "--profile", profile) if profile else command


def _kubelogin(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    method = option(argv, "--login", "-l") or environment.get("AAD_LOGIN_METHOD", "") or "devicecode"
    tenant = option(argv, "--tenant-id", "-t") or environment.get("AZURE_TENANT_ID", "")
    if method == "azurecli":
        return ("az", "login", "--tenant", tenant) if tenant else ("az", "login")
    if method == "azd":
        return ("azd", "auth", "login", "--tenant-id", tenant) if tenant else ("azd", "auth", "login")
    return tuple(argv) if method in ("devicecode", "interactive") else ()
