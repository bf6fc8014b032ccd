"""Checks as data, and what they find: states, severities, evidence, remedies (anchors-features §2.3)."""

import hashlib
import shlex
from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from mesh.facts import FactKey, Origin, Reason
from mesh.model.network import FirewallRule
from mesh.subject import Subject

if TYPE_CHECKING:
    from mesh.view import View


class State(StrEnum):
    """The eight states, in the order of the summary line."""

    PASS = "PASS"
    INFO = "INFO"
    WARN = "WARN"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"
    BLOCKED = "BLOCKED"
    NOT_APPLICABLE = "N/A"
    ERROR = "ERROR"


class Severity(IntEnum):
    """How bad a FAIL of this check is; fixed per code."""

    INFO = 0
    WARN = 1
    ERROR = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        """The word shown."""
        return self.name.lower()


class Scope(StrEnum):
    """What a check is evaluated for: once, per cluster, per unordered pair, per ordered pair, per Service name."""

    MESH = "mesh"
    CLUSTER = "cluster"
    PAIR = "pair"
    DIRECTED = "directed pair"
    SERVICE = "service"


class Risk(StrEnum):
    """What a change may do; the value is the word shown."""

    NONE = "none"
    LOW = "low"
    DISRUPTIVE = "disruptive"
    IRREVERSIBLE = "irreversible"


class Command(Struct, frozen=True):
    """A command as a person would type it; ``where`` is the cluster key it is for ("" = none in particular)."""

    argv: tuple[str, ...]
    where: str = ""

    def into(self, other: "Command") -> "Command":
        """Both as one line of a shell: what this one prints goes to the other alone, and is not shown."""
        return Command(("sh", "-c", f"{shlex.join(self.argv)} | {shlex.join(other.argv)}"), other.where)

    def to_file(self, name: str) -> "Command":
        """The same with what it prints in a file."""
        return Command(("sh", "-c", f"{shlex.join(self.argv)} > {shlex.quote(name)}"), self.where)


class Opening(Struct, frozen=True):
    """A rule to add to one security group or NSG of ``cluster``: what a plan's step does with this fix."""

    cluster: str
    group: str
    rule: FirewallRule
    resource_id: str = ""


class Fix(Struct, frozen=True):
    """One way to lift a finding; ``in_plan`` means that a join plan contains it as a step, else the user must decide.

    ``opens`` are the firewall rules it adds, as data; the commands show the same for a person.
    """

    id: str
    text: str
    commands: tuple[Command, ...] = ()
    risk: Risk = Risk.LOW
    reversible: bool = True
    needs: tuple[str, ...] = ()
    in_plan: bool = False
    opens: tuple[Opening, ...] = ()


class EvidenceRef(Struct, frozen=True):
    """A fact the verdict rests on; ``excerpt`` is at most 300 characters, ``state`` how this piece alone looks ("" =
    neutral).
    """

    key: FactKey | None
    excerpt: str
    source: str = ""
    observed_at: float = 0.0
    origin: Origin = Origin.LIVE
    state: str = ""


class Missing(Struct, frozen=True):
    """A fact that a verdict needed and did not get; ``lift`` says what would give it."""

    key: FactKey
    reason: Reason
    detail: str = ""
    lift: str = ""


class Finding(Struct, frozen=True):
    """The one answer of a check for a subject. ``args`` are typed; the message is made from them by the check's text.

    ``planned`` = it rests on the goal, not on what is in force; ``to_do`` = INFO that a join plan will change.
    """

    code: str
    subject: Subject
    state: State
    severity: Severity
    layer: int
    args: dict[str, object] = {}
    variant: str = ""
    evidence: tuple[EvidenceRef, ...] = ()
    missing: tuple[Missing, ...] = ()
    blocked_by: tuple[tuple[str, Subject], ...] = ()
    fixes: tuple[Fix, ...] = ()
    planned: bool = False
    to_do: bool = False

    @property
    def fingerprint(self) -> str:
        """A stable id over code, subject and salient arguments: for baselines, exports and drift."""
        material = msgspec.json.encode((self.code, str(self.subject), self.variant, self.args), order="sorted")
        return hashlib.sha256(material).hexdigest()

    @property
    def identity(self) -> tuple[str, Subject]:
        """Code and subject: unique within one run."""
        return (self.code, self.subject)


class Problem(Struct, frozen=True):
    """A root finding with its folded consequences (anchors-features §2.4 rules 7–9).

    ``confidence`` is ``certain``, ``likely`` or ``possible``; ``possible_roots`` are unread causes of a FAIL root.
    """

    root: Finding
    consequences: tuple[Finding, ...] = ()
    possible_roots: tuple[Finding, ...] = ()
    confidence: str = "certain"
    rank: int = 0


class Verdict(Struct, frozen=True):
    """What a check's body returns. ``variant`` chooses among several texts of one state; ``notes`` add evidence
    lines.
    """

    state: State
    args: dict[str, object] = {}
    variant: str = ""
    notes: tuple[EvidenceRef, ...] = ()
    fixes: tuple[Fix, ...] = ()
    to_do: bool = False


class Check(Struct, frozen=True):
    """A check's record. ``texts`` maps ``STATE`` or ``STATE.variant`` to a message template over ``args``.

    ``applies`` returns "" or the reason why not; ``body`` is pure: no clock, no I/O, no randomness. ``why`` is one or
    two sentences on what goes wrong otherwise; ``docs`` names anchors of the Cilium or cloud documentation.
    ``defeaters`` are facts that, where known, may weaken a FAIL to a WARN. ``answers_for`` names facts this check is
    the gate of wherever they are missing: who needs such a fact is BLOCKED by it.
    """

    code: str
    title: str
    layer: int
    scope: Scope
    severity: Severity
    inputs: tuple[str, ...]
    body: Callable[["View", Subject], Verdict]
    texts: dict[str, str]
    why: str
    docs: tuple[str, ...] = ()
    applies: Callable[["View", Subject], str] | None = None
    gates: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    defeaters: tuple[str, ...] = ()
    answers_for: tuple[str, ...] = ()
    since: str = "0.1"
