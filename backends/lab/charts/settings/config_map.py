"""ConfigMap ``cilium-config``: keys from tables, and those that several values make (cilium-clustermesh §2.1)."""

import json
from collections.abc import Iterator
from typing import Any

from backends.lab.charts.context import Context, Object
from backends.lab.charts.settings.agent_rules import AGENT, DNS, HUBBLE, OPERATOR, PROXY
from backends.lab.charts.settings.derived import datapath, encryption, ipam, platform
from backends.lab.charts.settings.features import exposure, hubble, operator
from backends.lab.charts.settings.rules import BPF, LOAD_BALANCING, MESH, NETWORK, Rule, When
from backends.lab.charts.trees import text

ALWAYS_READ = (*MESH, *NETWORK, *LOAD_BALANCING, *BPF, *AGENT, *OPERATOR, *DNS, *PROXY)


def cilium_config(context: Context) -> Object | None:
    """The ConfigMap, or ``None`` when neither agent, operator nor mesh server are part of the release."""
    parts = context.on("agent") or (context.minor >= 16 and (context.on("operator.enabled") or context.mesh_server))
    if not parts or context.on("preflight.enabled"):
        return None
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": context.metadata("cilium-config"),
        "data": dict(sorted(settings(context).items())),
    }


def settings(context: Context) -> dict[str, Any]:
    """The data of ``cilium-config``."""
    data: dict[str, Any] = {}
    for rule in ALWAYS_READ:
        data.update(_apply(context, rule))
    if context.on("hubble.enabled"):
        for rule in HUBBLE:
            data.update(_apply(context, rule))
    for derive in (datapath, platform, encryption, exposure, ipam, operator, hubble):
        data.update(derive(context))
    data.update(context.table("extraConfig"))
    return data


def _apply(context: Context, rule: Rule) -> Iterator[tuple[str, str]]:
    if not rule.since <= context.minor <= rule.until:
        return
    value = context.get(rule.path)
    if rule.when is When.PRESENT and not context.has(rule.path):
        return
    if rule.when in (When.TRUTHY, When.FLAG) and not value:
        return
    if rule.when is When.NOT_NULL and value is None:
        return
    if rule.when is When.FLAG:
        yield rule.key, "true"
    elif rule.when is When.DURATION:
        yield rule.key, text(value) or "0s"
    elif isinstance(value, list):
        yield rule.key, rule.join.join(text(item) for item in value)
    elif isinstance(value, dict):
        yield rule.key, json.dumps(value, separators=(",", ":"), sort_keys=True)
    elif rule.key == "enable-policy":
        yield rule.key, text(value).lower()
    else:
        yield rule.key, text(value)
