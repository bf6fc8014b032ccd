"""The lab: a world of clusters, clouds and a network between them, served over HTTP on loopback (DESIGN §4)."""
