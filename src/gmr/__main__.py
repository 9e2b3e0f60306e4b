"""``python -m gmr`` is ``gmr``."""

import sys

from gmr.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
