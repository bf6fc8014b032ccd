"""Binds changes to one API server: requests whose failure is a step's failure, and exec for asking."""

from collections.abc import Sequence
from typing import Any, Final

from backends.kube.changes import ClusterChanges
from backends.kube.failures import Retry
from backends.kube.session import ApiSession, Reply
from mesh.errors import StepFailed
from mesh.ports import Clock
from mesh.reading import ClusterReader, NotRead

_TRIES: Final = 4


def cluster_changes(where: str, session: ApiSession, reader: ClusterReader, clock: Clock) -> ClusterChanges:
    """The writing gateway of one cluster. Every request it sends may be sent again: it states what shall be so."""

    async def send(method: str, path: str, body: Any = None, content: str = "application/json") -> Reply:
        headers = {"Content-Type": content} if body is not None else {}
        failure: NotRead | None = None
        for attempt in range(_TRIES):
            try:
                reply = await session.send(method, path, body=body, headers=headers)
            except Retry as error:
                failure, pause = error.failure, error.seconds
            except NotRead as error:
                raise _failed(where, method, path, error) from error
            else:
                if reply.status not in (429, 503) or "/eviction" in path:
                    return reply
                failure, pause = None, _seconds(reply)
            if attempt + 1 == _TRIES:
                break
            await clock.sleep(min(max(pause, 0.5 * 2**attempt), 10.0))
        if failure is None:
            return reply
        raise _failed(where, method, path, failure)

    async def execute(
        namespace: str, pod: str, container: str, argv: Sequence[str], seconds: float
    ) -> tuple[int, bytes, str]:
        try:
            answer = await reader.execute(namespace, pod, container, argv, seconds)
        except NotRead as error:
            return 126, b"", f"{error.unknown.detail or error.unknown.reason.value}"
        except TimeoutError:
            return 124, b"", f"no answer in {seconds:.0f} s"
        return answer.code, answer.output, answer.errors

    return ClusterChanges(where, send, execute, clock)


def _seconds(reply: Reply) -> float:
    text = str(reply.headers.get("Retry-After", "")) if reply.headers else ""
    return float(text) if text.isdigit() else 1.0


def _failed(where: str, method: str, path: str, error: NotRead) -> StepFailed:
    unknown = error.unknown
    detail = f"{unknown.reason.value}: {unknown.detail}" if unknown.detail else unknown.reason.value
    return StepFailed(
        f"{where}: {method} {path.partition('?')[0]} was not answered",
        f"{detail}; the next try finds out whether it was carried out",
        unknown.lift or "Wait until its API server answers again.",
    )
