"""What Cilium's operator and agents write into the cluster: CRDs, CiliumNodes, CiliumEndpoints, identities."""
