"""The ``helm`` program: a values diff per step, values by its standard input, never key material (DESIGN §1, §8)."""

import asyncio
import json
import os
import shlex
import time
from collections.abc import Mapping
from typing import Any, Final

from backends.process import NotStarted, Started, run
from mesh.errors import Refused, StepFailed
from mesh.model.context import ContextRef
from mesh.ports import Outcome, Output
from mesh.releases import at_least
from mesh.text import one_line

REPOSITORY: Final = "https://helm.cilium.io/"
# ``--reset-then-reuse-values`` came with this release: the release's own values survive a new chart's new keys (F13).
OLDEST: Final = "3.14.0"
CHART: Final = "MESHWRIGHT_CHART"
_HOOKS: Final = 600.0
_CUT_OFF: Final = 30.0
_LOOK_AGAIN: Final = 1.0


class Helm:
    """The ``HelmGateway``. ``MESHWRIGHT_CHART`` names another chart: a path or OCI reference, ``{version}`` filled
    in.
    """

    def __init__(self, started: Started | None = None) -> None:
        self._started = started

    async def version(self) -> str:
        """The version; raises ``Refused`` with how to install it when it is absent or too old."""
        try:
            done = await run(["helm", "version", "--template", "{{.Version}}"], seconds=15)
        except NotStarted as error:
            raise Refused(
                "helm is not there" if error.missing else "helm cannot be run",
                error.why,
                "Install helm 3.14 or newer (https://helm.sh/docs/intro/install) and try again; nothing was changed.",
            ) from error
        version = one_line(done.output.decode(errors="replace"))
        if done.code or not at_least(version, OLDEST):
            raise Refused(
                f"helm {version or done.errors} cannot be used",
                f"{OLDEST} or newer is needed.",
                "Upgrade helm; nothing was changed.",
            )
        return version

    def command(self, ref: ContextRef, release: str, namespace: str, version: str) -> tuple[str, ...]:
        """The command as run, but for the values."""
        chart = os.environ.get(CHART, "")
        source = (chart.format(version=version),) if chart else ("cilium", "--repo", REPOSITORY, "--version", version)
        return (
            "helm", "upgrade", "--install", release, *source, "--namespace", namespace, "--kube-context", ref.context,
            "--reset-then-reuse-values", "--timeout", "10m",
        )  # fmt: skip

    async def apply(
        self, ref: ContextRef, release: str, namespace: str, version: str, values: Mapping[str, Any], output: Output
    ) -> Outcome:
        """Install or upgrade with these values over the release's own. Raises ``StepFailed`` with helm's own words."""
        environment = kubeconfig_first(ref)
        before = await self._settled(ref, release, namespace, environment, output)
        argv = [*self.command(ref, release, namespace, version), "--values", "-"]
        output("$ " + " ".join(argv[:-2]) + " --values …")
        done = await self._run(argv, environment, output, json.dumps(values).encode())
        if done.code:
            raise _failed(done.errors, done.code, done.timed_out, ref, release, namespace, before)
        after, _ = await self._release(ref, release, namespace, environment)
        changed = (f"release {release} of {ref.key}: revision {before} → {after}",)
        return Outcome(changed, {"cluster": ref.key, "release": release, "namespace": namespace, "revision": before})

    async def _run(
        self, argv: list[str], environment: Mapping[str, str], output: Output | None = None, send: bytes | None = None
    ) -> Any:
        try:
            return await run(
                argv, environment=environment, send=send, seconds=_HOOKS + 60, line=output, started=self._started
            )
        except NotStarted as error:
            raise StepFailed("helm cannot be run", error.why, "Install helm 3.14 or newer.") from error

    async def _settled(
        self, ref: ContextRef, release: str, namespace: str, environment: Mapping[str, str], output: Output
    ) -> int:
        """Revision of the release, 0 if there is none; a helm that was cut off with us is given time to end itself."""
        revision, status = await self._release(ref, release, namespace, environment)
        until = time.monotonic() + _CUT_OFF
        while status.startswith("pending") and time.monotonic() < until:
            output(f"waiting: release {release} of {ref.key} is {status}")
            await asyncio.sleep(_LOOK_AGAIN)
            revision, status = await self._release(ref, release, namespace, environment)
        return revision

    async def _release(
        self, ref: ContextRef, release: str, namespace: str, environment: Mapping[str, str]
    ) -> tuple[int, str]:
        """Revision and status of the release, 0 and "" if there is none."""
        argv = ["helm", "list", "--all", "--namespace", namespace, "--filter", f"^{release}$", "--output", "json"]
        done = await self._run([*argv, "--kube-context", ref.context], environment)
        try:
            if done.code:
                raise ValueError
            rows = [(int(row["revision"]), str(row["status"])) for row in json.loads(done.output or b"[]")]
        except (ValueError, KeyError, TypeError) as error:
            detail = one_line(done.errors, 300) or "its answer is not what helm prints"
            hint = f"See what it says: {shlex.join([*argv, '--kube-context', ref.context])}"
            raise StepFailed(f"helm cannot list the releases of {ref.key}", detail, hint) from error
        return max(rows, default=(0, ""))


def kubeconfig_first(ref: ContextRef) -> dict[str, str]:
    """Our environment with the files by which this context means what it means to us, in their order."""
    return {**os.environ, "KUBECONFIG": os.pathsep.join(ref.files or (ref.file,))}


def _failed(
    errors: str, code: int, timed_out: bool, ref: ContextRef, release: str, namespace: str, before: int
) -> StepFailed:
    words = one_line(errors.strip().rpartition("Error: ")[2], 600) or f"exit code {code}"
    if timed_out:
        words = f"it did not end within {_HOOKS + 60:.0f} s; {words}"
    hint = "Look at its output and mend the cause."
    if "another operation" in errors:
        hint = f"An earlier run was cut off. Give the release back first: {_free(ref, release, namespace, before)}"
    elif "invalid ownership metadata" in errors:
        hint = "An object was made by somebody else. Give it Helm's label and annotations, or remove it."
    elif timed_out or "timed out" in errors:
        hint = f"kubectl --context {ref.context} -n {namespace} get pods,jobs shows what it waited for."
    return StepFailed(f"helm failed in {ref.key} (revision before: {before or 'none'})", words, hint)


def _free(ref: ContextRef, release: str, namespace: str, revision: int) -> str:
    """The command that ends a pending revision: there is nothing to go back to before the first."""
    if revision > 1:
        return f"helm rollback {release} --namespace {namespace} --kube-context {ref.context}"
    record = f"sh.helm.release.v1.{release}.v1"
    return f"kubectl --context {ref.context} --namespace {namespace} delete secret {record}"
