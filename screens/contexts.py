"""Clusters: choose which kubeconfig contexts form the mesh (screens.md §3.1)."""

import os
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.timer import Timer

from mesh.model.context import Access, ContextRef
from tui.frame import Framed, bindings
from tui.present import contexts as present
from tui.present.keys import COMMON, COPY, FIND, REFRESH, Key
from tui.present.lines import Line, Row, line, rule
from tui.present.setup import unfinished_lines
from tui.widgets.bar import Bar
from tui.widgets.rows import RowList, TextPane

REST = 0.3
UNFINISHED = "run:"


class Clusters(Framed):
    """Contexts of all kubeconfig files, what each really is, and which are chosen."""

    PLACE = "clusters"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("space", "clusters.choose", "choose", "choose the context, or let go of it", "choose"),
        Key("enter", "app.open", "open", "read the facts of what is chosen", "read facts"),
        Key("i", "clusters.login", "login", "sign in", "sign in"),
        Key("right", "app.unfold", "unfold", "details of the context"),
        *FIND,
        COPY,
        Key("e", "app.export", "export", "export this table", "export"),
        Key("r", "app.refresh", "refresh", REFRESH.help),
        *COMMON,
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self) -> None:
        super().__init__()
        self._rest: Timer | None = None
        self._inspect = ""
        self._home = os.path.expanduser("~")

    def body(self) -> ComposeResult:
        """The tree of files and contexts, and what the highlighted one is."""
        with Vertical(id="columns"):
            with Vertical(id="main"):
                yield RowList(id="list")
            yield Bar(id="rule")
            with Vertical(id="side"):
                yield TextPane(id="detail")

    def title_words(self) -> tuple[str, str]:
        """Title and number chosen."""
        return present.title(self.session)

    def status_words(self) -> str:
        """What is chosen."""
        return present.status(self.session)

    def draw_body(self) -> None:
        """List, rule and detail."""
        rows = self.query_one("#list", RowList)
        width = rows.size.width or self.app.size.width
        shown = present.rows(self.session, width, self.signs, self.find, self._home)
        rows.set_rows([*self._unfinished(), *shown])
        self.query_one("#rule", Bar).show(rule("", "", self.app.size.width, self.signs))
        self._draw_detail()

    def _unfinished(self) -> list[Row]:
        record = self.session.unfinished
        if record is None:
            return []
        told = f" {self.signs.warn} unfinished run {record.run}  {record.plan.title}"
        return [Row(f"{UNFINISHED}{record.run}", (line((told, "warn"), (f"   {self.signs.enter} opens it", "muted")),))]

    def _draw_detail(self) -> None:
        key = self.query_one("#list", RowList).cursor
        self.query_one("#detail", TextPane).show(lambda width: self._detail(key, width)[: 7 if not self.wide else None])

    def _detail(self, key: str, width: int) -> list[Line]:
        record = self.session.unfinished
        if record is not None and key.startswith(UNFINISHED):
            return unfinished_lines(record, width)
        return present.detail(self.session, key, width, self.signs, self._home)

    @property
    def ref(self) -> ContextRef | None:
        """The context under the cursor."""
        return self.session.ref(self.query_one("#list", RowList).cursor)

    @on(RowList.Moved)
    def _moved(self) -> None:
        self._inspect = ""
        self.draw_frame()
        self._draw_detail()
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST, self._rested)

    def _rested(self) -> None:
        ref = self.ref
        if ref is not None:
            self.app.director.contexts.peek(ref.key)

    @on(RowList.Opened)
    def _opened(self) -> None:
        self.action_press("open")

    def label_of(self, key: Key) -> str:
        """On an unfinished run Enter opens it; without a lab it leads back to the scenarios."""
        if key.name == "open" and self.session.lab_state == "failed":
            return "scenarios"
        return "open run" if key.name == "open" and self._on_unfinished else key.label

    @property
    def _on_unfinished(self) -> bool:
        return self.query_one("#list", RowList).cursor.startswith(UNFINISHED)

    @property
    def _nothing(self) -> str:
        if self.session.lab_state == "failed":
            return "no lab runs: ⏎ chooses a scenario"
        return "the contexts are not listed yet" if self.session.contexts is None else "there is no context to choose"

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now."""
        if name == "login" and self.ref is None:
            return "i is off: no context is highlighted"
        no_lab = self.session.lab_state == "failed"
        if name in ("choose", "copy", "find", "export") and not self.session.refs:
            return self._nothing
        if name == "refresh" and no_lab:
            return "r is off: no lab runs"
        if name == "open" and not no_lab and not (self.session.chosen or self._on_unfinished):
            return "choose clusters with space first" if self.session.refs else self._nothing
        return ""

    def key_choose(self) -> None:
        """Choose the context, or let go of it."""
        ref = self.ref
        if ref is not None:
            self.app.director.contexts.choose(ref.key)

    def key_open(self) -> None:
        """Read facts; one cluster alone only when asked twice; an unfinished run is opened."""
        session = self.session
        if session.lab_state == "failed":
            from screens.lab import LabStart

            self.app.push_screen(LabStart())
            return
        if self._on_unfinished:
            self.app.director.runs.open_unfinished()
            self.app.go("setup")
            return
        if len(session.chosen) == 1 and self._inspect != session.chosen[0]:
            self._inspect = session.chosen[0]
            self.tell("a mesh needs two; ⏎ again inspects one")
            return
        if self.app.run_is_open():
            self.app.go("facts")
            return
        self.app.director.read()
        self.app.go("facts")

    def key_login(self) -> None:
        """Open the login question."""
        from screens.login import Login

        ref = self._to_sign_in()
        if ref is not None:
            peek = self.session.peeks.get(ref.key)
            command = (peek.login if peek else ()) or tuple(self.app.ports.contexts.login_command(ref))
            if not command:
                self.tell(f"no login command is known for {ref.key}: it signs in with what its file holds")
                return
            self.app.push_screen(Login(ref, command))

    def _to_sign_in(self) -> ContextRef | None:
        """The highlighted context; if that one is well, the first chosen one whose login has ended."""
        here = self.ref
        if here is not None and self._ended(here.key):
            return here
        return next((ref for ref in self.session.chosen_refs if self._ended(ref.key)), here)

    def _ended(self, key: str) -> bool:
        peek = self.session.peeks.get(key)
        return peek is not None and peek.access in (Access.EXPIRED, Access.NO_PLUGIN)

    def key_unfold(self) -> None:
        """Details on a screen of their own, where there is no room beside the list."""
        from screens.detail import Detail

        key = self.query_one("#list", RowList).cursor
        if self.narrow and key:
            self.app.push_screen(Detail("clusters", key, lambda width: self._detail(key, width)))

    def key_refresh(self) -> None:
        """Look at every context again."""
        self.app.director.contexts.list()
        self.app.director.contexts.peek_all()
        self.tell("looking at every context again")

    def key_copy(self) -> None:
        """The argument that names this context and no other."""
        ref = self.ref
        self.app.copy(present.copied(ref, self._home) if ref else "", "the --cluster argument")

    def key_export(self) -> None:
        """This table, without credentials."""
        from screens.export import Export
        from tui.present import export

        self.app.push_screen(Export("clusters", export.of_clusters(self.session)))
