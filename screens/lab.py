"""Lab start: choose a simulated world; nothing outside this machine is contacted (screens.md §3.13)."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from tui.frame import Framed, bindings
from tui.present import lab as present
from tui.present.keys import COMMON, FIND, Key
from tui.present.lines import rule
from tui.widgets.bar import Bar
from tui.widgets.rows import RowList, TextPane


class LabStart(Framed):
    """The scenarios by group."""

    PLACE = "lab"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("enter", "app.open", "open", "start the scenario", "start"),
        Key("s", "lab.seed", "seed", "next seed for everything random", "seed"),
        *FIND,
        Key("c", "app.copy", "copy", "copy the command line of this start", "copy"),
        *COMMON,
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self) -> None:
        super().__init__()
        self.seed = 0

    def body(self) -> ComposeResult:
        """List and note."""
        yield RowList(id="list")
        yield Bar(id="rule")
        yield TextPane(id="detail")

    def on_mount(self) -> None:
        """The call's seed."""
        self.seed = self.app.options.seed
        super().on_mount()

    def header_subject(self) -> str:
        """The lab."""
        return "lab"

    def title_words(self) -> tuple[str, str]:
        """Which of how many."""
        keys = self.query_one("#list", RowList).keys()
        cursor = self.query_one("#list", RowList).cursor
        place = keys.index(cursor) + 1 if cursor in keys else 0
        return "Choose a scenario", f"{place} of {len(keys)}"

    def status_words(self) -> str:
        """When it ends."""
        return "The lab ends with this program."

    def label_of(self, key: Key) -> str:
        """The seed's number stands in the footer."""
        return f"seed {self.seed}" if key.name == "seed" else key.label

    def draw_body(self) -> None:
        """Scenarios and the note of the highlighted one."""
        rows = self.query_one("#list", RowList)
        rows.set_rows(present.rows(self.session.scenarios, self.app.size.width, self.signs, self.find))
        self.query_one("#rule", Bar).show(rule("", "", self.app.size.width, self.signs))
        self._draw_detail()

    def _draw_detail(self) -> None:
        key = self.query_one("#list", RowList).cursor
        self.query_one("#detail", TextPane).show(lambda width: present.detail(self.session.scenarios, key, width))

    @on(RowList.Moved)
    def _moved(self) -> None:
        self.draw()

    @on(RowList.Opened)
    def _opened(self) -> None:
        self.action_press("open")

    def key_open(self) -> None:
        """Start it and go to its contexts."""
        key = self.query_one("#list", RowList).cursor
        if key:
            self.app.director.contexts.start_lab(key, self.seed)
            self.app.pop_screen()
            self.app.go("clusters")

    def key_seed(self) -> None:
        """The next seed."""
        self.seed = self.seed % 99 + 1
        self.tell(f"seed {self.seed}: addresses, names and ids of the lab follow from it")
        self.draw()

    def key_copy(self) -> None:
        """The command line of this start."""
        key = self.query_one("#list", RowList).cursor
        self.app.copy(present.command(key, self.seed, self.app.options.speed), "the command")
