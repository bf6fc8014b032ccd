"""A packet while it travels: its fields as rules see them, and the decisions so far."""

from dataclasses import dataclass, field

from backends.lab.network.packet import Hop


@dataclass(slots=True)
class Flow:
    """``answer`` marks the packet that goes back: stateful rules let it pass, stateless ones judge it."""

    source: int
    destination: int
    protocol: str
    port: int
    source_port: int
    icmp_type: int
    size: int
    answer: bool = False
    groups: frozenset[str] = frozenset()
    milliseconds: float = 0.0
    trace: list[Hop] = field(default_factory=list)

    def note(self, place: str, subject: str, passed: bool, detail: str = "") -> bool:
        """Write a decision down; returns ``passed``."""
        self.trace.append(Hop(place, subject, passed, detail))
        return passed

    def back(self, source: int) -> "Flow":
        """The answer, sent from ``source``; its decisions go on in the same trace."""
        icmp_type = 0 if self.icmp_type == 8 else self.icmp_type
        return Flow(
            source,
            self.source,
            self.protocol,
            self.source_port,
            self.port,
            icmp_type,
            0,
            answer=True,
            milliseconds=self.milliseconds,
            trace=self.trace,
        )
