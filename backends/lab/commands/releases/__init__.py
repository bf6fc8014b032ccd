"""Helm releases: their records in the cluster, and installing, upgrading, rolling back and removing them."""
