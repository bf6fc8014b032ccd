"""The ``LabGateway``: a lab in a process of its own, and this process's environment pointed at it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mesh.ports import Scenario


class Labs:
    """At most one lab at a time; the environment is put back when it stops."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._before: dict[str, str | None] = {}
        self._running = ""

    def scenarios(self) -> tuple[Scenario, ...]:
        """What can be started."""
        from backends.lab.registry import listed_scenarios, scenarios

        notes = {name: str(getattr(one, "note", "")) for name, one in scenarios().items()}
        return tuple(
            Scenario(one["name"], one["title"], one["group"], one["minutes"], notes[one["name"]])
            for one in listed_scenarios()
        )

    async def start(self, scenario: str, faults: Sequence[str] = (), *, speed: float = 1.0, seed: int = 7) -> None:
        """Start a lab process; a running one is stopped first. Raises ``MeshError`` with its words."""
        from backends.lab.launch import launch

        await self.stop()
        self._handle = await launch(scenario, faults, speed=speed, seed=seed)
        self._point(self._handle.env)
        self._running = scenario

    async def stop(self) -> None:
        """End the lab and wait for it."""
        handle, self._handle, self._running = self._handle, None, ""
        self._unpoint()
        if handle is not None:
            await handle.stop()

    @property
    def running(self) -> str:
        """Name of the running scenario."""
        return self._running

    @property
    def control(self) -> Any:
        """Client of the running lab's control."""
        return self._handle.control if self._handle is not None else None

    def _point(self, variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            self._before.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    def _unpoint(self) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()
