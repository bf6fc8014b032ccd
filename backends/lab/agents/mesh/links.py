"""One reader's connection to one peer, and how late it notices what happens to it (cilium-clustermesh §11).

A connection that stands outlives its certificates; one whose path is cut stays ready for about half a minute (1.15) or
one and a half to two minutes (later); one that failed keeps what it had read.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from backends.lab.agents.mesh import dialing
from backends.lab.agents.mesh.dialing import Attempt, Caller
from backends.lab.agents.mesh.entries import Entry
from backends.lab.agents.mesh.exports import Exports
from backends.lab.controllers import reading
from backends.lab.controllers.loop import NEVER

RETRY: Final = 5.0
REJECTED_EVERY: Final = 2.0


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """What a peer says about itself; ``service_exports`` is None where it cannot say."""

    number: int
    max_connected: int = 255
    cached: bool = False
    service_exports: bool | None = None


class Surroundings(Protocol):
    """What a link needs of the rest of the world."""

    def dial(self, caller: Caller, entry: Entry, now: float) -> Attempt:
        """Try to connect."""

    def path_holds(self, caller: Caller, attempt: Attempt) -> bool:
        """Whether an open connection still works."""

    def config_of(self, attempt: Attempt, peer: str) -> RemoteConfig | None:
        """What stands under the peer's name in the etcd that answered."""

    def exports_of(self, attempt: Attempt, peer: str) -> Exports | None:
        """What can be read about the peer there now."""

    def objection(self, link: "Link", config: RemoteConfig) -> str:
        """Why the peer's configuration is not accepted, or ""."""


@dataclass
class Link:
    """State of one peer in one process. Times are lab time; 0 stands for never."""

    caller: Caller
    minor: int
    entry: Entry
    tell: Callable[["Link", str], None]
    started_at: float
    next_try: float = 0.0
    tried_at: float = 0.0
    attempt: Attempt | None = None
    """The connection that stands, or None while waiting for one."""
    last: Attempt | None = None
    """The last attempt that failed."""
    config: RemoteConfig | None = None
    config_at: float = 0.0
    ready_at: float = 0.0
    failures: int = 0
    last_failure: float = 0.0
    denied: bool = False
    rejected: str = ""
    rejected_since: float = 0.0
    gives_up_at: float = NEVER
    seen: Exports | None = None
    told: set[str] = field(default_factory=set)

    @property
    def peer(self) -> str:
        """The peer's name."""
        return self.entry.name

    @property
    def connected(self) -> bool:
        """Whether an etcd session is up."""
        return self.attempt is not None and not self.rejected

    def ready(self, now: float) -> bool:
        """Connected, configured and synchronized."""
        return self.connected and self.config is not None and 0 < self.ready_at <= now

    def reconnections(self, now: float) -> int:
        """Failures since the process started; a rejected peer is tried again every two seconds."""
        loops = int((now - self.rejected_since) // REJECTED_EVERY) if self.rejected else 0
        return self.failures + loops

    def failed_at(self, now: float) -> float:
        """Time of the last failure, 0 = never."""
        if self.rejected:
            return self.rejected_since + REJECTED_EVERY * int((now - self.rejected_since) // REJECTED_EVERY)
        return self.last_failure

    def replace(self, entry: Entry, now: float) -> None:
        """The peer's file changed: connect anew; what was read is kept."""
        self.entry = entry
        self._drop()
        self.next_try = now
        self.tell(self, "connecting")

    def _drop(self) -> None:
        self.attempt = None
        self.config = None
        self.config_at = self.ready_at = 0.0
        self.gives_up_at = NEVER
        self.rejected = ""
        self.denied = False

    # -- moving on -----------------------------------------------------------------------------------------------

    def advance(self, around: Surroundings, now: float, changed: bool) -> float:
        """Do what is due; ``changed`` says that something in the world did. Returns the next due time."""
        for _ in range(4):
            if self.rejected:
                due, again = self._reconsider(around, now, changed)
            elif self.attempt is None:
                due, again = self._connect(around, now, changed)
            else:
                due, again = self._hold(around, now, changed)
            if not again:
                return due
        return due

    def _connect(self, around: Surroundings, now: float, changed: bool) -> tuple[float, bool]:
        # Nothing comes of trying again before something changed, but for certificates whose time comes.
        if changed and self.tried_at > now:
            self.tried_at = self.next_try = now
        if changed:
            self.next_try = min(self.next_try, self.tried_at + RETRY)
        if now < self.next_try:
            return self.next_try, False
        self.tried_at, self.next_try = now, now + 12 * RETRY
        attempt = around.dial(self.caller, self.entry, now)
        if attempt.layer == dialing.USER and self.minor <= 15:
            self.attempt, self.denied = attempt, True
            self.tell(self, "denied")
            return NEVER, False
        if attempt.layer:
            self._not_connected(attempt)
            return self.next_try, False
        self.attempt, self.last = attempt, None
        self.told.clear()
        self.tell(self, "established")
        return now, True

    def _not_connected(self, attempt: Attempt) -> None:
        self.last = attempt
        if attempt.layer not in self.told:
            self.told = {attempt.layer}
            self.tell(self, f"failed-{attempt.layer}")

    def _hold(self, around: Surroundings, now: float, changed: bool) -> tuple[float, bool]:
        assert self.attempt is not None
        if changed or self.gives_up_at != NEVER:
            self._watch(around, now)
        if now >= self.gives_up_at:
            self.failures += 1
            self.last_failure = now
            self._drop()
            self.next_try = now
            self.tell(self, "reconnecting")
            return now, True
        if self.denied:
            return self.gives_up_at, False
        if self.gives_up_at == NEVER:
            self._read(around, now)
            if self.rejected:
                return now + REJECTED_EVERY, False
        due = self.gives_up_at
        if self.ready_at > now:
            due = min(due, self.ready_at)
        return due, False

    def _watch(self, around: Surroundings, now: float) -> None:
        assert self.attempt is not None
        if around.path_holds(self.caller, self.attempt):
            self.gives_up_at = NEVER
            return
        seed = f"{self.caller.runtime.uid}/{self.peer}/{self.failures}"
        if self.gives_up_at == NEVER:
            low, high = (30.0, 36.0) if self.minor <= 15 else (88.0, 123.0)
            self.gives_up_at = now + reading.share(seed, low, high)
        if not around.dial(self.caller, self.entry, now).layer:
            # Another etcd answers there: its cluster id differs, which is noticed at once.
            self.gives_up_at = min(self.gives_up_at, now + reading.share(seed, 1.0, 4.0))

    def _read(self, around: Surroundings, now: float) -> None:
        assert self.attempt is not None
        config = around.config_of(self.attempt, self.peer)
        if config is None:
            if self.config is None:
                if "no-config" not in self.told:
                    self.told.add("no-config")
                    self.tell(self, "no-config")
                return
            config = self.config
        if self.config is None:
            why = around.objection(self, config)
            if why:
                self.rejected, self.rejected_since = why, now
                self.failures += 1
                self.tell(self, "rejected")
                return
            self.config, self.config_at = config, now
            self.ready_at = now + reading.share(f"{self.caller.runtime.uid}/{self.peer}/sync", 0.6, 2.0)
            self.tell(self, "configured")
        self.config = config
        if self.ready_at <= now:
            fresh = around.exports_of(self.attempt, self.peer)
            if fresh is not None:
                self.seen = fresh

    def _reconsider(self, around: Surroundings, now: float, changed: bool) -> tuple[float, bool]:
        if not changed:
            return NEVER, False
        self.failures = self.reconnections(now)
        self.last_failure = self.failed_at(now)
        self._drop()
        self.next_try = now
        return now, True
