"""Help, made from the keys of the place it was opened over, so that it cannot lie (screens.md §3.14)."""

from collections.abc import Callable, Sequence

from rich.cells import cell_len

from mesh.finding import State
from tui.present.frame import PLACES
from tui.present.keys import Key, shown
from tui.present.lines import Line, Span, column, line, width_of, wrap, wrapped
from tui.present.words import STATE_TOKENS
from tui.signs import Signs

PAGES = ("Keys here", "All keys", "Signs", "Concepts", "About")
EVERYWHERE = (
    ("1…6", "places of the rail"),
    ("> <", "next, previous place"),
    ("esc", "one level out"),
    ("q", "back; at the top: quit"),
    ("tab", "next region or field"),
    ("ctrl+p", "all commands by name"),
    ("?", "this help"),
)
CONCEPTS = (
    (
        "Pair",
        "A Cluster Mesh has no centre: every cluster reads every other. Each two clusters are a pair, and a pair is"
        " joined only when each side knows the other.",
    ),
    (
        "One-way VXLAN",
        "Packets between nodes are wrapped in UDP. An answer is a flow of its own, to the same port: each direction"
        " needs a rule of its own, and one that is missing lets requests hang while both control planes stay green.",
    ),
    (
        "Gate",
        "A check that others need. Where it fails or could not be read, they are BLOCKED: not judged, and not counted"
        " as failures of their own.",
    ),
    (
        "Root and consequence",
        "What failed because something else failed is folded under it. Lift the root and the others go with it.",
    ),
    (
        "Planned and in force",
        "Facts are judged as they will be when the plan is carried out. A finding says planned where it rests on the"
        " plan's choices, in force where it is so now.",
    ),
    (
        "Unknown",
        "What could not be read is ?, says which right or login would lift it, and never turns a summary green.",
    ),
    (
        "Affinity",
        "Where a global Service sends requests: local keeps them in the cluster while it has endpoints, remote sends"
        " them to others first, none shares them. Each cluster's own annotation decides for its own clients.",
    ),
    (
        "Run and journal",
        "What a confirmed plan does is written down before it is sent and after it is answered. A run that was cut off"
        " goes on from what is really there.",
    ),
)


def tabs(page: int) -> str:
    """``[Keys here] All keys  Signs …``."""
    return "  ".join(f"[{name}]" if place == page else name for place, name in enumerate(PAGES)).replace("]  ", "] ")


def lines(
    page: int,
    keys: Sequence[Key],
    reason: Callable[[str], str],
    width: int,
    signs: Signs,
    about: Sequence[tuple[str, str]],
    find: str = "",
) -> list[Line]:
    """One page."""
    if page == 0:
        made = here(keys, reason, width, signs)
    elif page == 1:
        made = everything(keys, width, signs)
    elif page == 2:
        made = sign_lines(width, signs)
    elif page == 3:
        made = [
            row
            for word, text in CONCEPTS
            for row in (line((f" {word}", "title")), *wrapped(text, width - 4, "", "   ", "   "), ())
        ]
    else:
        made = [line((f" {column(label, 14)}", "muted"), text) for label, text in about]
    if not find:
        return made
    return [row for row in made if find.lower() in "".join(text for text, _ in row).lower()]


def here(keys: Sequence[Key], reason: Callable[[str], str], width: int, signs: Signs) -> list[Line]:
    """The keys of the place: those that look, those that act, those that work everywhere."""
    own = [key for key in keys if key.id not in _COMMON]
    look = [key for key in own if not key.acts]
    act = [key for key in own if key.acts]
    made: list[Line] = [line((" Look", "title"))]
    made += [row for key in look for row in _key_lines(key, reason(key.name), width, signs)]
    if act:
        made += [(), line((" Act", "title"), ("   asks first", "muted"))]
        made += [row for key in act for row in _key_lines(key, reason(key.name), width, signs)]
    made += [(), line((" Everywhere", "title"))]
    taken = {key.keys for key in own}
    made += [line("   ", (column(key, 10), "key"), " ", text) for key, text in EVERYWHERE if key not in taken]
    made += [
        (),
        *wrapped("Capital letters are the only keys that can change a cluster. They ask first.", width, "", " ", " "),
    ]
    made += [line((" Shift-drag selects with the mouse as usual.", "muted"))]
    return made


_COMMON = {"app.next_step", "app.prev_step", "app.out", "app.back", "app.help"}


def _key_lines(key: Key, why: str, width: int, signs: Signs) -> list[Line]:
    """What a key does, and below it, where there is no room behind it, why it does not do so now."""
    rows = _beside((column(shown(key.keys, signs), 10, signs), "muted" if why else "key"), key.help, width)
    off = (f"   ({why})", "muted") if why else ("", "")
    if width_of(rows[-1]) + cell_len(off[0]) <= width:
        return [*rows[:-1], line(*rows[-1], off)]
    return [*rows, *wrapped(off[0].strip(), width, "muted", " " * 14, " " * 14)]


def _beside(label: Span, text: str, width: int) -> list[Line]:
    """A label and a text that is wrapped under itself."""
    indent = cell_len(label[0]) + 4
    first, *rest = wrap(text, width - indent)
    return [line("   ", label, " ", first), *(line(" " * indent, row) for row in rest)]


def everything(keys: Sequence[Key], width: int, signs: Signs) -> list[Line]:
    """Every key by its id, as it can be remapped."""
    made: list[Line] = [line((" key        id                     does", "muted"))]
    made += [
        line("   ", (column(place.key, 9), "key"), column(f"go.{place.id}", 23), f"open {place.label}")
        for place in PLACES
    ]
    for key in keys:
        first, *rest = wrap(key.help, width - 35)
        made.append(line("   ", (column(shown(key.keys, signs), 9, signs), "key"), column(key.id, 23, signs), first))
        made += [line(" " * 35, row) for row in rest]
    return made


def sign_lines(width: int, signs: Signs) -> list[Line]:
    """The eight states, steps, links, marks."""
    made: list[Line] = [line((" States", "title"))]
    told = {
        State.PASS: "holds, with evidence",
        State.INFO: "worth knowing; to do: the plan will change it",
        State.WARN: "works, but will hurt",
        State.FAIL: "does not hold",
        State.UNKNOWN: "could not be read: never counted as good",
        State.BLOCKED: "needs another check first",
        State.NOT_APPLICABLE: "does not apply here",
        State.ERROR: "the check itself failed: a fault of this program",
    }
    for state, text in told.items():
        first, *rest = wrap(text, width - 16)
        shown = (column(signs.states[state], 4, signs), STATE_TOKENS[state])
        made.append(line("   ", shown, column(state.value, 9, signs), first))
        made += [line(" " * 16, row) for row in rest]
    made += [(), line((" Steps and links", "title"))]
    for sign, text in (
        (signs.todo, "not yet"),
        (signs.running, "running"),
        (signs.paused, "paused or stopped"),
        (signs.done, "done, already so, healthy"),
        (signs.fail, "failed, down"),
        (signs.blocked, "blocked"),
        (signs.outdated, "outdated, not connected"),
    ):
        made.append(line("   ", column(sign, 4, signs), text))
    made += [(), line((" Marks", "title"))]
    for sign, text in (
        (signs.chosen, "chosen"),
        (signs.free, "not chosen"),
        (signs.drawing.node, "node ready, endpoint ready"),
        (signs.drawing.node_bad, "node not ready, no endpoint"),
        (signs.drawing.here, "served in this cluster"),
        (signs.to, "from one to the other"),
        (signs.both, "both ways"),
    ):
        made.append(line("   ", column(sign, 4, signs), text))
    return made
