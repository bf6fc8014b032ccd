"""Signing in again: the command is shown, run here on this terminal, or copied (screens.md §3.1)."""

import shlex
from collections.abc import Sequence

from mesh.model.context import ContextRef
from tui.present import contexts as present
from tui.present.lines import Line, wrapped
from tui.widgets.modal import Box, Push


class Login(Box[bool]):
    """The login command of one context."""

    def __init__(self, ref: ContextRef, command: tuple[str, ...]) -> None:
        super().__init__()
        self.ref = ref
        self.command = shlex.join(command)

    def box_title(self) -> str:
        """The context."""
        return f"Sign in to {self.ref.key}"

    def lines(self, width: int) -> Sequence[Line]:
        """Why, and the command."""
        return [
            *wrapped(present.sign_in_words(self.mw.session, self.ref.key), width),
            (),
            *wrapped(self.command, width, "key", "  ", "    "),
            (),
            *wrapped("It runs on this terminal; the screen comes back when it ends.", width, "muted"),
        ]

    def buttons(self) -> Sequence[Push]:
        """Nothing of a cluster is changed by signing in."""
        return Push("run", "Run here"), Push("copy", "Copy"), Push("cancel", "Cancel")

    def on_mount(self) -> None:
        """Run here has the focus."""
        super().on_mount()
        self.query_one("#push-run").focus()

    def pushed(self, name: str) -> None:
        """Run, copy or leave."""
        self.dismiss(name == "run")
        if name == "run":
            self.mw.call_after_refresh(self.mw.sign_in, self.ref)
        elif name == "copy":
            self.mw.copy(self.command, "the command")
