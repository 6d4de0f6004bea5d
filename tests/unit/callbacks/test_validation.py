import pytest

from longshore.callbacks import InvalidScript, Language, language_of, validate
from tests.javascript import needs_javascript

from .examples import QUICK


@pytest.mark.parametrize(
    ("script", "language"),
    [
        ("def run(req): return True", Language.PYTHON),
        ("", Language.PYTHON),
        ("// js\nrun = () => true", Language.JAVASCRIPT),
        ("#!js\nvar run = () => true", Language.JAVASCRIPT),
        ("// js  \r\nvar run = 1", Language.JAVASCRIPT),
        ("let x;\nfunction run(req) { return true }", Language.JAVASCRIPT),
        ("const run = req => true", Language.JAVASCRIPT),
        ("# function run( is not JavaScript here\ndef run(req): return True", Language.PYTHON),
        ("def run(req): return True\n// js", Language.PYTHON),
        ("constrain = 1\nfunction_run = 2", Language.PYTHON),
    ],
)
def test_the_language_follows_from_the_text(script: str, language: Language) -> None:
    assert language_of(script) is language


@pytest.mark.parametrize(
    ("script", "message", "line", "column"),
    [
        ("", "blank", None, None),
        (" \n\t", "blank", None, None),
        ("x = 1\nab\0c", "NUL", 2, 3),
        ("x = '\udc80'", "surrogate", 1, 6),
        ("#" * (64 * 1024 + 1), "65537 bytes", None, None),
        ("#" + "é" * (32 * 1024), "65537 bytes", None, None),
    ],
)
def test_a_wrong_text_is_refused_without_a_worker(
    script: str, message: str, line: int | None, column: int | None
) -> None:
    invalid = validate(script)
    assert invalid is not None
    assert message in invalid.message
    assert (invalid.line, invalid.column) == (line, column)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("script", "message", "line", "column"),
    [
        ("def run(req):\n    return (1\n", "'(' was never closed", 2, 12),
        ("def run(req):\nreturn True\n", "expected an indented block", 2, 1),
        ("x = 1\n", "must define run", None, None),
        ("run = 5\n", "must define run", None, None),
        ("\ndef run(): return True\n", "one argument", 2, 1),
        ("def run(req, more): return True\n", "one argument", 1, 1),
        ("x = 1\nimport os\n", "module 'os' is not available", 2, 1),
        ("if True:\n    import socket.x\n", "'socket.x' is not available", 2, 5),
        ("import math\nx = math.nothing\n", "no attribute 'nothing'", 2, 5),
        ("x = 1 / 0\n", "ZeroDivisionError", 1, 5),
        pytest.param(
            "function run(req) {\n  return true;\n", "SyntaxError", 3, None, marks=needs_javascript
        ),
        pytest.param(
            "// js\nlet a = 1;\nnothing();\n",
            "'nothing' is not defined",
            3,
            None,
            marks=needs_javascript,
        ),
        pytest.param(
            "// js\nlet walk = 1;\n", "must define function run", None, None, marks=needs_javascript
        ),
    ],
)
def test_a_script_that_does_not_load_is_refused_with_its_place(
    script: str, message: str, line: int | None, column: int | None
) -> None:
    invalid = validate(script, limits=QUICK)
    assert invalid is not None
    assert message in invalid.message
    assert (invalid.line, invalid.column) == (line, column)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    "script",
    [
        "import utils\nimport sys\ndef run(req):\n    return True\n",
        "run = lambda req: True\n",
        "def run(req, more=1, *, key=2): return True\n",
        "def run(*args): return True\n",
        "class Run:\n    def __call__(self, req): return True\nrun = Run()\n",
        "from collections.abc import Mapping\nfrom datetime import *\ndef run(req): return True\n",
        pytest.param("#!js\nfunction run(req) { return true; }\n", marks=needs_javascript),
        pytest.param("// js\nlet run = function (req) { return true; };\n", marks=needs_javascript),
    ],
)
def test_a_good_script_is_accepted(script: str) -> None:
    assert validate(script, limits=QUICK) is None


def test_the_place_stands_in_the_text_of_an_invalid_script() -> None:
    assert str(InvalidScript(message="no", line=3, column=4)) == "no (line 3, column 4)"
    assert str(InvalidScript(message="no", line=3)) == "no (line 3)"
    assert str(InvalidScript(message="no")) == "no"
