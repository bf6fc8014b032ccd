"""The Linux kernel as judge: rule documents as nftables and routes in network namespaces, and real packets."""
