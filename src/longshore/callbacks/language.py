"""Which language a script is written in; the resource has no field for it, so the text tells."""

import re

from .values import Language

NAMES = {Language.PYTHON: "Python", Language.JAVASCRIPT: "JavaScript"}

_MARKERS = ("// js", "#!js")
_DECLARES_RUN = re.compile(r"^[ \t]*(?:function\s+run\s*\(|const\s+run\b)", re.MULTILINE)


def language_of(script: str) -> Language:
    """Return JavaScript for a marked first line or a declared `run`, Python for everything else."""
    first_line = script.split("\n", 1)[0].strip()
    if first_line in _MARKERS or _DECLARES_RUN.search(script):
        return Language.JAVASCRIPT
    return Language.PYTHON


def switched_off(language: Language) -> str:
    """Why no script of that language runs, where the administrator wants it so."""
    return f"callbacks in {NAMES[language]} are switched off on this server"
