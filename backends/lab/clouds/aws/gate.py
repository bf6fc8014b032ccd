"""What stands before moto: who calls, whether they may, dry runs, one writer at a time, AWS's own error shapes."""

import io
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs

from backends.lab.clouds.aws import answers
from backends.lab.clouds.aws.account import AwsAccount
from backends.lab.clouds.aws.answers import Answer, Failure

Environ: TypeAlias = dict[str, Any]
Start: TypeAlias = Callable[..., Any]
log: Final = logging.getLogger(__name__)

_CREDENTIAL: Final = re.compile(r"Credential=([^/,\s]+)/[^/]*/([^/]*)/([^/]*)/aws4_request")
_READING: Final = ("Describe", "List", "Get", "Search", "DryRun")
_EKS_PATHS: Final = (
    ("GET", r"/clusters/?", "ListClusters"),
    ("POST", r"/clusters/?", "CreateCluster"),
    ("GET", r"/clusters/[^/]+", "DescribeCluster"),
    ("DELETE", r"/clusters/[^/]+", "DeleteCluster"),
    ("GET", r"/clusters/[^/]+/node-groups/?", "ListNodegroups"),
    ("GET", r"/clusters/[^/]+/node-groups/[^/]+", "DescribeNodegroup"),
    ("GET", r"/clusters/[^/]+/addons/?", "ListAddons"),
    ("GET", r"/clusters/[^/]+/addons/[^/]+", "DescribeAddon"),
    ("GET", r"/clusters/[^/]+/access-entries/?", "ListAccessEntries"),
    ("GET", r"/clusters/[^/]+/access-entries/[^/]+", "DescribeAccessEntry"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the service as signed for, the action, its flat form parameters, and the caller's key."""

    service: str
    region: str
    action: str
    access_key: str
    params: dict[str, str]
    path: str

    @property
    def iam_action(self) -> str:
        """``service:Action`` as policies write it."""
        return f"{self.service}:{self.action}"

    @property
    def writes(self) -> bool:
        """Whether the call may change something."""
        return not self.action.startswith(_READING)


class Gate:
    """A WSGI application around moto's, for one account."""

    def __init__(self, app: Callable[[Environ, Start], Iterable[bytes]], account: AwsAccount) -> None:
        self._app = app
        self._account = account

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        """Refuse, answer, or let moto answer."""
        call = read_call(environ)
        failure = self._refusal(call)
        answer = (
            answers.failure(call.service, failure)
            if failure
            else answers.own(call.service, call.action, self._who(call))
        )
        if answer is not None:
            return _send(answer, start_response)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._account.account
        if call.writes:
            with self._account.writing():
                return _forward(self._app, environ, start_response, call)
        return _forward(self._app, environ, start_response, call)

    def _who(self, call: Call) -> dict[str, str]:
        login = self._account.logins.by_access_key(call.access_key) or {}
        role, user = login.get("role", ""), login.get("user", "")
        account = self._account.account
        return {
            "account": account,
            "arn": f"arn:aws:sts::{account}:assumed-role/AWSReservedSSO_{role}_{account[:8]}/{user}",
            "id": f"AROA{str(login.get('access_key', ''))[4:]}:{user}",
        }

    def _refusal(self, call: Call) -> Failure | None:
        account = self._account
        login = account.logins.by_access_key(call.access_key)
        if login is None:
            return answers.unknown_key(call.service)
        if not login["valid"]:
            return answers.expired(call.service)
        if account.throttled > 0:
            account.throttled -= 1
            return answers.throttled(call.service)
        if call.service != "sts" and account.is_denied(call.iam_action):
            return answers.denied(call.service, call.iam_action, self._who(call)["arn"])
        if call.service == "ec2" and call.params.get("DryRun", "").lower() == "true":
            return Failure(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
        return None


def read_call(environ: Environ) -> Call:
    """What a request asks for; its body stays readable."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    match = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    access_key, region, service = match.groups() if match else ("", "", "")
    path = environ.get("PATH_INFO", "")
    params: dict[str, str] = {}
    if service == "eks":
        action = _eks_action(environ.get("REQUEST_METHOD", "GET"), path)
    else:
        text = body.decode("utf-8", "replace") or environ.get("QUERY_STRING", "")
        params = {key: values[-1] for key, values in parse_qs(text, keep_blank_values=True).items()}
        action = params.get("Action", "")
    return Call(service, region, action, access_key, params, path)


def _eks_action(method: str, path: str) -> str:
    for wanted, pattern, action in _EKS_PATHS:
        if method == wanted and re.fullmatch(pattern, path):
            return action
    return f"{method.title()}Unknown"


def _forward(
    app: Callable[[Environ, Start], Iterable[bytes]], environ: Environ, start: Start, call: Call
) -> Iterable[bytes]:
    """moto's answer; where it has none (HTML and 500, or 404), the error AWS would send."""
    held: list[tuple[str, list[tuple[str, str]]]] = []
    missing = answers.failure(call.service, answers.no_such_action(call.service, call.action))

    def keep(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
        held.append((status, headers))
        return lambda _data: None

    try:
        chunks = _all(app(environ, keep))
    except NotImplementedError:
        return _send(missing, start)
    except Exception:  # the outermost edge of moto: a client must get AWS's shape, the log the cause
        log.exception("moto failed on %s", call.iam_action)
        return _send(answers.failure(call.service, answers.internal(call.service)), start)
    status, headers = held[-1]
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    if not status.startswith("2") and "html" in kind:
        return _send(missing, start)
    start(status, headers)
    return chunks


def _all(result: Iterable[bytes]) -> list[bytes]:
    try:
        return list(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()


def _send(answer: Answer, start: Start) -> list[bytes]:
    headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body))), *answer.headers]
    start(f"{answer.status} {answer.reason}", headers)
    return [answer.body]
