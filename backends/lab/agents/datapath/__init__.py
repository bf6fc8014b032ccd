"""Packets between pods: who takes them where, as the agents' settings and knowledge and the network allow."""
