"""The frame of every place: header, rail, title, body, status, footer; keys with reasons; six sizes (§2)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input

from tui.present import frame as present
from tui.present.keys import COMMON, Key, face
from tui.present.lines import Line, line, rule, wrap
from tui.session import Session
from tui.signs import Signs
from tui.widgets.bar import Bar, with_targets
from tui.widgets.field import Field
from tui.widgets.rows import RowList, TextPane
from tui.widgets.scrolled import Scrolled
from tui.widgets.styled import PALETTE

if TYPE_CHECKING:
    from tui.app import MeshwrightApp

DEBOUNCE = 0.1
SIZES = ("tiny", "small", "narrow", "normal", "wide", "full")


def size_class(width: int, height: int) -> str:
    """Which of the six layouts fits (screens.md §2.4)."""
    if width < 40 or height < 12:
        return "tiny"
    if width < 60 or height < 18:
        return "small"
    return "narrow" if width < 80 else "normal" if width < 120 else "wide" if width < 160 else "full"


def bindings(keys: Iterable[Key]) -> list[BindingType]:
    """Key records as Textual bindings that can be remapped by id."""
    return [Binding(key.keys, f"press('{key.name}')", key.help, show=bool(key.label), id=key.id) for key in keys]


class FindInput(Field):
    """The one-line input over the status row. Enter keeps the filter, Escape clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+g", "give_up", show=False)]

    def action_give_up(self) -> None:
        """Clear and close."""
        self.value = ""
        self.post_message(self.Submitted(self, ""))


class Framed(Screen[None]):
    """A screen with the frame. Subclasses give ``PLACE``, ``KEYS``, ``body``, ``draw_body``, ``title_words``."""

    COMPONENT_CLASSES: ClassVar[set[str]] = PALETTE
    PLACE: ClassVar[str] = ""
    KEYS: ClassVar[tuple[Key, ...]] = COMMON
    AUTO_FOCUS = "#list"
    TOP: ClassVar[bool] = True
    app: "MeshwrightApp"

    def __init_subclass__(cls, **options: bool) -> None:
        super().__init_subclass__(**options)

    def __init__(self) -> None:
        super().__init__()
        self.find = ""
        self._pending = False
        self._resizing: Timer | None = None
        self._laid_out: Size | None = None

    def compose(self) -> ComposeResult:
        """The six rows of the frame."""
        yield Bar(id="header")
        yield Bar(id="rail")
        yield Bar(id="title")
        with Vertical(id="body"):
            yield from self.body()
        yield Bar(id="status")
        yield FindInput(id="find")
        yield Bar(id="footer")
        yield TextPane(id="notice")

    def body(self) -> ComposeResult:
        """The widgets between title and status."""
        yield from ()

    def draw_body(self) -> None:
        """Fill the body from the session."""

    def title_words(self) -> tuple[str, str]:
        """Left and right of the title rule."""
        return "", ""

    def status_words(self) -> str:
        """What the status row says while nothing was announced."""
        return ""

    def more_below(self) -> str:
        """That the main text goes on below the screen."""
        found = self.query("#text").results(Scrolled)
        below = next((pane.below for pane in found), 0)
        return f"{below} {'row' if below == 1 else 'rows'} below" if below else ""

    def header_subject(self) -> str:
        """What stands after the product's name; "" = the mesh."""
        return ""

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now; "" if it works."""
        return ""

    @property
    def session(self) -> Session:
        """The app's snapshot."""
        return self.app.session

    @property
    def signs(self) -> Signs:
        """The app's signs."""
        return self.app.signs

    @property
    def size_name(self) -> str:
        """Which layout is on."""
        return size_class(self.app.size.width, self.app.size.height)

    @property
    def narrow(self) -> bool:
        """Whether details are behind Enter."""
        return self.size_name in ("tiny", "small", "narrow")

    @property
    def wide(self) -> bool:
        """Whether list and detail stand side by side."""
        return self.size_name in ("wide", "full")

    def on_mount(self) -> None:
        """First drawing."""
        self.query_one(FindInput).display = False
        self.lay_out()

    def on_screen_resume(self) -> None:
        """What changed meanwhile is shown."""
        self.draw()

    def on_resize(self, _: events.Resize) -> None:
        """Another layout, once the size has settled; a place that opens is laid out for its size already."""
        if self._resizing is not None:
            self._resizing.stop()
            self._resizing = None
        if self.app.size == self._laid_out:
            self.session_changed()
            return
        if self._laid_out is None:
            self.lay_out()
            return
        self._resizing = self.set_timer(DEBOUNCE, self.lay_out)

    def lay_out(self) -> None:
        """Choose the layout by size, then draw."""
        if not self.is_mounted or not self.app.size.width:
            return
        self._laid_out, self._resizing = self.app.size, None
        now = self.size_name
        for name in SIZES:
            self.set_class(name == now, f"-{name}")
        self.set_class(now in ("wide", "full"), "-beside")
        self.set_class(now in ("tiny", "small", "narrow"), "-alone")
        self.call_after_refresh(self.draw)
        self.draw()

    def session_changed(self) -> None:
        """Draw soon; any number of changes in between is drawn once."""
        if not self._pending:
            self._pending = True
            self.call_later(self._draw_pending)

    def _draw_pending(self) -> None:
        self._pending = False
        self.draw()

    def draw(self) -> None:
        """Draw everything from the session."""
        if self._laid_out is None or not self.is_mounted or not self.is_current:
            return
        self.draw_frame()
        if self.size_name != "tiny":
            self.draw_body()

    def draw_frame(self) -> None:
        """Header, rail, title, status and footer."""
        session, signs = self.session, self.signs
        width, height = self.app.size
        if self.size_name == "tiny":
            told = wrap(present.size_notice(width, height), max(width, 10))
            self.query_one("#notice", TextPane).show(lambda wide: [line(row.center(wide)) for row in told])
            return
        self.query_one("#header", Bar).show(present.header(session, self.PLACE, width, signs, self.header_subject()))
        title, right = self.title_words()
        right = present.title_right(title, right, [f"/{self.find}" if self.find else "", self.more_below()], width)
        if self.size_name == "narrow":
            self.query_one("#rail", Bar).show(present.small_rail(session, self.PLACE, title, width, signs))
        else:
            _, parts = present.rail(session, self.PLACE, width, signs)
            self.query_one("#rail", Bar).show(*with_targets(parts))
        self.query_one("#title", Bar).show(rule(title, right, width, signs))
        self.draw_status()
        self.query_one("#footer", Bar).show(*with_targets(present.footer(self.foot_keys(), width)))

    def draw_status(self) -> None:
        """The announcement, else what the place itself has to say."""
        said = self.app.said or self.status_words()
        self.query_one("#status", Bar).show(self.status_line(said))

    def status_line(self, said: str) -> Line:
        """One line of the status row."""
        return line(f" {said}")

    def foot_keys(self) -> list[present.FootKey]:
        """The keys of the footer in their order, with the user's own keys where remapped."""
        mine = {binding.id: key for key, binding in self.remapped()}
        made = []
        for key in self.KEYS:
            if key.label and (label := self.label_of(key)):
                pressed = mine.get(key.id, key.keys)
                off = bool(self.reason_off(key.name))
                made.append(present.FootKey(face(key, self.signs, pressed), label, f"press:{key.name}", off, key.wide))
        return made

    def label_of(self, key: Key) -> str:
        """The footer's word for a key; "" leaves it out."""
        return key.label

    def remapped(self) -> list[tuple[str, Binding]]:
        """Keys that differ from those of the records."""
        keymap = self.app.keymap_changes
        return [(keys, Binding(keys, "", id=name)) for name, keys in keymap.items()]

    def tell(self, text: str) -> None:
        """Announce in the status row."""
        self.app.tell(text)

    def action_press(self, name: str) -> None:
        """A key was pressed: say why it is off, or do it."""
        why = self.reason_off(name)
        if why:
            self.tell(why)
            return
        method = getattr(self, f"key_{name}", None)
        if method is not None:
            method()

    @on(RowList.Resized)
    def _rows_resized(self) -> None:
        self.session_changed()

    @on(Scrolled.Seen)
    def _seen(self) -> None:
        if self._laid_out and self.is_current:
            self.draw_frame()

    @on(Bar.Clicked)
    def _clicked(self, message: Bar.Clicked) -> None:
        kind, _, name = message.action.partition(":")
        if kind == "press":
            self.action_press(name)
        else:
            self.app.go(kind)

    def key_next_step(self) -> None:
        """The next place of the rail."""
        self.app.step(1)

    def key_prev_step(self) -> None:
        """The place before."""
        self.app.step(-1)

    def key_help(self) -> None:
        """Help for this place."""
        self.app.open_help()

    def key_out(self) -> None:
        """One level out: the filter, else the screen; a place at the top stays."""
        if self.find:
            self.set_find("")
        elif not self.TOP and self.is_current:
            self.app.pop_screen()

    def key_back(self) -> None:
        """As Escape; at the top, quit."""
        if self.find or not self.TOP:
            self.key_out()
        else:
            self.app.ask_to_quit()

    def key_find(self) -> None:
        """Open the input over the status row."""
        find = self.query_one(FindInput)
        self.query_one("#status", Bar).display = False
        find.display = True
        find.value = self.find
        find.focus()

    @on(Input.Changed, "#find")
    def _finding(self, message: Input.Changed) -> None:
        if message.input.display:
            self.set_find(message.value)

    @on(Input.Submitted, "#find")
    def _found(self, message: Input.Submitted) -> None:
        message.input.display = False
        self.query_one("#status", Bar).display = True
        self.set_find(message.value)
        self.focus_main()

    def focus_main(self) -> None:
        """Give the main list the focus back."""
        if isinstance(self.AUTO_FOCUS, str):
            self.query(self.AUTO_FOCUS).first().focus()

    def set_find(self, text: str) -> None:
        """Filter by this text."""
        if text != self.find:
            self.find = text
            self.draw()
