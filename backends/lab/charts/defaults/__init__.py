"""Default values of the Cilium chart, as far as anything that reads a mesh depends on them, per minor version."""

import copy
from typing import Any

from backends.lab.charts.defaults.changes import CHANGES
from backends.lab.charts.defaults.components import COMPONENTS
from backends.lab.charts.defaults.datapath import DATAPATH
from backends.lab.charts.defaults.images import images
from backends.lab.charts.defaults.shapes import GONE
from backends.lab.charts.trees import Tree, plant
from backends.lab.charts.version import ChartVersion


def default_values(version: ChartVersion) -> Tree:
    """A fresh tree of the chart's ``values.yaml`` for one version, images included."""
    flat: dict[str, Any] = {**DATAPATH, **COMPONENTS}
    for minor, changed in CHANGES.items():
        if version.minor >= minor:
            flat.update(changed)
    tree: Tree = {}
    for path, value in {**flat, **images(version)}.items():
        if value is not GONE:
            plant(tree, path, copy.deepcopy(value))
    return tree
