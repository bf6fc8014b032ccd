"""Kubeconfig files as kubectl reads them, without any SDK."""
