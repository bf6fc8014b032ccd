"""``python -m backends.lab.commands.helm``."""

import sys

from backends.lab.commands.helm.catalogue import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
