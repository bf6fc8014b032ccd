"""The command palette: every place and every key of the screen that is open, by name, and the themes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui import themes
from tui.present.frame import PLACES
from tui.present.keys import Key, shown

if TYPE_CHECKING:
    from tui.app import MeshwrightApp


class Commands(Provider):
    """Names what there is; nothing that is not there."""

    def _all(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        app = cast("MeshwrightApp", self.app)
        screen = self.screen
        for key in getattr(screen, "KEYS", ()):
            yield from self._key(key)
        for place in PLACES:
            yield f"Go to {place.label}", f"key {place.key}", partial(app.go, place.id)
        for name in themes.NAMES:
            yield f"Theme {name}", "remembered", partial(setattr, app, "theme", name)

    def _key(self, key: Key) -> Iterator[tuple[str, str, Callable[[], object]]]:
        app = cast("MeshwrightApp", self.app)
        screen = self.screen
        press = getattr(screen, "action_press", None)
        if press is None:
            return
        why = screen.reason_off(key.name) if hasattr(screen, "reason_off") else ""
        told = why or f"key {shown(key.keys, app.signs)}"
        # The palette reads help as markup.
        told = told.translate({ord("["): "(", ord("]"): ")"})
        yield key.help[:1].upper() + key.help[1:], told, lambda: press(key.name)

    async def discover(self) -> Hits:
        """Everything, in order."""
        for name, told, run in self._all():
            yield DiscoveryHit(Content(name), run, text=name, help=told)

    async def search(self, query: str) -> Hits:
        """What matches, best first."""
        matcher = self.matcher(query)
        for name, told, run in self._all():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, text=name, help=told)
