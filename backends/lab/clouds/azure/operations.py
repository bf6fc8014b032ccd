"""Long-running operations: begun now, done at a lab time, asked about by polling."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backends.lab.clock import LabClock
from backends.lab.clouds.azure.errors import ArmError


@dataclass(slots=True)
class Operation:
    """``status`` is InProgress, Succeeded or Failed; ``result`` the body of a finished action."""

    id: str
    location: str
    status: str = "InProgress"
    error: ArmError | None = None
    result: Any = None

    def body(self) -> dict[str, Any]:
        """The answer to a poll of ``Azure-AsyncOperation``."""
        answer: dict[str, Any] = {"id": self.id, "name": self.id, "status": self.status}
        if self.error is not None:
            answer["error"] = self.error.body()["error"]
        if self.result is not None and self.status == "Succeeded":
            answer["properties"] = {"output": self.result}
        return answer


class Operations:
    """All operations of a subscription. Finished ones stay readable, as ARM keeps them for hours."""

    def __init__(self, clock: LabClock, spawn: Callable[[Any], Any], new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._spawn = spawn
        self._new_id = new_id
        self._held: dict[str, Operation] = {}

    def begin(self, location: str, seconds: float, work: Callable[[], Any]) -> Operation:
        """Do ``work`` after lab ``seconds``; its value is the result, an ``ArmError`` from it the failure."""
        operation = Operation(self._new_id(), location)
        self._held[operation.id] = operation
        self._spawn(self._run(operation, seconds, work))
        return operation

    def get(self, identifier: str) -> Operation | None:
        """An operation by its id."""
        return self._held.get(identifier)

    async def _run(self, operation: Operation, seconds: float, work: Callable[[], Any]) -> None:
        await self._clock.sleep(seconds)
        try:
            operation.result = work()
        except ArmError as error:
            operation.error, operation.status = error, "Failed"
        else:
            operation.status = "Succeeded"
