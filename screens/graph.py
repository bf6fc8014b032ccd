"""Mesh: who reaches whom and what is sick, as a map, and the global services as lanes (screens.md §3.8, §3.9)."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from mesh.draw.canvas import Drawing
from mesh.draw.lanes import draw_lanes
from mesh.draw.map import draw_map
from mesh.model.picture import Health
from tui.frame import Framed, bindings
from tui.present.frame import needed_place
from tui.present.keys import COMMON, COPY, Key
from tui.present.lines import Line, rule
from tui.present.mesh import panel as present
from tui.present.mesh import whole
from tui.widgets.bar import Bar
from tui.widgets.canvas_view import CanvasView
from tui.widgets.rows import TextPane


class Mesh(Framed):
    """The picture and, of what is selected, every plane in words."""

    PLACE = "mesh"
    AUTO_FOCUS = "#canvas"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("enter", "app.open", "open", "the pair, cluster or service in full; before joining, the plan", "open"),
        Key("m", "mesh.view", "view", "the next view: map, services", "view"),
        Key("a", "app.all", "all", "all links, or the healthy ones folded", "all"),
        Key("tab", "app.next", "next_sick", "the next sick thing", "next sick"),
        COPY,
        Key("e", "app.export", "export", "export the picture", "export"),
        Key("r", "app.refresh", "refresh", "read the facts again", "again", wide=True),
        *COMMON,
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self) -> None:
        super().__init__()
        self.view = "Map"
        self.all = False

    def body(self) -> ComposeResult:
        """Picture and panel."""
        with Vertical(id="columns"):
            with Vertical(id="main"):
                yield TextPane(id="empty")
                yield CanvasView(id="canvas")
                yield TextPane(id="lanes")
            yield Bar(id="rule")
            with Vertical(id="side"):
                yield TextPane(id="detail")

    @property
    def canvas(self) -> CanvasView:
        """The picture."""
        return self.query_one(CanvasView)

    def title_words(self) -> tuple[str, str]:
        """Views and counts."""
        return present.title(self.session, self.view, self.app.size.width, self.canvas.below)

    def status_words(self) -> str:
        """How the mesh is."""
        return present.status(self.session)

    def draw_body(self) -> None:
        """Picture, rule, panel."""
        judged = self.session.judged
        some = judged is not None and bool(judged.picture.clusters)
        self.canvas.display = some
        empty = self.query_one("#empty", TextPane)
        bare = judged is not None and some and self.view == "Services" and not judged.picture.services
        empty.display = not some or bare
        empty.show(lambda width: present.no_service(self.session, width) if bare else present.nothing(self.session))
        if some:
            drawing = self.drawing(self.canvas.room.width or self.app.size.width)
            assert judged is not None
            self.canvas.show(drawing, present.related(judged.picture, self.canvas.selected))
        self.query_one("#rule", Bar).show(rule("", "", self.app.size.width, self.signs))
        self._draw_lanes()
        self._draw_detail()

    def _draw_lanes(self) -> None:
        """Below the map of a large screen: the global services."""
        judged, lanes = self.session.judged, self.query_one("#lanes", TextPane)
        services = present.with_proof(self.session, judged.picture).services if judged else ()
        lanes.display = self.wide and self.view == "Map" and bool(services)
        if judged is not None and lanes.display:
            lanes.show(lambda width: present.lanes(self.session, judged.picture, width, self.signs))

    def drawing(self, width: int) -> Drawing:
        """The picture for a width."""
        judged = self.session.judged
        if judged is None:
            return Drawing(0, ())
        if self.view == "Services":
            return draw_lanes(present.with_proof(self.session, judged.picture), width, self.signs.drawing)
        return draw_map(judged.picture, width, self.signs.drawing, show_all=self.all)

    def _draw_detail(self) -> None:
        self.query_one("#detail", TextPane).show(self._detail)

    def _detail(self, width: int) -> list[Line]:
        if self.session.judged is None:
            return []
        return present.detail(self.session, self.canvas.selected, width, self.signs)

    @on(CanvasView.Selected)
    def _selected(self) -> None:
        self.draw_frame()
        self.draw_body()

    @on(CanvasView.Resized)
    def _canvas_resized(self) -> None:
        self.session_changed()

    @on(CanvasView.Opened)
    def _opened(self) -> None:
        self.action_press("open")

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now."""
        judged = self.session.judged
        if name == "next_sick" and not self._sick():
            return "nothing is sick" if judged is not None else "there is no picture yet"
        if name == "open" and judged is not None and not self._unconnected() and not self.canvas.selected:
            return "nothing is selected: no Service is global"
        if name == "all" and (judged is None or len(judged.picture.clusters) <= 4):
            few = "a is off: up to four clusters every link is drawn"
            return few if judged is not None else "there is no picture yet"
        if name in ("copy", "export", "view") and judged is None:
            return "there is no picture yet"
        if name == "refresh" and self.app.run_is_open():
            return "r is off: a run is under way, it reads what it needs"
        return ""

    def _sick(self) -> list[str]:
        judged = self.session.judged
        if judged is None:
            return []
        bad = (Health.DOWN, Health.DEGRADED, Health.UNKNOWN)
        links = [f"link:{link.a}|{link.b}" for link in judged.picture.links if link.health in bad]
        boxes = [
            f"cluster:{box.key}"
            for box in judged.picture.clusters
            if not box.reachable or not all(node.ready for node in box.nodes)
        ]
        services = [f"service:{s.namespace}/{s.name}" for s in judged.picture.services if s.findings]
        return services if self.view == "Services" and services else [*links, *boxes]

    def key_next_sick(self) -> None:
        """The next sick thing after the selected one; links and clusters are on the map."""
        sick = self._sick()
        if self.view == "Services" and not sick[0].startswith("service:"):
            self.view = "Map"
            self.draw()
        place = sick.index(self.canvas.selected) + 1 if self.canvas.selected in sick else 0
        self.canvas.selected = sick[place % len(sick)]

    def key_open(self) -> None:
        """What is selected in full; where nothing is connected yet, the plan."""
        from screens.detail import Detail

        judged = self.session.judged
        key = self.canvas.selected
        if judged is None:
            self.app.go(needed_place(self.session))
            return
        if self._unconnected():
            self.app.go("plan")
            return
        name = key.partition(":")[2].replace("|", f" {self.signs.both} ")
        make = lambda width: whole.lines(self.session, key, width, self.signs)  # noqa: E731
        self.app.push_screen(Detail("mesh", name, make))

    def _unconnected(self) -> bool:
        """Whether a link is selected that is not there yet."""
        links = self.session.judged.picture.links if self.session.judged else ()
        absent = (f"link:{link.a}|{link.b}" for link in links if link.health is Health.ABSENT)
        return self.canvas.selected in absent

    def label_of(self, key: Key) -> str:
        """Enter leads to what the picture needs, and from a link that is not there to the plan."""
        if key.name != "open":
            return key.label
        return needed_place(self.session) or ("plan" if self._unconnected() else key.label)

    def key_view(self) -> None:
        """The next view."""
        self.view = present.VIEWS[(present.VIEWS.index(self.view) + 1) % len(present.VIEWS)]
        self.draw()

    def key_all(self) -> None:
        """Every link, or the healthy ones folded into one."""
        self.all = not self.all
        self.draw()

    def key_refresh(self) -> None:
        """Read the facts again."""
        self.app.director.read()
        self.tell("reading the facts again")

    def key_copy(self) -> None:
        """The panel as text."""
        from tui.present.export import text_of

        self.app.copy(text_of(self._detail(100)), "the panel")

    def key_export(self) -> None:
        """Text or JSON."""
        from screens.export import Export
        from tui.present import export

        self.app.push_screen(Export("mesh", export.of_mesh(self.session, lambda: self.drawing(120).text())))
