"""Runs a part of the hostile scripts as whoever calls it and prints how each ended, as JSON.

    python -m tests.faults.callbacks.run_all PART PARTS

Several scripts run at once: most of them spend their time in waiting for their time-out.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

from .hostile_javascript import CASES as JAVASCRIPT
from .hostile_python import CASES as PYTHON
from .trial import judge, living_children

AT_ONCE = 3
"""Scripts under way at a time: more would stretch the time-outs of each other on two cores."""


def main(part: int, parts: int) -> None:
    """Print the identity, the complaints and the processes left over."""
    known = [*PYTHON, *(JAVASCRIPT if find_spec("_quickjs") else ())]
    cases = known[part::parts]
    judged = judge()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        complaints = dict(zip((case.name for case in cases), pool.map(judged, cases), strict=True))
    outcome = {
        "uid": os.getuid(),
        "judged": len(cases),
        "complaints": {name: text for name, text in complaints.items() if text is not None},
        "left": living_children(),
    }
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
