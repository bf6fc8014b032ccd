"""``az``, as far as it concerns logins. Run by itself with the folder of logins as first argument; stdlib only."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

Login = dict[str, Any]

_VERSION: Final = {
    "azure-cli": "2.91.0",
    "azure-cli-core": "2.91.0",
    "azure-cli-telemetry": "1.1.0",
    "extensions": {},
}
_SECONDS: Final = 3600
_ENDED: Final = (
    "ERROR: AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency checks by conditional "
    "access. The token was issued on {issued} and the maximum allowed lifetime for this request is 43200. "
    "Trace ID: 2b5e0a9e-3f5d-4e0e-9a61-3f0f4d1c2a00\n"
    "Interactive authentication is needed. Please run:\naz login"
)
_NOBODY: Final = "ERROR: Please run 'az login' to setup account."
_WITH_VALUE: Final = (
    "--output",
    "-o",
    "--resource",
    "--scope",
    "--subscription",
    "-s",
    "--tenant",
    "-t",
    "--query",
    "--username",
    "-u",
)


class Failed(Exception):
    """What goes to stderr, and the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def read(folder: Path) -> Login:
    """The login. Raises ``Failed`` where nobody ever signed in."""
    try:
        login: Login = json.loads((folder / "azure.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise Failed(_NOBODY, 1) from None
    return login


def write(folder: Path, login: Login) -> None:
    """Replace the login."""
    fresh = folder / "azure.new"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(login, file)
    os.replace(fresh, folder / "azure.json")


def parse(argv: list[str]) -> tuple[list[str], dict[str, str]]:
    """Words and options; options without a value are "1"."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = iter(argv)
    for word in rest:
        if not word.startswith("-"):
            words.append(word)
            continue
        name, equals, value = word.partition("=")
        if equals:
            options[name] = value
        else:
            options[name] = next(rest, "") if name in _WITH_VALUE else "1"
    return words, options


def signed_in(folder: Path) -> Login:
    """The login if it is still valid."""
    login = read(folder)
    if not login["valid"]:
        issued = time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime(time.time() - 86400))
        raise Failed(_ENDED.format(issued=issued), 1)
    return login


def subscription(login: Login, options: dict[str, str]) -> Login:
    """The subscription asked for by id or name, or the default one. Raises ``Failed``."""
    wanted = options.get("--subscription") or options.get("-s")
    for row in login["subscriptions"]:
        if (wanted and wanted in (row["id"], row["name"])) or (not wanted and row["isDefault"]):
            found: Login = row
            return found
    raise Failed(f"ERROR: Subscription '{wanted}' not found. Check the spelling and casing and try again.", 1)


def access_token(folder: Path, options: dict[str, str]) -> Any:
    """``az account get-access-token``."""
    login = signed_in(folder)
    row = subscription(login, options)
    asked = options.get("--resource") or options.get("--scope", "").removesuffix("/.default")
    resource = (asked or "https://management.azure.com").rstrip("/")
    token = login["tokens"].get(resource)
    if token is None:
        raise Failed(
            f"ERROR: AADSTS500011: The resource principal named {resource} was not found in the tenant named "
            f"{login['tenant']}.",
            1,
        )
    ends = int(time.time()) + _SECONDS
    return {
        "accessToken": token,
        "expiresOn": time.strftime("%Y-%m-%d %H:%M:%S.000000", time.localtime(ends)),
        "expires_on": ends,
        "subscription": row["id"],
        "tenant": login["tenant"],
        "tokenType": "Bearer",
    }


def login(folder: Path, options: dict[str, str]) -> Any:
    """``az login``: the login is valid again."""
    held = read(folder)
    write(folder, {**held, "valid": True})
    sys.stderr.write(
        "A web browser has been opened at https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize. "
        "Please continue the login in the web browser. If no web browser is available or if the web browser fails to "
        "open, use device code flow with `az login --use-device-code`.\n"
    )
    return held["subscriptions"]


def logout(folder: Path, options: dict[str, str]) -> Any:
    """``az logout``."""
    write(folder, {**read(folder), "valid": False})
    return None


def account_show(folder: Path, options: dict[str, str]) -> Any:
    """``az account show``: answered from what is kept on disk, also when the login has ended."""
    return subscription(read(folder), options)


def account_list(folder: Path, options: dict[str, str]) -> Any:
    """``az account list``."""
    return read(folder)["subscriptions"]


COMMANDS: Final = {
    ("account", "get-access-token"): access_token,
    ("account", "show"): account_show,
    ("account", "list"): account_list,
    ("login",): login,
    ("logout",): logout,
}


def main(argv: list[str]) -> int:
    """Run; returns the exit code."""
    folder = Path(argv[0])
    words, options = parse(argv[1:])
    if words == ["version"] or "--version" in options:
        sys.stdout.write(json.dumps(_VERSION, indent=2) + "\n")
        return 0
    command = COMMANDS.get(tuple(words))
    try:
        if command is None:
            given = " ".join(words) or "_"
            raise Failed(f"ERROR: '{given}' is misspelled or not recognized by the system.", 2)
        answer = command(folder, options)
    except Failed as problem:
        sys.stderr.write(f"{problem}\n")
        return problem.code
    if answer is not None:
        _show(answer, options.get("--output") or options.get("-o") or "json")
    return 0


def _show(answer: Any, form: str) -> None:
    if form in ("none",):
        return
    if form == "tsv":
        rows = answer if isinstance(answer, list) else [answer]
        sys.stdout.writelines("\t".join(str(value) for value in row.values()) + "\n" for row in rows)
        return
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
