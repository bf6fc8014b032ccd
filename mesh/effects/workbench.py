"""What every effect works with."""

from collections.abc import Awaitable, Callable, Collection, Iterable

from mesh.facts import FactStore
from mesh.plan import Plan
from mesh.ports import Clock, Outcome, Output, Writers

Together = Callable[[Iterable[Awaitable[Outcome]]], Awaitable[list[Outcome]]]
Reread = Callable[[Collection[str]], Awaitable[FactStore]]


class Workbench:
    """What carrying out needs: the plan, writing gateways, a way to read facts again, a place for output, the time.

    ``together`` waits for several outcomes side by side; all have ended when it returns or raises.
    """

    def __init__(
        self, plan: Plan, writers: Writers, reread: Reread, output: Output, clock: Clock, together: Together
    ) -> None:
        self.together = together
        self.plan = plan
        self.writers = writers
        self.reread = reread
        self.output = output
        self.clock = clock
