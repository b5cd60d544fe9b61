"""`python -m tests.nvmlsim CONFIG`: the daemon of a node with simulated GPUs; the node's init starts it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.nvmlsim.daemon import main

if __name__ == "__main__":
    main(Path(sys.argv[1]))
