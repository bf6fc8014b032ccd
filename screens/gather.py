"""Facts: everything is read once from all chosen clusters, and shown as it comes in (screens.md §3.2)."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from tui.frame import Framed, bindings
from tui.present import facts as present
from tui.present.keys import COMMON, COPY, EXPORT, Key
from tui.present.lines import Line, rule
from tui.widgets.bar import Bar
from tui.widgets.rows import RowList, TextPane


class Facts(Framed):
    """One row per collector, one column per cluster; above three clusters the other way."""

    PLACE = "facts"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("enter", "app.open", "open", "details of the cell", "details"),
        Key("greater_than_sign", "app.next_step", "next_step", "the checks so far", "checks so far"),
        Key("r", "app.refresh", "refresh", "read again; on a cell that failed, only its cluster", "again"),
        Key("x", "facts.stop", "stop", "stop reading", "stop"),
        Key("left", "app.fold", "left", "the cluster to the left"),
        Key("right", "app.unfold", "right", "the cluster to the right"),
        Key("v", "app.raw", "raw", "the facts as read"),
        COPY,
        EXPORT,
        *(key for key in COMMON if key.name != "next_step"),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self) -> None:
        super().__init__()
        self.column = 0

    def body(self) -> ComposeResult:
        """The table and the cell under the cursor."""
        yield RowList(id="list")
        yield Bar(id="rule")
        yield TextPane(id="detail")

    def title_words(self) -> tuple[str, str]:
        """What is being read, and how long it takes."""
        return present.title(self.session)

    def status_words(self) -> str:
        """What could not be read."""
        return present.status(self.session, self.session.gathering)

    def draw_body(self) -> None:
        """Table and detail."""
        rows = self.query_one("#list", RowList)
        rows.set_rows(present.rows(self.session, self.app.size.width, self.signs, self.column, rows.cursor))
        self.query_one("#rule", Bar).show(rule("", "", self.app.size.width, self.signs))
        self._draw_detail()

    def _draw_detail(self) -> None:
        self.query_one("#detail", TextPane).show(lambda width: self._detail(width)[:9])

    def _detail(self, width: int, *, full: bool = False) -> list[Line]:
        if present.swapped(self.session):
            return present.cluster_detail(self.session, self.cluster, width, self.signs)
        return present.detail(self.session, self.cluster, self.collector, width, self.signs, full=full)

    @property
    def cluster(self) -> str:
        """The cluster under the cursor."""
        clusters = present.clusters_of(self.session)
        if present.swapped(self.session):
            return self.query_one("#list", RowList).cursor
        return clusters[min(self.column, len(clusters) - 1)] if clusters else ""

    @property
    def collector(self) -> str:
        """The collector under the cursor; "" where clusters are rows."""
        return "" if present.swapped(self.session) else self.query_one("#list", RowList).cursor

    @on(RowList.Moved)
    def _moved(self) -> None:
        self.draw_body()

    @on(RowList.Opened)
    def _opened(self) -> None:
        self.action_press("open")

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now."""
        session = self.session
        if name == "stop" and not session.gathering.running:
            return "x is off: nothing is being read"
        if name in ("raw", "copy", "export") and not session.gathering.state:
            return "there are no facts yet"
        if name == "refresh":
            if not session.chosen:
                return "r is off: no cluster is chosen, press 1"
            if self.app.run_is_open():
                return "r is off: a run is under way, it reads what it needs"
        return ""

    def label_of(self, key: Key) -> str:
        """Before anything is read Enter reads, or leads to where clusters are chosen."""
        if self.session.gathering.state:
            return key.label
        begin = "read facts" if self.session.chosen else "clusters"
        return {"open": begin, "refresh": "read"}.get(key.name, key.label)

    def key_left(self) -> None:
        """The cluster to the left."""
        self._to(-1)

    def key_right(self) -> None:
        """The cluster to the right."""
        self._to(1)

    def _to(self, by: int) -> None:
        clusters = present.clusters_of(self.session)
        self.column = min(max(self.column + by, 0), max(len(clusters) - 1, 0))
        self.draw()

    def key_open(self) -> None:
        """The cell, or where clusters are rows the cluster, in full; before anything is read, what comes first."""
        from screens.detail import Detail

        if not self.session.gathering.state:
            if self.session.chosen:
                self.action_press("refresh")
            else:
                self.app.go("clusters")
            return
        whole = partial(self._detail, full=True)
        self.app.push_screen(Detail("facts", f"{self.cluster} {self.collector}".strip(), whole, self.copied()))

    def key_raw(self) -> None:
        """The facts of this cluster as they were read."""
        from screens.detail import Detail
        from tui.present import export

        text = export.facts_of(self.session, self.cluster)
        self.app.push_screen(Detail("facts", f"facts of {self.cluster}", export.as_lines(text), text))

    def key_refresh(self) -> None:
        """Read again: only the cluster whose cell could not be read, else all."""
        told = present.progress(self.session, self.cluster, self.collector)
        failed = told.state in present.ENDED and told.state != "done"
        self.app.director.read((self.cluster,) if failed and self._is_of_gathering() else ())

    def _is_of_gathering(self) -> bool:
        return not self.session.outdated and not self.session.gathering.running

    def key_stop(self) -> None:
        """Stop; the rest becomes unknown."""
        self.app.director.stop_reading()

    def copied(self) -> str:
        """What lifts a denied cell, else what it says."""
        told = present.progress(self.session, self.cluster, self.collector)
        return self._role or told.lift or told.detail or told.text

    @property
    def _role(self) -> str:
        return present.role_for(self.session, self.cluster, self.collector)

    def key_copy(self) -> None:
        """What lifts a denied cell, else the cluster's facts."""
        if role := self._role:
            self.app.copy(role, "the Role and RoleBinding")
            return
        told = present.progress(self.session, self.cluster, self.collector)
        if told.lift:
            self.app.copy(told.lift, "what lifts it")
            return
        from tui.present import export

        self.app.copy(export.facts_of(self.session, self.cluster), f"the facts of {self.cluster}")

    def key_export(self) -> None:
        """All facts, in the format that --from reads."""
        from screens.export import Export
        from tui.present import export

        self.app.push_screen(Export("facts", export.of_facts(self.session)))
