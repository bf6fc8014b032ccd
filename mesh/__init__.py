"""The core: what is true about a mesh and what follows from it. No I/O, no clock, no threads, no printing."""

# Here and nowhere else: asking the installed metadata for it costs more than all the rest of `meshwright version`.
__version__ = "0.1.0"
