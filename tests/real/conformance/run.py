"""Send the whole table to two servers and say where they differ."""

from dataclasses import dataclass

from tests.real.conformance import reading, writing
from tests.real.conformance.compare import differences
from tests.real.conformance.request import Request
from tests.real.conformance.server import Answer, Server

# The order matters: what is read and changed has been created before.
TABLE: tuple[tuple[str, tuple[Request, ...]], ...] = (
    ("discover", reading.DISCOVERY),
    ("create", writing.CREATIONS),
    ("refuse", writing.BROKEN_BODIES + writing.BROKEN_SECRETS),
    ("read back", writing.READ_BACK),
    ("read", reading.READS),
    ("rights", reading.RIGHTS),
    ("change", writing.CHANGES),
    ("delete", writing.DELETIONS),
)


@dataclass(frozen=True)
class Outcome:
    """What both servers answered to one request."""

    request: Request
    lab: Answer
    real: Answer

    def objections(self) -> list[str]:
        """Where the answers differ from each other or from the status that the table expects."""
        wrong = [] if self.real.status == self.request.status else [f"the real server answers {self.real.status}"]
        return wrong + differences(self.lab, self.real, self.request.how)


def titles() -> list[str]:
    """The name of each request, part first."""
    return [f"{part}: {request.title}" for part, requests in TABLE for request in requests]


def run(lab: Server, real: Server) -> dict[str, Outcome]:
    """Send every request to both, in order; by title."""
    outcomes: dict[str, Outcome] = {}
    kept: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for part, requests in TABLE:
        for request in requests:
            answers = request.send(lab, kept[0]), request.send(real, kept[1])
            outcomes[f"{part}: {request.title}"] = Outcome(request, *answers)
    return outcomes
