"""The core: what is true about a mesh and what follows from it. No I/O, no clock, no threads, no printing."""
