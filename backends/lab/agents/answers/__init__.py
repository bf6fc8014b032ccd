"""What ``cilium-dbg``, ``cilium-health`` and ``kvstoremesh-dbg`` print."""
