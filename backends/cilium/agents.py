"""Row *agents (exec)*: what every agent says of its peers and of its nodes' health, asked side by side."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, Final, TypeVar

from msgspec import Struct, field

from backends.cilium.answers import BadAnswer, agent_health, agent_status
from backends.cilium.workloads import AGENT_LABELS, agents_of
from mesh import catalogue as fact
from mesh.facts import Fact, FactName, Known, Origin, Reason
from mesh.model import kinds
from mesh.model.cilium import AgentHealth, AgentStatus
from mesh.model.context import Right
from mesh.model.rights import EXEC, SYSTEM
from mesh.reading import Answer, Collected, Cost, NotRead, Scope
from mesh.subject import OfCluster
from mesh.text import one_line

T = TypeVar("T")
CONTAINER: Final = "cilium-agent"
STATUS: Final = ("cilium-dbg", "status", "-o", "json")
STATUS_BEFORE_1_15: Final = ("cilium", "status", "-o", "json")
HEALTH: Final = ("cilium-health", "status", "-o", "json")
SECONDS: Final = 12.0
# What one agent's failure says of all of them.
_FOR_ALL: Final = (Reason.FORBIDDEN, Reason.EXPIRED, Reason.NOT_COLLECTED, Reason.UNSUPPORTED)


class _Metadata(Struct):
    name: str = ""
    namespace: str = ""


class _Spec(Struct):
    node: str = field(name="nodeName", default="")


class _Status(Struct):
    phase: str = ""


class _Pod(Struct):
    metadata: _Metadata
    spec: _Spec = field(default_factory=_Spec)
    status: _Status = field(default_factory=_Status)


class Agents:
    """``cilium-dbg status`` and ``cilium-health status`` in every agent; one that cannot be asked has its own error."""

    id = "agents"
    label = "agents (exec)"
    provides: tuple[FactName[Any], ...] = (fact.AGENTS, fact.HEALTH)
    needs: tuple[FactName[Any], ...] = (fact.VERSION, fact.WORKLOADS)
    rbac: tuple[Right, ...] = (kinds.PODS.right("list"), *EXEC)
    cost = Cost.HEAVY
    timeout_s = 180.0
    max_bytes = 512_000_000

    async def collect(self, scope: Scope) -> Collected:
        """See ``Collector``."""
        pods = await self._pods(scope)
        if not pods:
            none = scope.known((), "list pods of Cilium's agents")
            return Collected({fact.AGENTS: none, fact.HEALTH: none}, "none")
        done = 0

        async def ask(pod: _Pod) -> tuple[AgentStatus, AgentHealth]:
            nonlocal done
            found = await asyncio.gather(_status(scope, pod), _health(scope, pod))
            done += 1
            scope.progress(done, len(pods), f"{done:,}/{len(pods):,}")
            return found

        answers = await _all_or_refused([ask(pod) for pod in pods])
        statuses = tuple(sorted(status for status, _ in answers))
        healths = tuple(sorted(health for _, health in answers))
        told = sum(not status.error for status in statuses)
        facts: dict[FactName[Any], Fact] = {
            fact.AGENTS: scope.known(statuses, " ".join(STATUS), _origin(scope)),
            fact.HEALTH: scope.known(healths, " ".join(HEALTH), _origin(scope)),
        }
        return Collected(facts, f"{told:,}/{len(pods):,}")

    async def _pods(self, scope: Scope) -> list[_Pod]:
        workloads = scope.facts.get(fact.WORKLOADS, OfCluster(scope.ref.key))
        namespace = SYSTEM
        if isinstance(workloads, Known):
            agents = agents_of(workloads.value)
            if agents is None:
                return []
            namespace = agents.namespace
        elif workloads.reason is not Reason.FORBIDDEN:
            raise NotRead(workloads.reason, workloads.detail, workloads.lift)
        return await scope.reader.list(kinds.PODS, _Pod, namespace=namespace, labels=AGENT_LABELS)


async def _all_or_refused(asking: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All results; a refusal that holds for all ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in asking]
    except ExceptionGroup as failed:
        refusals = failed.subgroup(NotRead)
        if refusals is None:
            raise
        raise next(_leaves(refusals)) from None
    return [task.result() for task in tasks]


def _leaves(group: ExceptionGroup[Any]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _origin(scope: Scope) -> Origin:
    return Origin.EXEC if scope.reader.origin is Origin.LIVE else scope.reader.origin


async def _status(scope: Scope, pod: _Pod) -> AgentStatus:
    node, name = pod.spec.node, pod.metadata.name
    try:
        answer = await _run(scope, pod, STATUS)
        if answer.code in (126, 127):
            answer = await _run(scope, pod, STATUS_BEFORE_1_15)
        return agent_status(_output(answer), node, name)
    except (NotRead, BadAnswer) as error:
        return AgentStatus(node, name, error=_words(error))


async def _health(scope: Scope, pod: _Pod) -> AgentHealth:
    try:
        return agent_health(_output(await _run(scope, pod, HEALTH)), pod.spec.node)
    except (NotRead, BadAnswer) as error:
        return AgentHealth(pod.spec.node, error=_words(error))


async def _run(scope: Scope, pod: _Pod, argv: tuple[str, ...]) -> Answer:
    if pod.status.phase != "Running":
        raise BadAnswer(f"the pod is {pod.status.phase or 'not placed'}")
    return await scope.reader.execute(pod.metadata.namespace, pod.metadata.name, CONTAINER, argv, SECONDS)


def _output(answer: Answer) -> bytes:
    if answer.code == 0:
        return answer.output
    words = one_line(answer.errors or answer.output[-400:].decode(errors="replace"), 200)
    raise BadAnswer(f"code {answer.code}: {words}" if words else f"code {answer.code}")


def _words(error: NotRead | BadAnswer) -> str:
    if isinstance(error, NotRead):
        if error.unknown.reason in _FOR_ALL:
            raise error
        return error.unknown.detail or error.unknown.reason.value
    return str(error)
