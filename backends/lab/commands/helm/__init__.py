"""The ``helm`` stand-in: texts, exit codes and release Secrets of helm 3.22, for the Cilium chart only."""
