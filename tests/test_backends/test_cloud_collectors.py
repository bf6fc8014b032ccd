"""Cloud rows: who serves a cluster, what a refusal means, threads that nobody waits for."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backends.aws.session import AwsSession
from backends.azure.session import not_read
from backends.cloud import CloudReaders, cloud_collectors
from mesh import catalogue as fact
from mesh.facts import FactKey, FactStore, Known, Origin, Reason, Source, Unknown
from mesh.model.context import ContextRef, Provider
from mesh.model.kubernetes import Node
from mesh.model.network import CloudIdentity
from mesh.reading import Collector, NotRead, Scope
from mesh.subject import OfCluster
from tests.test_backends.test_gather import FakeReader

REF = ContextRef("a", "a", "/f", provider=Provider.EKS, region="ap-1", exec_argv=("aws", "--profile", "ops"))
NODES = (Node("n", provider_id="aws:///ap-1a/i-1"),)
HERE = CloudIdentity(Provider.EKS, "1234", "ap-1", "a")


class Cloud:
    """A cloud whose every answer is one function's."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.identity = self.network = self.firewall = self.vpn = answer

    def paths(self, seconds: float) -> Any:
        return self.identity()

    def load_balancer(self, server: Any) -> Any:
        return self.identity()


def rows(answer: Callable[[], Any]) -> dict[str, Collector]:
    readers = CloudReaders({Provider.EKS: lambda ref, nodes, cached: Cloud(answer)})
    return {row.id: row for row in cloud_collectors(readers)}


def scope(nodes: Any = NODES, ref: ContextRef = REF) -> Scope:
    value = nodes if isinstance(nodes, Unknown) else Known(nodes, Source(Origin.LIVE), 1.0)
    facts = FactStore({FactKey(fact.NODES.name, OfCluster("a")): value})
    return Scope(ref, FakeReader(ref), facts, 1.0, lambda done, total, text: None)  # type: ignore[arg-type]  # not used


async def test_what_the_cloud_tells_is_a_fact_of_the_cloud() -> None:
    collected = await rows(lambda: HERE)["cloud"].collect(scope())
    (found,) = collected.facts.values()
    assert isinstance(found, Known) and (found.value, found.source.origin) == (HERE, Origin.CLOUD)
    assert collected.text == "EKS a ap-1"


async def test_a_cluster_in_no_cloud_has_none_and_one_whose_nodes_are_not_known_is_not_said_to_be_in_none() -> None:
    kind = ContextRef("a", "a", "/f", provider=Provider.KIND)
    collected = await rows(lambda: HERE)["cloud-network"].collect(scope((), kind))
    for found in collected.facts.values():
        assert isinstance(found, Known) and found.value is None
    with pytest.raises(NotRead) as refused:
        await rows(lambda: HERE)["cloud-network"].collect(scope(Unknown(Reason.FORBIDDEN, "", "list nodes")))
    assert refused.value.unknown.lift == "list nodes"


@pytest.mark.parametrize("error", [NotRead(Reason.FORBIDDEN, "denied", "allow it"), KeyError("Vpcs")])
async def test_what_goes_wrong_in_the_thread_goes_wrong_here(error: Exception) -> None:
    def answer() -> Any:
        raise error

    with pytest.raises(type(error)) as raised:
        await rows(answer)["cloud-firewall"].collect(scope())
    assert raised.value is error


async def test_rows_are_read_side_by_side() -> None:
    together = threading.Barrier(2, timeout=20)

    def answer() -> Any:
        together.wait()
        return HERE

    found = rows(answer)
    await asyncio.gather(found["cloud"].collect(scope()), found["cloud-firewall"].collect(scope()))


async def test_a_cloud_that_hangs_is_given_up_at_once() -> None:
    asked, release = threading.Event(), threading.Event()

    def answer() -> Any:
        asked.set()
        release.wait(60)

    reading = asyncio.create_task(rows(answer)["cloud"].collect(scope()))
    assert await asyncio.to_thread(asked.wait, 20)
    began = time.monotonic()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    release.set()
    assert time.monotonic() - began < 5


def test_python_ends_although_a_cloud_still_hangs() -> None:
    code = """
import asyncio, time
from tests.test_backends.test_cloud_collectors import rows, scope
async def main():
    try:
        async with asyncio.timeout(0.1):
            await rows(lambda: time.sleep(600))["cloud"].collect(scope())
    except TimeoutError:
        print("given up")
asyncio.run(main())
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "given up\n"


def aws_error(code: str) -> Exception:
    from botocore.exceptions import ClientError

    made: Exception = ClientError({"Error": {"Code": code, "Message": "no\x1b[2J"}}, "DescribeVpcs")
    return made


def sdk_error(name: str, **words: Any) -> Exception:
    from botocore import exceptions

    error: Exception = getattr(exceptions, name)(**words)
    return error


LOGIN = "aws sso login --profile ops"
AWS: dict[str, tuple[Callable[[], Exception], Reason, str]] = {
    "denied": (lambda: aws_error("UnauthorizedOperation"), Reason.FORBIDDEN, "allow ec2:DescribeVpcs on *"),
    "ended": (lambda: aws_error("ExpiredToken"), Reason.EXPIRED, LOGIN),
    "sso": (lambda: sdk_error("UnauthorizedSSOTokenError"), Reason.EXPIRED, LOGIN),
    "nobody": (lambda: sdk_error("NoCredentialsError"), Reason.EXPIRED, f"{LOGIN}, or set AWS_PROFILE"),
    "throttled": (lambda: aws_error("RequestLimitExceeded"), Reason.THROTTLED, "read again later"),
    "away": (lambda: sdk_error("EndpointConnectionError", endpoint_url="https://x"), Reason.UNREACHABLE, ""),
    "slow": (lambda: sdk_error("ReadTimeoutError", endpoint_url="https://x"), Reason.TIMEOUT, ""),
    "other": (lambda: aws_error("InvalidVpcID.NotFound"), Reason.INVALID, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", AWS)
def test_what_an_error_of_aws_means(name: str) -> None:
    make, reason, lift = AWS[name]
    told = AwsSession(REF).not_read(make(), "ec2:DescribeVpcs").unknown
    assert (told.reason, told.lift) == (reason, lift)
    assert told.detail and "\x1b" not in told.detail


def azure_error(name: str, status: int = 0, code: str = "") -> Exception:
    from azure.core import exceptions

    if not status:
        error: Exception = getattr(exceptions, name)("it\x1b[2J")
        return error
    answer = SimpleNamespace(status_code=status, reason="", headers={}, content_type="application/json")
    answer.text = lambda encoding=None: f'{{"error": {{"code": "{code}", "message": "no\\u001b[2J"}}}}'
    made: Exception = getattr(exceptions, name)(response=answer)
    return made


AZURE: dict[str, tuple[Callable[[], Exception], Reason, str]] = {
    "nobody": (lambda: azure_error("ClientAuthenticationError"), Reason.EXPIRED, "az login"),
    "ended": (lambda: azure_error("HttpResponseError", 401), Reason.EXPIRED, "az login"),
    "denied": (lambda: azure_error("HttpResponseError", 403, "Forbidden"), Reason.FORBIDDEN, "grant Net/read"),
    "locked": (
        lambda: azure_error("HttpResponseError", 403, "DenyAssignmentAuthorizationFailed"),
        Reason.FORBIDDEN,
        "change it through the AKS API",
    ),
    "gone": (lambda: azure_error("ResourceNotFoundError", 404, "ResourceNotFound"), Reason.INVALID, "az login with"),
    "throttled": (lambda: azure_error("HttpResponseError", 429), Reason.THROTTLED, "read again later"),
    "away": (lambda: azure_error("ServiceRequestError"), Reason.UNREACHABLE, ""),
    "slow": (lambda: azure_error("ServiceResponseError"), Reason.TIMEOUT, ""),
    "other": (lambda: azure_error("HttpResponseError", 409, "Conflict"), Reason.INVALID, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", AZURE)
def test_what_an_error_of_azure_means(name: str) -> None:
    make, reason, lift = AZURE[name]
    told = not_read(make(), "Net/read").unknown
    assert told.reason is reason and told.lift.startswith(lift)
    assert told.detail and "\x1b" not in told.detail
