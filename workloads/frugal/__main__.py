"""``python -m frugal`` and the ``frugal`` command."""

from __future__ import annotations

import sys

from frugal.cli import main

if __name__ == "__main__":
    sys.exit(main())
