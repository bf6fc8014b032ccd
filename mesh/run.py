"""Carry a plan out: independent steps side by side, each ended by its conditions, everything journalled first.

The only module of the core that knows asyncio.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from mesh.conditions import HOPELESS, facts_of, holds
from mesh.diagnose import root_cause
from mesh.effects import Workbench, carry_out
from mesh.errors import MeshError, Refused, RunStopped, StepFailed, Undetermined
from mesh.events import Emit, RunDone, RunStarted, ServiceProven, StepDone, StepOutput, StepStarted, StepWaiting
from mesh.facts import FactStore
from mesh.finding import Finding
from mesh.join import lost, moved, refuse_blocked, strangers
from mesh.journal import Journal, RunRecord
from mesh.model.context import ContextRef
from mesh.plan import Plan, Step
from mesh.ports import Clock, Outcome, Ports, Writers
from mesh.text import clean
from mesh.usual import remember

LEASE_SECONDS = 60
_POLL = 2.0


class RunResult(Struct, frozen=True):
    """How a run ended: ``state`` is done, failed or cancelled; ``failed`` names the step, ``finding`` its root
    cause.
    """

    run: int
    state: str
    failed: str = ""
    message: str = ""
    finding: Finding | None = None


class Control:
    """What the user may do to a run under way; its methods are called on the run's loop."""

    def __init__(self) -> None:
        self._go = asyncio.Event()
        self._go.set()
        self._over = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether the run shall end."""
        return self._over.is_set()

    @property
    def paused(self) -> bool:
        """Whether no new step may begin."""
        return not self._go.is_set()

    def pause(self) -> None:
        """Begin no new step; what runs goes on."""
        self._go.clear()

    def go_on(self) -> None:
        """Begin steps again."""
        self._go.set()

    def stop(self) -> None:
        """End after the calls that are under way; waits end at once."""
        self._over.set()
        self._go.set()

    async def ready(self) -> None:
        """Wait while paused."""
        await self._go.wait()

    async def wait(self, waiting: Awaitable[object]) -> None:
        """Wait for it. Raises ``RunStopped`` as soon as the run shall end."""
        both = [asyncio.ensure_future(waiting), asyncio.ensure_future(self._over.wait())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
        if self.stopped:
            raise RunStopped("Stopped")


class _Time:
    """The clock that a run waits by: its waits end when the run is stopped."""

    def __init__(self, clock: Clock, control: Control) -> None:
        self.now, self._clock, self._control = clock.now, clock, control

    async def sleep(self, seconds: float) -> None:
        """See ``Control.wait``."""
        await self._control.wait(self._clock.sleep(seconds))


class Runner:
    """One run of one plan. ``before`` is the record of the run that goes on, if any."""

    def __init__(
        self,
        plan: Plan,
        refs: Sequence[ContextRef],
        ports: Ports,
        emit: Emit,
        control: Control,
        before: RunRecord | None = None,
    ) -> None:
        self.plan = plan
        self.refs = tuple(refs)
        self.ports = ports
        self.emit = emit
        self.control = control
        self.clock = _Time(ports.clock, control)
        self.before = before
        self.store = FactStore()
        self.states: dict[str, str] = {step.id: "already" for step in plan.steps if step.already}
        self.journal: Journal | None = None
        self.failure: tuple[Step, str, Finding | None] | None = None
        self.taken = ""

    async def run(self) -> RunResult:
        """Check that the plan still rests on what is so, take the leases, carry the steps out, give the leases back.

        Raises ``Refused`` before anything was changed: blockers, a plan that facts have moved under, another operator.
        """
        refuse_blocked(self.plan)
        await self._gather(())
        await self._refuse_stale()
        writers = self.ports.armoury.arm(self.plan, self.refs)
        try:
            return await self._armed(writers)
        finally:
            await writers.close()

    async def _armed(self, writers: Writers) -> RunResult:
        if any(
            type(effect).__name__ in ("HelmApply", "ConnectPeers")
            for step in self.plan.todo()
            for effect in step.effects
        ):
            with self._refusing():
                await writers.helm.version()
        run = self.before.run if self.before else self.ports.store.next_run()
        self.journal = Journal(self.ports.store, self.ports.clock, run)
        started = self.ports.clock.now()
        # Numbers begin at 1 for every operator; the moment a run began tells it from all others, also when it goes on.
        begun = self.before.started if self.before else started
        moment = datetime.fromtimestamp(begun, UTC).isoformat(timespec="milliseconds")
        try:
            if self.before:
                # Refused here, before the Leases, while another process carries the run out: they would look like ours.
                self.journal.resume()
            async with self._leases(writers, f"run {run} of {moment}"):
                if not self.before:
                    contexts = {ref.key: f"{ref.context}@{ref.file}" for ref in self.refs}
                    self.journal.begin(self.plan, contexts, begun)
                self.emit(RunStarted(run, self.plan.id, self.before is not None))
                await self._steps(writers)
            return self._finish(run, self.ports.clock.now() - started)
        finally:
            # A screen may stay open for hours after the run: another process can go on with it meanwhile.
            self.ports.store.release(run)

    async def _refuse_stale(self) -> None:
        if others := strangers(self.plan, self.store):
            verb = "is not the cluster" if len(others) == 1 else "are not the clusters"
            raise Refused(
                f"{' and '.join(others)} {verb} that this plan was made for",
                "The name is the same, the UID of kube-system is another.",
                "Name the contexts of the plan's own clusters, or make a plan for these: meshwright plan",
            )
        if self.before:
            return
        if names := {key.name for key in lost(self.plan, self.store)}:
            # An answer that did not come is no change of the clusters: it is asked for once more.
            await self._gather(names)
        if gone := lost(self.plan, self.store):
            told = [f"{key}: {fact.detail or fact.reason.value}" for key, fact in gone.items()]
            hint = "Nothing was changed. Try again; meshwright check tells what would lift it."
            raise Undetermined("What this plan rests on could not be read again", "; ".join(told[:4]), hint)
        if changed := moved(self.plan, self.store):
            raise Refused(
                "The clusters changed since this plan was made", "; ".join(changed[:4]), "Make the plan again."
            )

    async def _gather(self, only: Collection[str], clusters: Collection[str] = ()) -> FactStore:
        """Read, and lay what was read over what steps side by side have read meanwhile."""
        refs = [ref for ref in self.refs if not clusters or ref.key in clusters]
        before = self.store
        after = await self.ports.gatherer.gather(refs, self.emit, only=only, base=before)
        self.store = self.store.put(after.since(before))
        return self.store

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """What fails before the first step is a refusal: no step has begun, and nothing is there to go on with."""
        try:
            yield
        except StepFailed as error:
            words = "Nothing more was changed." if self.before else "Nothing was changed."
            raise Refused(error.title, error.detail, f"{error.hint} Then try again. {words}".strip()) from error

    @contextlib.asynccontextmanager
    async def _leases(self, writers: Writers, holder: str):  # type: ignore[no-untyped-def]  # a context manager of None
        """One Lease per cluster, taken before the first change and renewed until the end (DESIGN §8.8)."""
        held: list[str] = []
        try:
            for cluster in self.plan.clusters:
                with self._refusing():
                    await writers.cluster(cluster).hold(holder, LEASE_SECONDS)
                held.append(cluster)
            keeper = asyncio.create_task(self._keep(writers, holder))
            try:
                yield
            finally:
                keeper.cancel()
                # Gathered, not awaited with its cancellation suppressed: that would swallow one of this run as well.
                for ended in await asyncio.gather(keeper, return_exceptions=True):
                    if isinstance(ended, Exception):
                        raise ended
        finally:
            for cluster in held:
                with contextlib.suppress(MeshError):
                    await writers.cluster(cluster).release(holder)

    async def _keep(self, writers: Writers, holder: str) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            for cluster in self.plan.clusters:
                try:
                    await writers.cluster(cluster).hold(holder, LEASE_SECONDS)
                except Refused as error:
                    # Somebody took the lease after ours ran out: no new step may begin under their feet.
                    self.taken = error.title
                    self.control.stop()
                except MeshError:
                    continue

    async def _steps(self, writers: Writers) -> None:
        """Start each step when those it needs have ended well; several at once."""
        running: dict[asyncio.Task[None], Step] = {}
        try:
            while True:
                await self.control.ready()
                if not self.control.stopped and self.failure is None:
                    for step in self._startable({step.id for step in running.values()}):
                        running[asyncio.create_task(self._step(step, writers))] = step
                if not running:
                    break
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del running[task]
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _startable(self, under_way: Collection[str]) -> list[Step]:
        good = {name for name, state in self.states.items() if state in ("done", "already")}
        known = {step.id for step in self.plan.steps}
        return [
            step
            for step in self.plan.steps
            if step.id not in self.states
            and step.id not in under_way
            and all(need in good or need not in known for need in step.needs)
        ]

    async def _step(self, step: Step, writers: Writers) -> None:
        clock, journal = self.ports.clock, self._journal()
        began = clock.now()
        self.emit(StepStarted(step.id, began))
        try:
            state = await self._do(step, writers, journal)
            message = ""
        except RunStopped:
            state, message = "cancelled", ""
        except MeshError as error:
            state, message = "failed", error.sentence()
            if self.failure is None:
                self.failure = (step, message, None)
        except asyncio.CancelledError:
            journal.ended(step.id, "cancelled", clock.now() - began)
            raise
        finding = None
        if state == "failed":
            finding = await self._why(step)
            self.failure = (step, message, finding)
        seconds = clock.now() - began
        # Of a run that goes on a step may be half done already.
        if not self.before and state in ("done", "already"):
            remember(self.ports.store, {step.id: seconds})
        self.states[step.id] = state
        journal.ended(step.id, state, seconds, message)
        self.emit(StepDone(step.id, state, clock.now(), seconds, message, finding))

    async def _do(self, step: Step, writers: Writers, journal: Journal) -> str:
        if step.until and await self._met(step):
            return "already"
        journal.started(step.id)
        for index, effect in enumerate(step.effects):
            journal.intent(step.id, index, type(effect).__name__)
            bench = Workbench(self.plan, writers, self._gather, self._output(step.id), self.clock, _together)
            outcome = await carry_out(effect, bench)
            journal.outcome(step.id, index, outcome)
            if outcome.proof is not None:
                self.emit(ServiceProven(step.id, outcome.proof))
        return await self._wait(step)

    def _output(self, step: str):  # type: ignore[no-untyped-def]  # Callable[[str], None], bound to the step
        def write(line: str) -> None:
            self.emit(StepOutput(step, self.ports.clock.now(), clean(line)))

        return write

    async def _met(self, step: Step) -> bool:
        await self._gather(facts_of(step.until), step.clusters)
        return all(holds(condition, self.store)[0] is True for condition in step.until)

    async def _wait(self, step: Step) -> str:
        """Read the step's facts again until its conditions hold, its deadline passes or the run is stopped."""
        until = self.ports.clock.now() + step.deadline
        said = ""
        while step.until:
            await self._gather(facts_of(step.until), step.clusters)
            told = {condition.name: holds(condition, self.store) for condition in step.until}
            open_ = {name: text for name, (state, text) in told.items() if state is not True}
            if not open_:
                break
            what = "; ".join(open_.values())
            if hopeless := [text for name, text in open_.items() if name in HOPELESS and told[name][0] is False]:
                raise StepFailed(hopeless[0], hint="Nothing was connected. Mend this first.")
            if self.ports.clock.now() > until:
                raise StepFailed(f"still waiting for: {what}", f"the deadline of {step.deadline:.0f} s has passed")
            if what != said:
                self.emit(StepWaiting(step.id, what, until))
                said = what
            await self.clock.sleep(_POLL)
        return "done"

    async def _why(self, step: Step) -> Finding | None:
        """The root cause on fresh facts: it, not the time-out, is the headline."""
        try:
            await self._gather((), step.clusters)
        except Undetermined:
            return None
        return root_cause(self.store, self.plan.clusters, step)

    def _journal(self) -> Journal:
        if self.journal is None:
            raise RuntimeError("a step began before the journal")
        return self.journal

    def _finish(self, run: int, seconds: float) -> RunResult:
        journal = self._journal()
        if self.failure:
            step, message, finding = self.failure
            result = RunResult(run, "failed", step.id, message, finding)
        elif any(state == "cancelled" for state in self.states.values()) or len(self.states) < len(self.plan.steps):
            result = RunResult(run, "cancelled", message=self.taken)
        else:
            result = RunResult(run, "done")
        journal.end(result.state, seconds)
        words: Mapping[str, str] = {
            "done": "Joined",
            "failed": f"Stopped at {result.failed}",
            "cancelled": f"Stopped: {self.taken}" if self.taken else "Stopped",
        }
        self.emit(RunDone(run, result.state, seconds, words[result.state]))
        return result


async def _together(work: Iterable[Awaitable[Outcome]]) -> list[Outcome]:
    """All outcomes; when one fails the others still come to their end before it is raised: a half-sent change is
    worse.
    """
    ended = await asyncio.gather(*work, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in ended if isinstance(outcome, Outcome)]


async def run_plan(
    plan: Plan,
    refs: Sequence[ContextRef],
    ports: Ports,
    emit: Emit,
    control: Control | None = None,
    before: RunRecord | None = None,
) -> RunResult:
    """Carry ``plan`` out. See ``Runner.run`` for what it raises."""
    return await Runner(plan, refs, ports, emit, control or Control(), before).run()
