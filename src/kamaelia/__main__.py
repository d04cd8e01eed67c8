"""``python -m kamaelia`` is the same as the command ``kamaelia``."""

import sys

from kamaelia.cli import main

if __name__ == "__main__":
    sys.exit(main())
