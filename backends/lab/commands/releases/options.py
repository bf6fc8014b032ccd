"""What the operations on a release may be told."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

from backends.lab.charts.version import ChartVersion

Keys = Literal["rsa", "ec"]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of the lab; ``defaults`` replaces its own default values, as ``--reuse-values`` does."""

    version: ChartVersion
    defaults: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in the cluster's seconds, and how: ``poll`` is handed to ``sleep`` between two looks."""

    seconds: float = 300.0
    poll: float = 0.25
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Options:
    """Flags of install, upgrade and rollback.

    ``keys`` is the kind of key certificates get (the chart's is RSA, elliptic curves are quicker to build scenarios
    with). ``keep_null`` and ``cli`` make the operation the one of the ``cilium`` program, which is built on helm 4.
    ``writing`` is around what may be cancelled: the revision is recorded, its end is not.
    """

    wait: bool = False
    wait_for_jobs: bool = False
    patience: Patience = field(default_factory=Patience)
    hooks: bool = True
    description: str = ""
    dry_run: Literal["", "client", "server"] = ""
    atomic: bool = False
    cleanup_on_fail: bool = False
    take_ownership: bool = False
    create_namespace: bool = False
    replace: bool = False
    history_max: int = 10
    keys: Keys = "rsa"
    keep_null: bool = True
    cli: bool = False
    writing: Callable[[], AbstractContextManager[None]] = nullcontext


HELM: Options = Options()
