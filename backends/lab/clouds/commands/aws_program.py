"""``aws``, as far as it concerns logins. Run by itself with the folder of logins as first argument; stdlib only."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

Login = dict[str, Any]

_VERSION: Final = "aws-cli/2.31.13 Python/3.13.7 Linux/6.1 exe/x86_64"
_TOKEN_SECONDS: Final = 14 * 60
_USAGE: Final = (
    "\nusage: aws [options] <command> <subcommand> [<subcommand> ...] [parameters]\n"
    "To see help text, you can run:\n\n  aws help\n  aws <command> help\n  aws <command> <subcommand> help\n\n"
)
_ENDED: Final = "\nError when retrieving token from sso: Token has expired and refresh failed"
_WITH_VALUE: Final = (
    "--profile",
    "--region",
    "--output",
    "--cluster-name",
    "--cluster-id",
    "--role-arn",
    "--format",
    "--endpoint-url",
    "--query",
    "--sso-session",
    "--cli-read-timeout",
    "--cli-connect-timeout",
    "--color",
)


class Failed(Exception):
    """What goes to stderr, and the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def read(folder: Path, profile: str) -> Login:
    """The login of a profile. Raises ``Failed`` as aws does for an unknown one."""
    try:
        login: Login = json.loads((folder / f"aws-{profile}.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise Failed(f"\nThe config profile ({profile}) could not be found", 255) from None
    return login


def write(folder: Path, profile: str, login: Login) -> None:
    """Replace the login of a profile."""
    fresh = folder / f"aws-{profile}.new"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(login, file)
    os.replace(fresh, folder / f"aws-{profile}.json")


def parse(argv: list[str]) -> tuple[list[str], dict[str, str]]:
    """Words and options; options without a value are "1"."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = iter(argv)
    for word in rest:
        if not word.startswith("--"):
            words.append(word)
            continue
        name, equals, value = word.partition("=")
        if equals:
            options[name] = value
        else:
            options[name] = next(rest, "") if name in _WITH_VALUE else "1"
    return words, options


def now(seconds: int) -> str:
    """UTC in RFC 3339, ``seconds`` from now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def signed_in(folder: Path, profile: str) -> Login:
    """The login if it is still valid."""
    login = read(folder, profile)
    if not login["valid"]:
        raise Failed(_ENDED, 255)
    return login


def get_token(folder: Path, profile: str, options: dict[str, str]) -> str:
    """``aws eks get-token``."""
    name = options.get("--cluster-name") or options.get("--cluster-id")
    if not name:
        raise Failed("\nEither parameter --cluster-name or --cluster-id must be specified.", 255)
    login = signed_in(folder, profile)
    # The real command signs a token for any name; the API server of another cluster then refuses it.
    token = login["tokens"].get(name) or f"k8s-aws-v1.{name.encode().hex()}"
    asked = json.loads(os.environ.get("KUBERNETES_EXEC_INFO") or "{}")
    answer = {
        "kind": "ExecCredential",
        "apiVersion": asked.get("apiVersion", "client.authentication.k8s.io/v1beta1"),
        "spec": {},
        "status": {"expirationTimestamp": now(_TOKEN_SECONDS), "token": token},
    }
    return json.dumps(answer)


def sso_login(folder: Path, profile: str, options: dict[str, str]) -> str:
    """``aws sso login``: the login is valid again."""
    login = read(folder, profile)
    write(folder, profile, {**login, "valid": True})
    return (
        "Attempting to automatically open the SSO authorization page in your default browser.\n"
        "If the browser does not open or you wish to use a different device to authorize this request, open the "
        f"following URL:\n\n{login['start_url']}/#/device\n\nThen enter the code:\n\nMESH-WLAB\n"
        f"Successfully logged into Start URL: {login['start_url']}"
    )


def sso_logout(folder: Path, profile: str, options: dict[str, str]) -> str:
    """``aws sso logout``: every login ends."""
    for path in folder.glob("aws-*.json"):
        name = path.stem[len("aws-") :]
        write(folder, name, {**read(folder, name), "valid": False})
    return ""


def caller_identity(folder: Path, profile: str, options: dict[str, str]) -> str:
    """``aws sts get-caller-identity``."""
    login = signed_in(folder, profile)
    role = f"AWSReservedSSO_{login['role']}_{login['account'][:8]}"
    answer = {
        "UserId": f"AROA{login['access_key'][4:]}:{login['user']}",
        "Account": login["account"],
        "Arn": f"arn:aws:sts::{login['account']}:assumed-role/{role}/{login['user']}",
    }
    if options.get("--output") == "text":
        return "\t".join((answer["Account"], answer["Arn"], answer["UserId"]))
    return json.dumps(answer, indent=4)


def export_credentials(folder: Path, profile: str, options: dict[str, str]) -> str:
    """``aws configure export-credentials``, also as a ``credential_process``."""
    login = signed_in(folder, profile)
    keys = {
        "AccessKeyId": login["access_key"],
        "SecretAccessKey": login["secret_key"],
        "SessionToken": login["session_token"],
        "Expiration": now(_TOKEN_SECONDS),
    }
    if options.get("--format") == "env":
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION")
        return "\n".join(f"export {name}={value}" for name, value in zip(names, keys.values(), strict=True))
    return json.dumps({"Version": 1, **keys}, indent=2)


def list_profiles(folder: Path, profile: str, options: dict[str, str]) -> str:
    """``aws configure list-profiles``."""
    return "\n".join(sorted(path.stem[len("aws-") :] for path in folder.glob("aws-*.json")))


COMMANDS: Final = {
    ("eks", "get-token"): get_token,
    ("sso", "login"): sso_login,
    ("sso", "logout"): sso_logout,
    ("sts", "get-caller-identity"): caller_identity,
    ("configure", "export-credentials"): export_credentials,
    ("configure", "list-profiles"): list_profiles,
}


def refusal(words: list[str]) -> Failed:
    """The usage error for what this command does not have."""
    if not words:
        return Failed(f"{_USAGE}aws: error: the following arguments are required: command", 252)
    known = sorted({command for command, _ in COMMANDS})
    if words[0] not in known:
        choices = "\n".join(f"  {name}" for name in known)
        text = f"aws: error: argument command: Invalid choice, valid choices are:\n\n{choices}"
        return Failed(f"{_USAGE}{text}", 252)
    if len(words) < 2:
        return Failed(f"{_USAGE}aws: error: the following arguments are required: operation", 252)
    choices = "\n".join(f"  {name}" for command, name in sorted(COMMANDS) if command == words[0])
    return Failed(f"{_USAGE}aws: error: argument operation: Invalid choice, valid choices are:\n\n{choices}", 252)


def main(argv: list[str]) -> int:
    """Run; returns the exit code."""
    folder, words_and_options = Path(argv[0]), argv[1:]
    words, options = parse(words_and_options)
    if "--version" in options:
        sys.stdout.write(_VERSION + "\n")
        return 0
    profile = options.get("--profile") or os.environ.get("AWS_PROFILE") or "default"
    command = COMMANDS.get((words[0], words[1])) if len(words) == 2 else None
    try:
        if command is None:
            raise refusal(words)
        text = command(folder, profile, options)
    except Failed as problem:
        sys.stderr.write(f"{problem}\n")
        return problem.code
    sys.stdout.write(f"{text}\n" if text else "")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
