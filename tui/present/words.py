"""States, durations, ages, counts and names in the wording of screens.md §5."""

import time

from mesh.finding import Finding, Risk, State
from mesh.model.context import Access
from mesh.subject import Subject
from tui.present.lines import Span
from tui.signs import Signs

STATE_TOKENS = {
    State.PASS: "ok",
    State.INFO: "info",
    State.WARN: "warn",
    State.FAIL: "fail",
    State.UNKNOWN: "unknown",
    State.BLOCKED: "muted",
    State.NOT_APPLICABLE: "muted",
    State.ERROR: "error",
}
RISK_TOKENS = {Risk.NONE: "muted", Risk.LOW: "", Risk.DISRUPTIVE: "warn", Risk.IRREVERSIBLE: "fail"}
STEP_WORDS = {
    "": "to do",
    "running": "running",
    "waiting": "waiting",
    "paused": "paused",
    "done": "done",
    "already": "already so",
    "failed": "failed",
    "blocked": "blocked",
    "cancelled": "stopped",
    "skipped": "skipped",
    "undone": "undone",
    "started": "reading what is really there",
    "sent": "reading what is really there",
}


def state_sign(state: State, signs: Signs) -> Span:
    """The sign of a state with its token."""
    return (signs.states[state], STATE_TOKENS[state])


def step_sign(state: str, signs: Signs) -> Span:
    """The sign of a step's state with its token."""
    return {
        "running": (signs.running, "info"),
        "waiting": (signs.running, "info"),
        "paused": (signs.paused, "warn"),
        "done": (signs.done, "ok"),
        "already": (signs.done, "ok"),
        "failed": (signs.fail, "fail"),
        "blocked": (signs.blocked, "muted"),
        "skipped": (signs.blocked, "muted"),
        "cancelled": (signs.paused, "warn"),
        "undone": (signs.undone, "info"),
        "started": (signs.unknown, "unknown"),
        "sent": (signs.unknown, "unknown"),
    }.get(state, (signs.todo, "muted"))


def access_words(access: Access | None, signs: Signs) -> Span:
    """``✓ ready``, ``? expired``, ``▲ partial``, ``✗ unreach.``; ``·`` for not looked at."""
    if access is None:
        return (signs.todo, "muted")
    sign, word, token = {
        Access.READY: (signs.done, "ready", "ok"),
        Access.READING: (signs.running, "reading", "info"),
        Access.EXPIRED: (signs.unknown, "expired", "unknown"),
        Access.PARTIAL: (signs.warn, "partial", "warn"),
        Access.UNREACHABLE: (signs.fail, "unreach.", "fail"),
        Access.NO_PLUGIN: (signs.unknown, "no plugin", "unknown"),
        Access.DENIED: (signs.unknown, "denied", "unknown"),
        Access.INVALID: (signs.fail, "invalid", "fail"),
    }[access]
    return (f"{sign} {word}", token)


def collector_words(state: str, text: str, done: int, total: int, signs: Signs) -> Span:
    """A cell of the Facts table: sign and what was or is being read."""
    sign, token = {
        "reading": (signs.running, "info"),
        "waiting": (signs.running, "info"),
        "done": (signs.done, "ok"),
        "denied": (signs.unknown, "unknown"),
        "expired": (signs.unknown, "unknown"),
        "failed": (signs.fail, "fail"),
        "cancelled": (signs.unknown, "unknown"),
        "": (signs.todo, "muted"),
    }.get(state, (signs.unknown, "unknown"))
    words = text
    if state == "reading":
        words = f"{count(done)}/{count(total) if total else signs.ellipsis}" if done or total else text
    elif state not in ("done", "waiting", "") and not text.startswith(state):
        words = f"{state} {text}" if state != "failed" else text or "failed"
    return (f"{sign} {words}".rstrip(), token)


def count(number: int) -> str:
    """``12,480``."""
    return f"{number:,}"


def clock(seconds: float) -> str:
    """``03:42``, with hours ``1:02:03``."""
    whole = max(int(seconds), 0)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60:02d}:{rest % 60:02d}"


def duration(seconds: float) -> str:
    """``0.3 s``, ``12 s``, ``about 3 m`` without "about", ``2 h 05 m``, ``3 d``."""
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{max(round(seconds / 60), 1)} m"
    if seconds < 86400:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} m"
    return f"{seconds / 86400:.0f} d"


def age(seconds: float) -> str:
    """``12 s ago``."""
    return f"{duration(max(round(seconds), 0))} ago"


def time_of_day(at: float) -> str:
    """``09:41:07`` on this machine's clock."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def subject_words(subject: Subject, signs: Signs) -> str:
    """The subject with the arrows of the chosen signs."""
    return str(subject).replace("→", signs.to).replace("⇄", signs.both)


def joined(names: tuple[str, ...], last: str = "and") -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else ""


def mesh_title(clusters: tuple[str, ...]) -> str:
    """The mesh by its members: ``eks-tokyo + aks-east``, above three ``7 clusters``."""
    return " + ".join(clusters) if len(clusters) <= 3 else f"{len(clusters)} clusters"


def basis(finding: Finding) -> str:
    """Whether a finding rests on the goal or on what is so."""
    return "planned" if finding.planned else "in force"


LAYERS = {
    0: "L0 access",
    1: "L1 rights",
    2: "L2 platform",
    3: "L3 identity, ranges",
    4: "L4 cloud network",
    5: "L5 live probes",
    6: "L6 mesh",
    7: "L7 agents",
    8: "L8 services",
    9: "L9 application",
}


def layer(number: int) -> str:
    """``L4 cloud network``."""
    return LAYERS.get(number, f"L{number}")
