"""How the app is started: what the command line settles before the first frame."""

from dataclasses import dataclass

from mesh.model.context import ContextRef


@dataclass(frozen=True)
class Options:
    """Choices of the call. ``contexts`` are context names or keys to choose, ``clusters`` are
    ``name=context[@file]``, ``chosen`` what both mean; ``scenario`` starts that lab at once.

    ``demo`` opens the lab's start screen; ``simulated`` says that the clusters of the kubeconfig are a lab's. ``theme``
    "" means the remembered one; ``ascii`` None means by locale and terminal.
    """

    contexts: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    chosen: tuple[ContextRef, ...] = ()
    demo: bool = False
    scenario: str = ""
    faults: tuple[str, ...] = ()
    speed: float = 1.0
    seed: int = 7
    simulated: bool = False
    theme: str = ""
    ascii: bool | None = None
    mouse: bool = True
