"""Static reachability: what the rules of a cloud say about a packet, without sending one."""
