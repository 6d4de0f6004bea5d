"""How full the machine's memory is."""

from __future__ import annotations

from pathlib import Path


def memory_use_percent(meminfo: Path = Path("/proc/meminfo")) -> float:
    """Memory that is not available for new processes, in percent; 0 where that is not known."""
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return 0.0
    values = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
    total, available = values.get("MemTotal", 0), values.get("MemAvailable", 0)
    return 100.0 * (total - available) / total if total else 0.0
