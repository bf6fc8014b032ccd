"""Errors that a user reads: what happened, the detail, the next step; and the exit codes of DESIGN §6."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, equal for every output format (DESIGN §6)."""

    CLEAN = 0
    FINDINGS = 1
    USAGE = 2
    UNDETERMINED = 3
    PARTIAL = 4
    REFUSED = 5
    INTERNAL = 70
    DEADLINE = 124
    HUP = 129
    INT = 130
    TERM = 143


class MeshError(Exception):
    """A designed error: ``title`` says what is so, ``detail`` why, ``hint`` what to do next."""

    exit_code: Exit = Exit.UNDETERMINED

    def __init__(self, title: str, detail: str = "", hint: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.detail = detail
        self.hint = hint

    def lines(self) -> list[str]:
        """The error as lines for stderr or an error screen, title first."""
        return [line for line in (self.title, self.detail, self.hint) if line]

    def sentence(self) -> str:
        """The same on one line, for a status row or a journal."""
        told = ""
        for part in self.lines():
            joint = "" if not told else " " if told[-1] in ".:;!?" else "; " if part[0].islower() else ". "
            told += joint + part
        return told


class UsageError(MeshError):
    """The call or a file the user gave is wrong; nothing was read or changed."""

    exit_code = Exit.USAGE


class Refused(MeshError):
    """The change is unsafe, not ours to make, or not consented to; nothing was changed."""

    exit_code = Exit.REFUSED


class Undetermined(MeshError):
    """What was asked could not be found out."""

    exit_code = Exit.UNDETERMINED


class StepFailed(MeshError):
    """An effect could not be carried out; what was done before it stays in the journal.

    ``hint`` says what to mend; how to go on afterwards (again, or ``resume``) is told by who knows whether a run began.
    """

    exit_code = Exit.PARTIAL


class RunStopped(MeshError):
    """The user stopped the run while it waited: no failure, and nothing was sent meanwhile."""

    exit_code = Exit.PARTIAL
