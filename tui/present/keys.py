"""Keys as data: bindings, footer, help and palette are all made from these records (screens.md §4)."""

from dataclasses import dataclass

from tui.signs import Signs


@dataclass(frozen=True)
class Key:
    """``keys`` as Textual names them, ``id`` for remapping, ``name`` of the method ``key_<name>`` of the screen.

    ``label`` stands in the footer ("" = not there), ``wide`` from 120 columns only. ``acts``: may change a cluster.
    """

    keys: str
    id: str
    name: str
    help: str
    label: str = ""
    wide: bool = False
    acts: bool = False
    face: str = ""


_NAMES = {
    "enter": "enter",
    "space": "space",
    "escape": "esc",
    "up": "up",
    "down": "down",
    "left": "left",
    "right": "right",
    "backspace": "erase",
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "slash": "/",
    "question_mark": "?",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "up,down": "up_down",
    "left,right": "left_right",
}


def face(key: Key, signs: Signs, keys: str = "") -> str:
    """How a key is shown: by its own face (``[ ]`` for a pair of keys), or by its name; ``keys`` are the user's own."""
    return key.face if key.face and keys in ("", key.keys) else shown(keys or key.keys, signs)


def shown(keys: str, signs: Signs) -> str:
    """A key as the footer and help show it."""
    if keys in _NAMES and "," in keys:
        return str(getattr(signs, _NAMES[keys]))
    first = keys.split(",")[0]
    name = _NAMES.get(first, first)
    return str(getattr(signs, name)) if name in ("enter", "space", "up", "down", "left", "right", "erase") else name


COMMON = (
    Key("greater_than_sign", "app.next_step", "next_step", "next step of the rail"),
    Key("less_than_sign", "app.prev_step", "prev_step", "previous step of the rail"),
    Key("escape,ctrl+g", "app.out", "out", "one level out"),
    Key("q", "app.back", "back", "back; at the top: quit"),
    Key("question_mark", "app.help", "help", "help", "help"),
)
FIND = (
    Key("slash", "app.find", "find", "find or filter", "find"),
    Key("n", "app.next_match", "next_match", "next match"),
    Key("N", "app.prev_match", "prev_match", "previous match"),
)
COPY = Key("c", "app.copy", "copy", "copy", "copy")
EXPORT = Key("e", "app.export", "export", "export to a file", "export", wide=True)
REFRESH = Key("r", "app.refresh", "refresh", "read again what is shown")
