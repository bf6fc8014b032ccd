"""``python -m backends.lab.commands.cilium``."""

import sys

from backends.lab.commands.cilium.catalogue import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
