"""Where tests keep their folders: in memory, if there is room and it keeps all that a disk keeps.

Most of what tests write is made durable, as Longshore does it, and then a disk is what they wait
for. What has to be tried on a disk asks for a folder there by itself.
"""

from __future__ import annotations

import os

MEMORY = "/dev/shm"
FREE_BYTES_MINIMUM = 6 << 30  # a run of all tests holds less than half of that at any time
_PROBED = {"user.probe": b"", "user.long": b"x" * 2000}


def folder_in_memory() -> str | None:
    """A folder for temporary files that lies in memory; None where the usual one is better."""
    try:
        system = os.statvfs(MEMORY)
        if system.f_bavail * system.f_frsize < FREE_BYTES_MINIMUM or _free() < FREE_BYTES_MINIMUM:
            return None
        probe = os.open(MEMORY, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError:
        return None
    try:
        for name, value in _PROBED.items():
            os.setxattr(probe, name, value)
    except OSError:
        return None
    finally:
        os.close(probe)
    return MEMORY


def _free() -> int:
    """Bytes of memory that nobody needs."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail"))
