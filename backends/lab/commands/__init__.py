"""Stand-ins for ``helm`` and ``cilium``: programs of their own that talk to a lab's Kubernetes API."""
