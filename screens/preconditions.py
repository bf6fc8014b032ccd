"""Preconditions: what must hold before a change, worst root first (screens.md §3.3)."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from mesh.finding import Finding, Problem
from tui.frame import Framed, bindings
from tui.present import finding as one
from tui.present import findings as present
from tui.present.frame import needed_place
from tui.present.keys import COMMON, COPY, EXPORT, FIND, Key
from tui.present.lines import Line, rule
from tui.widgets.bar import Bar
from tui.widgets.rows import RowList, TextPane

# The keys that work on findings.
OF_FINDINGS = ("unfold", "fold", "all", "layer", "unfold_all", "find", "next_match", "prev_match", "copy", "export")

# Rows of the lower pane however long the list is; it takes those as well that the list leaves.
LEAST = 8


class Preconditions(Framed):
    """Problems by rank with their consequences folded; every count can be opened."""

    PLACE = "preconditions"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("enter", "app.open", "open", "open the finding", "finding"),
        Key("right", "app.unfold", "unfold", "unfold the consequences", "unfold"),
        Key("left", "app.fold", "fold", "fold them"),
        Key("greater_than_sign", "app.next_step", "next_step", "the plan", "plan"),
        Key("a", "app.all", "all", "all findings, or problems only", "all"),
        Key("l", "checks.layer", "layer", "next layer only", "layer"),
        Key("z", "app.unfold_all", "unfold_all", "unfold or fold everything"),
        *(Key(k.keys, k.id, k.name, k.help, k.label and "filter", wide=True) for k in FIND),
        COPY,
        EXPORT,
        Key("r", "app.refresh", "refresh", "read the facts again"),
        *(key for key in COMMON if key.name != "next_step"),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self) -> None:
        super().__init__()
        self.unfolded: frozenset[str] = frozenset()
        self.everything = False
        self.only_layer: int | None = None
        self._room = LEAST

    def body(self) -> ComposeResult:
        """The list, the layer table of large screens, and the highlighted finding."""
        with Vertical(id="columns"):
            with Vertical(id="main"):
                yield RowList(id="list")
                yield TextPane(id="layers")
            yield Bar(id="rule")
            with Vertical(id="side"):
                yield TextPane(id="detail")

    def title_words(self) -> tuple[str, str]:
        """How many problems, and what is shown of them."""
        return present.title(self.session, self.only_layer, self.find, self.everything)

    def status_words(self) -> str:
        """The eight counts."""
        return present.summary(self.session.judged, self.app.size.width, self.signs)

    def draw_body(self) -> None:
        """List and detail."""
        rows = self.query_one("#list", RowList)
        width = rows.size.width or self.app.size.width
        rows.set_rows(
            present.rows(
                self.session,
                width,
                self.signs,
                unfolded=self.unfolded,
                everything=self.everything,
                layer=self.only_layer,
                find=self.find,
                tall=self.wide,
            )
        )
        self.query_one("#rule", Bar).show(rule("", "", self.app.size.width, self.signs))
        self._room = max(self.query_one("#columns").size.height - 1 - rows.virtual_size.height, LEAST)
        self.query_one("#detail").styles.max_height = "100%" if self.wide else self._room
        judged = self.session.judged
        table = present.layer_table(judged, self.signs) if judged else []
        self.query_one("#layers", TextPane).show(lambda _: table)
        self._draw_detail()

    def _draw_detail(self) -> None:
        self.query_one("#detail", TextPane).show(self._detail, top=True)

    def _detail(self, width: int) -> list[Line]:
        found, problem = self.found
        if found is None:
            return []
        now = self.session.now
        if self.wide:
            head = one.detail_head(found, problem, width, self.signs)
            return [head, *one.full(found, problem, width, self.signs, now)]
        shown = problem if problem is not None and problem.root == found else Problem(found)
        return one.short_detail(shown, width, self.signs, now, self._room)

    @property
    def found(self) -> tuple[Finding | None, Problem | None]:
        """The finding under the cursor and the problem it belongs to."""
        judged = self.session.judged
        key = self.query_one("#list", RowList).cursor
        if judged is None or not key:
            return None, None
        root_key, _, inner = key.partition(" / ")
        problem = next((p for p in judged.problems if present.finding_key(p.root) == root_key), None)
        return present.by_key(judged, inner or root_key), problem

    @on(RowList.Moved)
    def _moved(self) -> None:
        self.draw_frame()
        self._draw_detail()

    @on(RowList.Opened)
    def _opened(self) -> None:
        self.action_press("open")

    def key_open(self) -> None:
        """The finding in full; on an empty list the next step, or what it needs first."""
        from screens.finding import FindingScreen

        found, _ = self.found
        if found is None:
            self.app.go(needed_place(self.session) or "plan")
        else:
            self.app.push_screen(FindingScreen(present.finding_key(found)))

    def key_unfold(self) -> None:
        """Show what the problem explains."""
        self._fold(True)

    def key_fold(self) -> None:
        """Hide it again."""
        self._fold(False)

    def _fold(self, show: bool) -> None:
        key = self.query_one("#list", RowList).cursor.partition(" / ")[0]
        self.unfolded = self.unfolded | {key} if show else self.unfolded - {key}
        self.draw()
        if not show:
            self.query_one("#list", RowList).cursor = key

    def key_unfold_all(self) -> None:
        """Unfold everything, or fold it."""
        judged = self.session.judged
        keys = frozenset(present.finding_key(p.root) for p in judged.problems) if judged else frozenset()
        self.unfolded = frozenset() if self.unfolded >= keys else keys
        self.draw()

    def key_all(self) -> None:
        """All findings, or problems only."""
        self.everything = not self.everything
        self.draw()

    def key_layer(self) -> None:
        """The next layer only; after the last, all."""
        layers = [None, *present.layers(self.session.judged)]
        place = layers.index(self.only_layer) if self.only_layer in layers else 0
        self.only_layer = layers[(place + 1) % len(layers)]
        self.draw()

    def key_next_match(self) -> None:
        """The next row."""
        self.query_one("#list", RowList).action_move(1)

    def key_prev_match(self) -> None:
        """The row before."""
        self.query_one("#list", RowList).action_move(-1)

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now."""
        if name == "refresh" and self.app.run_is_open():
            return "r is off: a run is under way, it reads what it needs"
        if self.session.judged is None:
            return "there are no findings yet" if name in OF_FINDINGS else ""
        found, problem = self.found
        if name in ("unfold", "fold") and not (problem and problem.consequences):
            return "nothing is folded under this row"
        if name == "copy" and not (found and one.fix_command(found)):
            return "c is off: this finding has no command" if found else "c is off: no finding is highlighted"
        return ""

    def label_of(self, key: Key) -> str:
        """Where no finding is highlighted Enter leads on."""
        if key.name == "open" and self.found[0] is None:
            return needed_place(self.session) or "plan"
        return key.label

    def key_copy(self) -> None:
        """The command of the fix that is shown."""
        found, _ = self.found
        self.app.copy(one.fix_command(found) if found else "", "the command")

    def key_refresh(self) -> None:
        """Read the facts again."""
        self.app.director.read()
        self.app.tell("reading the facts again")

    def key_export(self) -> None:
        """The findings."""
        from screens.export import Export
        from tui.present import export

        self.app.push_screen(Export("preconditions", export.of_findings(self.session)))
