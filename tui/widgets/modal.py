"""Questions in a box over the place they are about: text, fields, buttons; Escape always leads out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from tui.present.lines import Line, line
from tui.signs import Signs, ascii_cells
from tui.widgets.bar import Bar
from tui.widgets.field import TypedOnly
from tui.widgets.rows import TextPane
from tui.widgets.styled import PALETTE, Styled, harmless

if TYPE_CHECKING:
    from tui.app import MeshwrightApp

T = TypeVar("T")


class Push(Styled, Widget, can_focus=True):
    """A button: Enter or a click pushes it. ``note`` stands behind it while it cannot do its work."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "push", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    class Pushed(Message):
        """It was pushed."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, name: str, label: str, note: str = "") -> None:
        super().__init__(id=f"push-{name}")
        self.what = name
        self.label = label
        self.note = note

    def get_content_width(self, *_: object) -> int:
        """As wide as its text."""
        return len(self.text)

    @property
    def text(self) -> str:
        """``[ Cancel ]``, or ``  Apply (name not complete)  ``."""
        return f"  {self.label} ({self.note})  " if self.note else f"[ {self.label} ]"

    def set_note(self, note: str) -> None:
        """Say why it cannot do its work, or that it can."""
        if note != self.note:
            self.note = note
            self.refresh(layout=True)

    def render_line(self, y: int) -> Strip:
        """Its text; in reverse with the focus."""
        token = "here" if self.has_focus else "muted" if self.note else "title"
        return self.strip(line((self.text, token)), self.size.width) if not y else Strip.blank(self.size.width)

    def action_push(self) -> None:
        """Push it."""
        self.post_message(self.Pushed(self.what))

    def on_click(self, _: events.Click) -> None:
        """Push it."""
        self.action_push()

    def on_focus(self) -> None:
        """Drawn in reverse."""
        self.refresh()

    def on_blur(self) -> None:
        """Drawn plain."""
        self.refresh()


class Turn(Styled, Widget, can_focus=True):
    """A field with a few values: left and right change it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "turn(1)", show=False),
        Binding("left", "turn(-1)", show=False),
        Binding("enter", "app.focus_next", show=False),
    ]

    class Turned(Message):
        """It has another value."""

        def __init__(self, what: str, place: int) -> None:
            super().__init__()
            self.what = what
            self.place = place

    def __init__(self, what: str, label: str, values: Sequence[str]) -> None:
        super().__init__(id=f"turn-{what}")
        self.what = what
        self.label = label
        self.values = list(values)
        self.place = 0

    def render_line(self, y: int) -> Strip:
        """Label and value between arrows; in reverse with the focus."""
        if y:
            return Strip.blank(self.size.width)
        signs = self.signs
        value = f"{signs.open_left} {self.values[self.place]} {signs.open_right}"
        return self.strip(
            line((f"{self.label:<12}", "muted"), (value, "here" if self.has_focus else "")), self.size.width
        )

    def action_turn(self, by: int) -> None:
        """The next value."""
        self.place = (self.place + by) % len(self.values)
        self.refresh()
        self.post_message(self.Turned(self.what, self.place))

    def on_click(self, _: events.Click) -> None:
        """The next value."""
        self.action_turn(1)

    def on_focus(self) -> None:
        """Drawn in reverse."""
        self.refresh()

    def on_blur(self) -> None:
        """Drawn plain."""
        self.refresh()


class Prompt(Styled, Widget):
    """``> `` before a field."""

    def render_line(self, y: int) -> Strip:
        """The prompt."""
        return self.strip(line(("> ", "key")), self.size.width)


class Box(ModalScreen[T]):
    """Subclasses give ``box_title``, ``lines(width)``, ``fields()``, ``buttons()`` and act on ``pushed(name)``."""

    COMPONENT_CLASSES: ClassVar[set[str]] = PALETTE
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+g", "leave", "cancel", show=False),
        Binding("down", "scroll_text(1)", show=False),
        Binding("up", "scroll_text(-1)", show=False),
        Binding("pagedown", "scroll_text(4)", show=False),
        Binding("pageup", "scroll_text(-4)", show=False),
    ]
    FOOT: ClassVar[tuple[tuple[str, str], ...]] = (("tab", "next"), ("enter", "press"), ("esc", "cancel"))
    KIND: ClassVar[str] = ""

    @property
    def mw(self) -> "MeshwrightApp":
        """The app."""
        return cast("MeshwrightApp", self.app)

    @property
    def signs(self) -> Signs:
        """The app's signs."""
        return self.mw.signs

    def box_title(self) -> str:
        """What stands in the border."""
        return ""

    def lines(self, width: int) -> Sequence[Line]:
        """The text."""
        return ()

    def fields(self) -> ComposeResult:
        """Inputs between text and buttons."""
        yield from ()

    def buttons(self) -> Sequence[Push]:
        """From left to right."""
        return ()

    def status_words(self) -> str:
        """The status row under the box."""
        return ""

    def pushed(self, name: str) -> None:
        """A button was pushed."""

    def compose(self) -> ComposeResult:
        """Box, and under it status and footer."""
        with Vertical(classes=f"box {self.kind()}"):
            yield TextPane(id="text")
            with VerticalScroll(id="fields", can_focus=False):
                yield from self.fields()
            with Horizontal(classes="buttons"):
                yield from self.buttons()
        yield Bar(id="status")
        yield Bar(id="footer")

    def kind(self) -> str:
        """A class for the border."""
        return self.KIND

    def on_mount(self) -> None:
        """Draw and say what may be pressed."""
        box = self.query_one(".box")
        box.border_title = _border_title(self.box_title(), self.signs)
        size = self.app.size
        alone = size.width < 80 or size.height < 18
        self.set_class(alone, "-alone")
        if self.signs.ascii:
            box.styles.border = ("ascii", box.styles.border_top[1])
        self.fit()
        self.draw_bars()

    def fit(self) -> None:
        """Give the text what the fields and buttons leave; it scrolls where that is too little."""
        alone = self.has_class("-alone")
        room = self.app.size.height - (5 if alone else 8)
        fields = self.query_one("#fields")
        rows = min(len(fields.children), max(room - 4, 2))
        fields.styles.height = rows
        text = self.query_one("#text", TextPane)
        text.styles.max_height = max(room - rows, 2)
        self.draw_text()

    def draw_text(self) -> None:
        """The text and, where there is room for one, a blank row before the fields."""
        blank = [()] if self.query("#fields > *") and not self.has_class("-alone") else []

        def made(width: int) -> list[Line]:
            told = [*self.lines(width)]
            return [*told, *blank] if told else told

        self.query_one("#text", TextPane).show(made)

    def action_scroll_text(self, by: int) -> None:
        """Scroll the text, where it does not fit."""
        text = self.query_one("#text", TextPane)
        text.scroll_to(y=text.scroll_offset.y + by, animate=False, force=True, immediate=True)

    def draw_bars(self) -> None:
        """Status and footer."""
        self.say(self.status_words())
        parts: list[tuple[str, str]] = [(" ", "")]
        for key, label in self.FOOT:
            shown = self.signs.enter if key == "enter" else key
            parts += [(shown, "key"), (f" {label}  ", "")]
        self.query_one("#footer", Bar).show(line(*parts))

    def say(self, text: str) -> None:
        """The status row under the box."""
        self.query_one("#status", Bar).show(line(f" {text}"))

    def draw_status(self) -> None:
        """What the app announces is said under the box."""
        self.say(self.mw.said or self.status_words())

    @on(Push.Pushed)
    def _pushed(self, message: Push.Pushed) -> None:
        # A second press may already wait behind the one that closes the box.
        if self.is_current:
            self.pushed(message.name)

    @on(TypedOnly.Refused)
    def _paste_refused(self) -> None:
        self.say("type it: a name that is pasted was not read")

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.entered()

    def entered(self) -> None:
        """Enter in a field: to what comes next."""
        self.focus_next()

    def action_leave(self) -> None:
        """Out, with nothing done."""
        if self.is_current:
            self.dismiss(None)


def _border_title(text: str, signs: Signs) -> Content:
    """Content, not a string: a string in a border is read as markup."""
    shown = harmless(text)
    return Content(ascii_cells(shown) if signs.ascii else shown)
