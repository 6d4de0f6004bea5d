"""Hostile JavaScript scripts and the documented end of each.

QuickJS has no way out of itself (no files, modules or processes), so most of these go for time,
memory and the prelude. What gets through QuickJS still meets the same locked process.
"""

from textwrap import dedent

from longshore.callbacks import Limits

from .trial import LIMITS, SMALL_BUDGET, Case, Ending

FAILS, TIMES_OUT, STOPS = Ending.FAILS, Ending.TIMES_OUT, Ending.STOPS
INVALID, HARMLESS = Ending.INVALID, Ending.HARMLESS

UNKNOWN = r"^ReferenceError: '\w+' is not defined"
# Computing time is measured inside, silence outside: on a busy machine either may come first.
SLOW = r"took longer than|gave no answer for"
SILENT = r"gave no answer for"
# QuickJS throws null where no memory is left for the error itself.
NO_MEMORY = r"^null$|out of memory|invalid|lost its worker|took longer than"
LOST = r"lost its worker"
VIOLATION = r"broke the protocol"
NOT_BOOLEAN = r"must return true or false, not "


def at_evil(
    name: str, body: str, ending: Ending, text: str = "", or_ending: Ending | None = None
) -> Case:
    """Return a case whose script runs `body` for the one file that is named evil."""
    script = (
        "// js\nfunction run(req) {\n"
        "  if (utils.getNodeInfo(req).getPath() !== '/evil') return true;\n"
        f"{dedent(body).strip()}\n}}\n"
    )
    return Case(name=name, script=script, ending=ending, text=text, or_ending=or_ending)


def whole(name: str, script: str, ending: Ending, text: str = "", limits: Limits = LIMITS) -> Case:
    """Return a case with a script of its own."""
    return Case(
        name=name, script="// js\n" + dedent(script), ending=ending, text=text, limits=limits
    )


WAYS_OUT = [
    at_evil("require", "return require('fs')", FAILS, UNKNOWN),
    at_evil("std-module", "return std.open('/etc/passwd', 'r')", FAILS, UNKNOWN),
    at_evil("os-module", "return os.exec(['id'])", FAILS, UNKNOWN),
    at_evil("process", "return process.env", FAILS, UNKNOWN),
    at_evil("fetch", "return fetch('http://127.0.0.1/')", FAILS, UNKNOWN),
    at_evil("web-socket", "return new WebSocket('ws://127.0.0.1/')", FAILS, UNKNOWN),
    at_evil("timer", "return setTimeout(() => 1, 1)", FAILS, UNKNOWN),
    at_evil("dynamic-import", "return import('std')", FAILS, NOT_BOOLEAN),
    whole("import-statement", "import * as std from 'std';\nconst run = () => true;\n", INVALID),
    at_evil(
        "function-constructor",
        "return this.constructor.constructor('return process')()",
        FAILS,
        r"^(ReferenceError|TypeError)",
    ),
    at_evil(
        "constructor-walk",
        "return (() => 1).constructor('return typeof require + typeof std')()",
        FAILS,
        NOT_BOOLEAN + "string",
    ),
    at_evil("prelude-is-hidden", "return typeof __longshore === 'undefined'", HARMLESS),
    at_evil("load-file", "return loadScript('/etc/passwd')", FAILS, UNKNOWN),
    at_evil("wait", "Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0)", FAILS, r"."),
]

TIME = [
    at_evil("endless-loop", "for (;;);", TIMES_OUT, SLOW),
    at_evil("caught-loop", "for (;;) { try { for (;;); } catch (e) { } }", TIMES_OUT, SLOW),
    at_evil("finally-loop", "try { for (;;); } finally { for (;;); }", TIMES_OUT, SLOW),
    at_evil("evaluated-loop", "return eval('for(;;);')", TIMES_OUT, SLOW),
    at_evil("constructed-loop", "return new Function('for(;;);')()", TIMES_OUT, SLOW),
    at_evil(
        "generator-loop",
        "for (const x of (function* () { for (;;) yield 1; })());",
        TIMES_OUT,
        SLOW,
    ),
    at_evil(
        "regular-expression-bomb",
        "return /(a+)+$/.test('a'.repeat(64) + '!')",
        TIMES_OUT,
        SLOW,
    ),
    at_evil("endless-sort", "return [3, 2, 1].sort(() => { for (;;); })", TIMES_OUT, SLOW),
    at_evil("endless-getter", "return ({ get x() { for (;;); } }).x", TIMES_OUT, SLOW),
    at_evil("endless-proxy", "return new Proxy({}, { get() { for (;;); } }).x", TIMES_OUT, SLOW),
    at_evil("endless-error-text", "throw { toString() { for (;;); } }", TIMES_OUT, SLOW),
    at_evil("log-flood", "for (;;) console.log('flood')", TIMES_OUT, SLOW),
    whole("always-endless", "function run(req) { for (;;); }", STOPS, r"2 times"),
    whole(
        "endless-while-loading",
        "for (;;);\nfunction run(req) { return true; }",
        INVALID,
        r"interrupted|gave no answer for",
    ),
    whole(
        "always-slow",
        "function run(req) { let i = 0; while (i < 3e6) i++; return true; }",
        STOPS,
        r"too slow",
        SMALL_BUDGET,
    ),
]

MEMORY = [
    at_evil("huge-array", "return new Array(1e9).fill(0)", FAILS, NO_MEMORY, TIMES_OUT),
    at_evil("huge-buffer", "return new ArrayBuffer(1 << 30)", FAILS, NO_MEMORY),
    at_evil("huge-text", "return 'x'.repeat(2 ** 29)", FAILS, NO_MEMORY),
    at_evil("doubling-text", "let s = 'x'; for (;;) s += s + '!'", FAILS, NO_MEMORY, TIMES_OUT),
    at_evil("endless-array", "const a = []; for (;;) a.push({})", FAILS, NO_MEMORY, TIMES_OUT),
    at_evil("huge-integer", "return 3n ** (10n ** 8n)", FAILS, NO_MEMORY, TIMES_OUT),
    at_evil(
        "huge-join",
        "const a = []; a.length = 2 ** 32 - 1; return a.join('xxxx')",
        FAILS,
        NO_MEMORY,
        TIMES_OUT,
    ),
    at_evil("recursion", "return run(req)", FAILS, r"stack overflow"),
    at_evil("deep-json", "return JSON.parse('['.repeat(1e6))", FAILS, r"overflow|SyntaxError|lost"),
    whole(
        "memory-while-loading",
        "new ArrayBuffer(1 << 30);\nfunction run(r) { return true; }",
        INVALID,
        r"memory",
    ),
]

PRELUDE = [
    at_evil("replace-stringify", "JSON.stringify = () => 'x'; return true", HARMLESS),
    at_evil("poison-json", "Array.prototype.toJSON = () => 1; return true", FAILS, LOST),
    at_evil("poison-text-json", "String.prototype.toJSON = () => ({}); return true", HARMLESS),
    at_evil("replace-push", "Array.prototype.push = null; return 1", FAILS, r"not a function"),
    at_evil(
        "replace-slice",
        "String.prototype.slice = null; throw new Error('x')",
        FAILS,
        r"cannot be shown",
    ),
    at_evil(
        "poison-objects",
        "Object.defineProperty(Object.prototype, 'failures', { set() { for (;;); } }); return true",
        HARMLESS,
    ),
    at_evil("replace-date", "Date.now = () => 0; Date = null; return true", HARMLESS),
    at_evil("replace-utils", "utils.getNodeInfo = null; return true", HARMLESS),
    at_evil("replace-run", "globalThis.run = null; return true", HARMLESS),
    at_evil(
        "odd-request",
        "return utils.getNodeInfo({ batch: req.batch, index: 1e9 }).getPath()",
        FAILS,
        NOT_BOOLEAN + "undefined",
    ),
    at_evil(
        "forged-request",
        "return utils.getNodeInfo({ index: 1 }).getPath()",
        FAILS,
        r"^TypeError",
    ),
    at_evil(
        "want-of-facts-for-ever",
        "req.batch.size = null; utils.getNodeInfo(req)['getS' + 'ize']();"
        " req.batch.size = null; return utils.getNodeInfo(req)['getS' + 'ize']() >= 0",
        FAILS,
        VIOLATION,
    ),
    at_evil(
        "swallowed-want-of-facts",
        "try { utils.getNodeInfo(req)['getS' + 'ize'](); } catch (e) { } for (;;);",
        TIMES_OUT,
        SLOW,
    ),
    at_evil(
        "columns-taken-away",
        "req.batch.texts = null; return utils.getNodeInfo(req)['getS' + 'ize']() > 0",
        FAILS,
        "^TypeError",
    ),
    at_evil("no-request", "return utils.getNodeInfo()", FAILS, r"^TypeError"),
]

ANSWERS = [
    at_evil("nothing", "return", FAILS, NOT_BOOLEAN + "undefined"),
    at_evil("null", "return null", FAILS, NOT_BOOLEAN + "null"),
    at_evil("one", "return 1", FAILS, NOT_BOOLEAN + "number"),
    at_evil("boolean-object", "return new Boolean(true)", FAILS, NOT_BOOLEAN + "object"),
    at_evil("promise", "return Promise.resolve(true)", FAILS, NOT_BOOLEAN + "object"),
    at_evil("throw-null", "throw null", FAILS, r"^null$"),
    at_evil("hostile-error-text", "throw { toString() { throw 1; } }", FAILS, r"cannot be shown"),
    at_evil(
        "hostile-stack",
        "const e = new Error('x'); e.stack = { toString() { throw 1; } }; throw e",
        FAILS,
        r"Error",
    ),
    at_evil("long-error", "throw new Error('x'.repeat(1e7))", FAILS, r"^Error: x{200,300}$"),
    at_evil(
        "control-characters",
        r"throw new Error('\x1b[2J\u202e\n')",
        FAILS,
        r"^Error: \\x1b\[2J\\u202e\\n$",
    ),
    at_evil("half-surrogate", r"throw new Error('\ud800')", FAILS, r"."),
    at_evil("huge-log", "console.log('x'.repeat(1e7)); return true", HARMLESS),
    whole("syntax-error", "function run(req) {", INVALID, r"SyntaxError.*line 2"),
    whole("no-run", "const walk = 1;", INVALID, r"must define"),
    whole("run-is-no-function", "const run = 1;", INVALID, r"must define"),
    whole("nul", "function run(req) { return true; }\0", INVALID, r"NUL"),
]

CASES = [*WAYS_OUT, *TIME, *MEMORY, *PRELUDE, *ANSWERS]
