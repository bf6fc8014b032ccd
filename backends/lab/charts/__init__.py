"""The Cilium chart as the lab renders it: ``render`` and the errors it raises."""

from backends.lab.charts.context import ChartError, Lookup, Object
from backends.lab.charts.defaults import default_values
from backends.lab.charts.render import render
from backends.lab.charts.version import NEWEST, ChartVersion, UnknownVersion

__all__ = ["NEWEST", "ChartError", "ChartVersion", "Lookup", "Object", "UnknownVersion", "default_values", "render"]
