"""``helm version``, ``show`` and ``template``: nothing of a cluster."""

import re
import time
from collections.abc import Mapping
from typing import Any, Final

from backends.lab.charts.defaults import default_values
from backends.lab.commands.flags import BadCommandLine, Flag
from backends.lab.commands.helm.inputs import VALUES, values
from backends.lab.commands.helm.repositories import locate
from backends.lab.commands.helm.session import Session
from backends.lab.commands.kube.kinds import Kind
from backends.lab.commands.kube.port import ApiFailure, Object
from backends.lab.commands.kube.yamls import dump
from backends.lab.commands.releases.install import install
from backends.lab.commands.releases.options import Chart, Options
from backends.lab.commands.releases.record import chart_record

VERSION: Final = "v3.22.0"
_KUBERNETES: Final = "v1.37.0"
_BUILD: Final = {"Version": VERSION, "GitCommit": "", "GitTreeState": "", "GoVersion": "go1.26.8"}

VERSION_FLAGS: Final = (Flag("short"), Flag("template", "string"), Flag("client", "bool", "c"))
SHOW_FLAGS: Final = (Flag("version", "string"), Flag("repo", "string"), Flag("devel"))
TEMPLATE_FLAGS: Final = (
    *VALUES,
    *SHOW_FLAGS,
    Flag("kube-version", "string", default=_KUBERNETES),
    Flag("is-upgrade"),
    Flag("no-hooks"),
    Flag("skip-tests"),
    Flag("include-crds"),
    Flag("api-versions", "csv", "a"),
)


def run_version(session: Session) -> None:
    """``helm version``."""
    if session["template"]:
        print(re.sub(r"\{\{\s*\.(\w+)\s*\}\}", _property, session["template"]), end="")
    elif session["short"]:
        print(VERSION)
    else:
        print(
            f"version.BuildInfo{{{', '.join(f'{name}:{chr(34)}{value}{chr(34)}' for name, value in _BUILD.items())}}}"
        )


def run_show_values(session: Session) -> None:
    """``helm show values CHART``."""
    print(dump(default_values(locate(session, session.words[0]))))


def run_show_chart(session: Session) -> None:
    """``helm show chart CHART``."""
    print(dump(chart_record(locate(session, session.words[0]), {})["metadata"]))


def run_template(session: Session) -> None:
    """``helm template [NAME] CHART``."""
    if len(session.words) > 2:
        raise BadCommandLine(f"expected at most two arguments, unexpected arguments: {', '.join(session.words[2:])}")
    name = session.words[0] if len(session.words) == 2 else "release-name"
    chart = Chart(locate(session, session.words[-1]))
    kubernetes = "v" + str(session["kube-version"]).removeprefix("v")
    release = install(
        _Nowhere(kubernetes),
        chart,
        values(session),
        name=name,
        namespace=session.namespace,
        options=Options(dry_run="client"),
    )
    print(release.manifest, end="")
    if not session["no-hooks"]:
        for hook in release.hooks:
            print(f"---\n# Source: {hook['path']}\n{hook['manifest']}", end="")


def _property(match: re.Match[str]) -> str:
    try:
        return _BUILD[match[1]]
    except KeyError:
        problem = f"can't evaluate field {match[1]} in type version.BuildInfo"
        raise BadCommandLine(f'template: _:1:2: executing "_" at <.{match[1]}>: {problem}') from None


class _Nowhere:
    """The empty cluster that ``helm template`` renders for."""

    def __init__(self, version: str) -> None:
        self._version = version

    def version(self) -> str:
        return self._version

    def now(self) -> float:
        return time.time()

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        del kind, namespace, name
        return None

    def list(self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None) -> list[Object]:
        del kind, namespace, labels
        return []

    def create(self, kind: Kind, item: Object) -> Object:
        raise _no_server(kind, item)

    def replace(self, kind: Kind, item: Object) -> Object:
        raise _no_server(kind, item)

    def patch(self, kind: Kind, namespace: str | None, name: str, body: Any) -> Object:
        raise _no_server(kind, body)

    def delete(self, kind: Kind, namespace: str | None, name: str) -> None:
        raise _no_server(kind, {"metadata": {"name": name}})


def _no_server(kind: Kind, item: Any) -> ApiFailure:
    return ApiFailure(503, "ServiceUnavailable", f"no server for {kind.plural} {item['metadata']['name']}")
