"""A chart and values become a revision: manifest, hooks, notes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backends.lab.charts.context import ChartError, Lookup, Object
from backends.lab.charts.defaults import default_values
from backends.lab.charts.render import render
from backends.lab.charts.trees import coalesce
from backends.lab.commands.kube.kinds import KINDS
from backends.lab.commands.kube.port import Port
from backends.lab.commands.releases.objects.manifests import hook_record, split_hooks, text
from backends.lab.commands.releases.options import Chart, Options
from backends.lab.commands.releases.record import Release, chart_record, notes, time_text


@dataclass(frozen=True, slots=True)
class Place:
    """Which revision of which release; ``first_deployed`` is empty for an install."""

    name: str
    namespace: str
    revision: int = 1
    first_deployed: str = ""


def revision(
    port: Port, chart: Chart, config: Mapping[str, Any], place: Place, status: str, options: Options
) -> Release:
    """A new revision, nothing written yet. Raises ``ChartError``."""
    now = port.now()
    defaults = default_values(chart.version) if chart.defaults is None else dict(chart.defaults)
    found = render(
        str(chart.version),
        config,
        release=place.name,
        namespace=place.namespace,
        revision=place.revision,
        is_install=not place.first_deployed,
        lookup=nothing if options.dry_run == "client" else lookup(port),
        now=datetime.fromtimestamp(now, UTC),
        kube_version=port.version(),
        keys=options.keys,
        defaults=defaults,
        keep_null=options.keep_null,
    )
    ordinary, hooks = split_hooks(found)
    stamp = time_text(now)
    return Release(
        name=place.name,
        namespace=place.namespace,
        revision=place.revision,
        status=status,
        description="",
        chart=chart_record(chart.version, defaults),
        config=dict(config),
        manifest=text(ordinary),
        hooks=[hook_record(item) for item in hooks],
        notes=notes(chart.version, coalesce(defaults, config)),
        first_deployed=place.first_deployed or stamp,
        last_deployed=stamp,
    )


def lookup(port: Port) -> Lookup:
    """The template function: a live object of a cluster."""

    def find(kind: str, namespace: str, name: str) -> Object | None:
        known = next((each for (_, title), each in KINDS.items() if title == kind.rpartition("/")[2]), None)
        if known is None:
            raise ChartError(f'unable to look up {name}: no matches for kind "{kind}"')
        return port.get(known, namespace or None, name)

    return find


def nothing(kind: str, namespace: str, name: str) -> Object | None:
    """The template function without a cluster."""
    del kind, namespace, name
    return None
