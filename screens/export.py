"""Export: format, path, pseudonyms, Write, Cancel (screens.md §2.2)."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input

from tui.copy import write_new
from tui.present import export as present
from tui.present.lines import Line, line
from tui.present.pseudonym import Pseudonyms
from tui.widgets.bar import Bar
from tui.widgets.field import Field
from tui.widgets.modal import Box, Push, Turn


class Export(Box[str]):
    """Writes one of ``formats`` to a file of the user's."""

    FOOT = (("tab", "next"), ("left right", "change"), ("enter", "press"), ("esc", "cancel"))

    def __init__(self, stem: str, formats: present.Formats) -> None:
        super().__init__()
        self.stem = stem
        self.formats = list(formats)
        self._own_path = False

    def box_title(self) -> str:
        """What it does."""
        return "Export"

    def lines(self, width: int) -> Sequence[Line]:
        """Nothing above the fields."""
        return ()

    def fields(self) -> ComposeResult:
        """Format, path, pseudonyms."""
        yield Turn("format", "format", [item.name for item in self.formats])
        with Horizontal(classes="field"):
            yield Bar(id="path-label")
            yield Field(self.path_for(0), id="path")
        yield Turn("pseudonyms", "pseudonyms", ["no", "yes: names and addresses are replaced, equal ones alike"])

    def buttons(self) -> Sequence[Push]:
        """Nothing of a cluster is changed by writing a file."""
        return Push("cancel", "Cancel"), Push("write", "Write")

    def on_mount(self) -> None:
        """The format has the focus."""
        super().on_mount()
        self.query_one("#path-label", Bar).show(line(("path", "muted")))
        self.query_one("#turn-format").focus()

    def path_for(self, place: int) -> str:
        """Where it would be written: the current folder, never over a file."""
        return f"meshwright-{self.stem}{self.formats[place].suffix}"

    @on(Turn.Turned)
    def _turned(self, message: Turn.Turned) -> None:
        path = self.query_one("#path", Input)
        if message.what == "format" and path.value in {self.path_for(place) for place in range(len(self.formats))}:
            path.value = self.path_for(message.place)

    @on(Input.Submitted)
    def _submitted(self, message: Input.Submitted) -> None:
        message.prevent_default()
        self.pushed("write")

    def pushed(self, name: str) -> None:
        """Write, or leave."""
        if name == "cancel":
            self.dismiss(None)
            return
        chosen = self.formats[self.query_one("#turn-format", Turn).place]
        path = Path(os.path.expanduser(self.query_one("#path", Input).value.strip() or self.path_for(0)))
        text = chosen.make()
        if self.query_one("#turn-pseudonyms", Turn).place:
            text = Pseudonyms(secrets.token_bytes(16), present.known_names(self.mw.session)).apply(text)
        try:
            written = write_new(path, text)
        except OSError as error:
            self.say(f"{path} cannot be written: {error.strerror or error}")
            return
        self.dismiss(str(written))
        self.mw.tell(f"wrote {written} ({len(text):,} characters)")
