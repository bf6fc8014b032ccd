"""The HTTPS Kubernetes API of one cluster (DESIGN §4)."""
