"""Frozen value objects in the words of Cilium, Kubernetes and the clouds. They are the values of facts."""
