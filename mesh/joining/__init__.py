"""Builders of a join's steps, one file per phase of cilium-clustermesh §4.4."""
