"""What scripts of both languages are given, and what counts as their answer."""

import pytest

from longshore.callbacks import Answer, CallbackFilter, Decisions, FileInfo
from longshore.callbacks.worker.modules import ALLOWED, ENCODINGS
from tests.javascript import needs_javascript

from .examples import QUICK, file

pytestmark = pytest.mark.usefixtures("sandbox")

EXAMPLE = FileInfo(
    path=b"/folder/na\xc3\xafve \xff.txt",
    mode=0o100640,
    uid=1001,
    gid=1002,
    size=2**40 + 1,
    atime_ns=1_700_000_000_123_456_789,
    mtime_ns=-1,
    ctime_ns=0,
    metadata={"kind": "raw"},
)


def decide(script: str, *files: FileInfo) -> Decisions:
    with CallbackFilter(script, task_id=77, limits=QUICK) as callback:
        return callback.decide(files)


def answer_in_python(expression: str) -> int:
    script = (
        "import utils, sys\nfrom datetime import datetime, timezone\n"
        f"def run(req):\n    info = utils.get_node_info(req)\n    return {expression}\n"
    )
    decisions = decide(script, EXAMPLE)
    assert decisions.failures == {}
    return decisions.answers[0]


def answer_in_javascript(expression: str) -> int:
    facts = "const info = utils.getNodeInfo(req)"
    script = f"// js\nconst run = req => {{ {facts}; return {expression}; }};"
    decisions = decide(script, EXAMPLE)
    assert decisions.failures == {}
    return decisions.answers[0]


@pytest.mark.parametrize(
    "expression",
    [
        "type(req.id) is int and req.id == 77",
        "info.path == '/folder/na\\u00efve \\udcff.txt' and type(info.path) is str",
        "info.mode == 0o100640 and type(info.mode) is int",
        "(info.uid, info.gid) == (1001, 1002)",
        "info.size == 2**40 + 1",
        "info.atime.ToDatetime() == datetime(2023, 11, 14, 22, 13, 20, 123456)",
        "info.atime.ToDatetime().tzinfo is None",
        "info.atime.ToDatetime(timezone.utc).tzinfo is timezone.utc",
        "(info.atime.seconds, info.atime.nanos) == (1700000000, 123456789)",
        "info.mtime.ToDatetime() == datetime(1969, 12, 31, 23, 59, 59, 999999)",
        "(info.mtime.seconds, info.mtime.nanos) == (-1, 999999999)",
        "info.ctime.ToDatetime() == datetime(1970, 1, 1)",
        "info.metadata['kind'] == 'raw' and info.metadata.get('other') is None",
        "sys.version_info >= (3, 11) and not hasattr(sys, 'modules')",
    ],
)
def test_python_sees_every_documented_field(expression: str) -> None:
    assert answer_in_python(expression) == Answer.ACCEPTED


@needs_javascript
@pytest.mark.parametrize(
    "expression",
    [
        "req.getId() === 77 && req.id === 77",
        "info.getPath() === '/folder/na\\u00efve \\ufffd.txt'",
        "info.getMode() === 0o100640",
        "info.getUid() === 1001 && info.getGid() === 1002",
        "info.getSize() === 2 ** 40 + 1",
        "info.getAtime().toDate().toISOString() === '2023-11-14T22:13:20.123Z'",
        "info.getAtime().ToDatetime() instanceof Date",
        "info.getAtime().getSeconds() === 1700000000 && info.getAtime().getNanos() === 123456000",
        "info.getMtime().getSeconds() === -1 && info.getMtime().getNanos() === 999999000",
        "info.getCtime().toDate().getTime() === 0",
        "info.getMetadata().kind === 'raw' && info.getMetadata().other === undefined",
        "info.getMetadataMap().get('kind') === 'raw' && !info.getMetadataMap().has('other')",
    ],
)
def test_javascript_sees_every_documented_field(expression: str) -> None:
    assert answer_in_javascript(expression) == Answer.ACCEPTED


def test_a_missing_metadata_key_is_a_key_error_of_that_file() -> None:
    script = "import utils\ndef run(r): return bool(utils.get_node_info(r).metadata['kind'])\n"
    decisions = decide(script, EXAMPLE, file())
    assert list(decisions.answers) == [Answer.ACCEPTED, Answer.ERROR]
    assert decisions.failures[1].text == "KeyError: 'kind'"
    assert decisions.failures[1].line == 2


ODD_PATHS = [
    b"/line\nbreak",
    b"/nul\0inside",
    b"/\xff\xfe\x80",
    "/right-to-left \u202e.txt".encode(),
    b"/escape \x1b[2J",
    b"/" + b"x" * 4095,
    b"",
]


@pytest.mark.parametrize("language", ["python", pytest.param("javascript", marks=needs_javascript)])
def test_odd_paths_are_decided_like_all_others(language: str) -> None:
    script = {
        "python": "import utils\ndef run(r): return len(utils.get_node_info(r).path) >= 0\n",
        "javascript": "function run(r) { return utils.getNodeInfo(r).getPath().length >= 0; }",
    }[language]
    decisions = decide(script, *(file(path) for path in ODD_PATHS))
    assert list(decisions.answers) == [Answer.ACCEPTED] * len(ODD_PATHS)


def test_python_paths_turn_back_into_the_same_bytes() -> None:
    listed = repr(ODD_PATHS)
    script = (
        f"import utils\nKNOWN = {listed}\ndef run(req):\n"
        "    path = utils.get_node_info(req).path\n"
        "    return path.encode('utf-8', 'surrogateescape') in KNOWN\n"
    )
    decisions = decide(script, *(file(path) for path in ODD_PATHS), file(b"/unknown"))
    assert list(decisions.answers) == [Answer.ACCEPTED] * len(ODD_PATHS) + [Answer.REFUSED]


MODULES = {
    "__future__": "__import__('__future__').annotations.compiler_flag > 0",
    "base64": "base64.b64decode(base64.b64encode(b'x')) == b'x'",
    "calendar": "calendar.monthrange(2024, 2)[1] == 29 and bool(calendar.month(2024, 2))",
    "collections": "collections.Counter('aab')['a'] == 2 and bool(collections.abc.Mapping)",
    "datetime": "datetime.datetime.strptime('2024-02-29', '%Y-%m-%d').strftime('%j %A') != ''"
    " and bool(datetime.datetime.now().astimezone().isoformat())",
    "decimal": "decimal.Decimal('0.1') + decimal.Decimal('0.2') == decimal.Decimal('0.3')",
    "fnmatch": "fnmatch.fnmatch('a.txt', '*.txt')",
    "fractions": "fractions.Fraction('1/3') * 3 == 1",
    "functools": "functools.reduce(int.__add__, [1, 2]) == 3",
    "hashlib": "all(hashlib.new(n, b'x') for n in ('md5', 'sha1', 'sha256', 'blake2b'))",
    "itertools": "list(itertools.islice(itertools.count(), 2)) == [0, 1]",
    "json": "json.loads(json.dumps({'a': [1.5]})) == {'a': [1.5]}",
    "math": "math.isqrt(17) == 4 and math.isclose(math.sin(math.pi / 2), 1)",
    "operator": "operator.itemgetter(0)([7]) == 7",
    "posixpath": "posixpath.splitext('/a/b.txt') == ('/a/b', '.txt')"
    " and posixpath.relpath('/a/b', '/a') == 'b'",
    "random": "0 <= random.Random(1).random() < 1 and random.choice([1]) == 1",
    "re": r"re.sub(r'(?i)A+\d', 'x', 'aa1') == 'x'",
    "statistics": "statistics.quantiles([1, 2, 3, 4])[1] == 2.5",
    "string": "string.Template('$a').substitute(a=1) == '1'",
    "sys": "sys.maxsize > 0",
    "textwrap": "textwrap.fill('a b', 1) == 'a\\nb'",
    "time": "time.strptime('2024', '%Y').tm_year == 2024 and time.time() > 0"
    " and bool(time.strftime('%c')) and time.localtime().tm_year > 2000",
    "unicodedata": "unicodedata.normalize('NFD', 'é') != 'é' and unicodedata.name('a') != ''",
}


def test_every_module_on_the_list_is_used_by_a_test() -> None:
    assert MODULES.keys() | {"utils"} == ALLOWED


@pytest.mark.parametrize("module", MODULES)
def test_an_allowed_module_works_after_the_lock_down(module: str) -> None:
    script = (
        f"import {module}\nimport collections.abc\ndef run(req):\n    return {MODULES[module]}\n"
    )
    if module == "__future__":
        script = script.replace("import __future__", "from __future__ import annotations")
    decisions = decide(script, file())
    assert decisions.failures == {}
    assert decisions.answers[0] == Answer.ACCEPTED


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name != "ascii"])
def test_text_can_be_encoded_in_the_usual_ways_after_the_lock_down(encoding: str) -> None:
    script = f"def run(req): return 'é'.encode({encoding!r}).decode({encoding!r}) == 'é'\n"
    assert list(decide(script, file()).answers) == [Answer.ACCEPTED]


def test_what_scripts_print_is_returned_and_bounded() -> None:
    script = (
        "import sys\nprint('loading')\ndef run(req):\n    print('deciding', 'é', 1)\n"
        "    print('\\x1b[2J' + 'x' * 500)\n    sys.stdout.write('open end')\n    return True\n"
    )
    decisions = decide(script, file())
    assert decisions.log_lines[:2] == ("loading", "deciding é 1")
    assert decisions.log_lines[2].startswith("\\x1b[2J")
    assert len(decisions.log_lines[2]) == 300
    assert decisions.log_lines[3] == "open end"
    assert decisions.log_truncated


@needs_javascript
def test_a_flood_of_lines_is_cut_and_told() -> None:
    for script in (
        "def run(req):\n    for i in range(1000): print(i)\n    return True\n",
        "function run(req) { for (let i = 0; i < 1000; i++) console.log(i); return true; }",
    ):
        decisions = decide(script, file(), file())
        assert decisions.log_lines == tuple(str(i) for i in range(100))
        assert decisions.log_truncated
        assert list(decisions.answers) == [Answer.ACCEPTED] * 2


@needs_javascript
def test_a_failure_names_the_line_of_the_script() -> None:
    python = "import re\ndef helper():\n    re.compile('(')\ndef run(req):\n    return helper()\n"
    decisions = decide(python, file())
    assert decisions.failures[0].line == 3
    assert "missing )" in decisions.failures[0].text
    javascript = (
        "function run(req) {\n  return helper();\n}\nfunction helper() {\n  return no;\n}\n"
    )
    decisions = decide(javascript, file())
    assert decisions.failures[0].line == 5
    assert decisions.failures[0].text == "ReferenceError: 'no' is not defined"
