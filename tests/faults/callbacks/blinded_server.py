"""Runs `longshore` on a machine from which a kernel feature is hidden.

    python tests/faults/callbacks/blinded_server.py FEATURE serve …

What hides the feature stays over exec, so it is there for every process of the server.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.faults.callbacks.blinders import hide

if __name__ == "__main__":
    hide(sys.argv[1])
    os.execv(sys.executable, [sys.executable, "-m", "longshore", *sys.argv[2:]])
