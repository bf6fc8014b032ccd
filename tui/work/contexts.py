"""Contexts: listed, looked at, chosen; and the lab that may give them."""

from typing import TYPE_CHECKING

from mesh.journal import RunRecord, latest_unfinished
from mesh.model.context import ContextList, ContextPeek, ContextRef
from mesh.ports import Store
from tui.present import contexts as contexts_words
from tui.session import Session

if TYPE_CHECKING:
    from tui.work.director import Director


class ContextDesk:
    """Lists, looks and chooses for the director."""

    def __init__(self, director: "Director") -> None:
        self.director = director
        self._chosen_once = False

    def start_lab(self, scenario: str, seed: int | None = None) -> None:
        """Start a lab and then list its contexts."""
        lab = self.director.ports.lab
        if lab is None:
            self.director.stage.tell("This build has no lab: pip install 'meshwright[lab]'.")
            return
        options = self.director.options
        self.forget()
        self.director.update(lab=scenario, lab_state="starting", simulated=True, contexts=None)

        async def work() -> None:
            if lab.running:
                await lab.stop()
            wanted = options.seed if seed is None else seed
            await lab.start(scenario, options.faults, speed=options.speed, seed=wanted)

        self.director.submit("lab", f"starting lab {scenario}", work)

    def forget(self) -> None:
        """Nothing is known of any cluster."""
        for job in ("gather", "judge"):
            self.director.bridge.cancel(job)
        self._chosen_once = False
        kept = self.director.session
        self.director.stage.show_session(
            Session(
                lab=kept.lab,
                lab_state=kept.lab_state,
                simulated=kept.simulated,
                scenarios=kept.scenarios,
                collectors=kept.collectors,
                now=kept.now,
            )
        )

    def list(self) -> None:
        """Read the kubeconfig files."""

        async def work() -> tuple[ContextList, RunRecord | None]:
            found = self._renamed(self.director.ports.contexts.list())
            return found, _unfinished(self.director.ports.store, found)

        self.director.submit("contexts", "reading kubeconfig files", work)

    def listed(self, result: tuple[ContextList, RunRecord | None]) -> None:
        """The files were read."""
        listed, unfinished = result
        self.director.update(contexts=listed, unfinished=unfinished)
        if not self._chosen_once:
            self._chosen_once = True
            self.director.update(chosen=self._first_choice())
            # What was said while there was no list is not so any more.
            self.director.stage.tell("")
        for key in self.director.session.chosen:
            self.peek(key)

    def _renamed(self, listed: ContextList) -> ContextList:
        """Contexts that the call named have the names it gave them."""
        named = {(ref.context, ref.file): ref for ref in self.director.options.chosen}
        refs = tuple(named.get((ref.context, ref.file), ref) for ref in listed.contexts)
        return ContextList(refs, listed.problems, listed.searched)

    def _first_choice(self) -> tuple[str, ...]:
        """What was named in the call, else every context of a lab, else what was chosen last time."""
        refs = self.director.session.refs
        if self.director.options.chosen:
            return tuple(ref.key for ref in refs if ref in self.director.options.chosen)
        if self.director.session.simulated:
            return tuple(ref.key for ref in refs)
        last = self.director.ports.store.get("chosen") or []
        return tuple(ref.key for ref in refs if label(ref) in last)

    def peek(self, key: str, *, again: bool = False) -> None:
        """Look at a context once, or again."""
        ref = self.director.session.ref(key)
        if ref is None or (not again and (key in self.director.session.peeks or key in self.director.session.peeking)):
            return
        self.director.update(peeking=self.director.session.peeking | {key})
        self.director.submit(f"peek:{key}", f"looking at {key}", lambda: self.director.ports.contexts.peek(ref))

    def peek_all(self) -> None:
        """Look at every context again."""
        for ref in self.director.session.refs:
            self.peek(ref.key, again=True)

    def peeked(self, key: str, peek: ContextPeek) -> None:
        """A context was looked at."""
        before = self.director.session.peeks.get(key)
        self.director.update(
            peeks={**self.director.session.peeks, key: peek}, peeking=self.director.session.peeking - {key}
        )
        for twin, other in self.director.session.twins.items():
            if twin in self.director.session.chosen:
                self.director.update(chosen=tuple(item for item in self.director.session.chosen if item != twin))
                self.director.stage.tell(f"{twin} is the same cluster as {other}.")
        if before is not None and before.access is not peek.access:
            self.director.stage.tell(f"{key} is {peek.access.value}")

    def choose(self, key: str) -> None:
        """Choose a context or let go of it; says why it cannot be chosen."""
        session = self.director.session
        if key in session.chosen:
            chosen = tuple(item for item in session.chosen if item != key)
        else:
            why = contexts_words.why_not_chosen(session, key)
            if why:
                self.director.stage.tell(why)
                return
            chosen = tuple(ref.key for ref in session.refs if ref.key in (*session.chosen, key))
        self.director.update(chosen=chosen, edits={})
        if not self.director.session.simulated:
            labels = [label(ref) for ref in self.director.session.chosen_refs]
            self.director.ports.store.put("chosen", labels)
        self.director.stage.tell(contexts_words.status(self.director.session))
        if key in chosen:
            self.peek(key)


def label(ref: ContextRef) -> str:
    """``context@file``: which context it is, beyond one session."""
    return f"{ref.context}@{ref.file}"


def _unfinished(store: Store, listed: ContextList) -> RunRecord | None:
    """The newest run of clusters that are listed, if it did not end well; runs of a lab that is gone are left alone."""
    known = {label(ref) for ref in listed.contexts}
    return latest_unfinished(store, lambda record: not record.contexts or not set(record.contexts.values()) <= known)
