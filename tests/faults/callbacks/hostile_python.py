"""Hostile Python scripts and the documented end of each.

`steal` gets real modules around the import guard, which is a courtesy and not the boundary: these
scripts meet the kernel. `attack` returns True when it did no harm, anything else by mistake.
"""

from textwrap import dedent, indent

from longshore.callbacks import Limits

from .trial import LIMITS, SMALL_BUDGET, Case, Ending

FAILS, TIMES_OUT, STOPS = Ending.FAILS, Ending.TIMES_OUT, Ending.STOPS
INVALID, HARMLESS = Ending.INVALID, Ending.HARMLESS

REFUSED = r"^PermissionError: .*Operation not permitted"
FORBIDDEN = r"killed for a forbidden system call"
CRASHED = r"killed by SIG(SEGV|BUS|ILL|ABRT)"
NOT_THERE = r"^(ModuleNotFoundError|ImportError|PermissionError): "
VIOLATION = r"broke the protocol"
# Computing time is measured inside, silence outside: on a busy machine either may come first.
SLOW = r"took longer than|gave no answer for"
SILENT = r"gave no answer for"

_FRAME = """
import utils

def steal(name):
    return __import__(name, {})

def raw(number, *arguments):
    ctypes = steal("ctypes")
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), steal("os").strerror(ctypes.get_errno()))
    return result

def number(x86_64, aarch64):
    return x86_64 if steal("platform").machine() == "x86_64" else aarch64

def attack(req):
{body}

def run(req):
    if utils.get_node_info(req).path != "/evil":
        return True
    return attack(req)
"""


def at_evil(
    name: str, body: str, ending: Ending, text: str = "", or_ending: Ending | None = None
) -> Case:
    """Return a case whose script runs `body` for the one file that is named evil."""
    script = _FRAME.replace("{body}", indent(dedent(body).strip(), "    "))
    return Case(name=name, script=script, ending=ending, text=text, or_ending=or_ending)


def whole(name: str, script: str, ending: Ending, text: str = "", limits: Limits = LIMITS) -> Case:
    """Return a case with a script of its own."""
    return Case(name=name, script=dedent(script), ending=ending, text=text, limits=limits)


FILES = [
    at_evil("open-passwd", "return bool(open('/etc/passwd').read())", FAILS, REFUSED),
    at_evil("os-open", "return steal('os').open('/etc/passwd', 0)", FAILS, REFUSED),
    at_evil("posix-open", "return steal('posix').open('/', 0)", FAILS, REFUSED),
    at_evil("io-open-code", "return steal('io').open_code('/etc/passwd')", FAILS, REFUSED),
    at_evil("list-root", "return steal('os').listdir('/')", FAILS, REFUSED),
    at_evil("stat-shadow", "return steal('os').stat('/etc/shadow')", FAILS, REFUSED),
    at_evil("read-own-link", "return steal('os').readlink('/proc/self/exe')", FAILS, REFUSED),
    at_evil("write-file", "return open('/tmp/longshore-hostile', 'w')", FAILS, REFUSED),
    at_evil("own-environ-file", "return open('/proc/self/environ').read()", FAILS, REFUSED),
    at_evil("init-environ-file", "return open('/proc/1/environ').read()", FAILS, REFUSED),
    at_evil("memory-file", "return open('/proc/self/mem', 'r+b')", FAILS, REFUSED),
    at_evil("unlink", "return steal('os').unlink('/etc/hostname')", FAILS, REFUSED),
    at_evil("rename", "return steal('os').rename('/etc/hosts', '/tmp/h')", FAILS, REFUSED),
    at_evil("make-folder", "return steal('os').mkdir('/tmp/longshore-hostile')", FAILS, REFUSED),
    at_evil("symlink", "return steal('os').symlink('/etc', '/tmp/longshore-h')", FAILS, REFUSED),
    at_evil("chmod", "return steal('os').chmod('/tmp', 0o777)", FAILS, REFUSED),
    at_evil("chdir", "return steal('os').chdir('/etc')", FAILS, REFUSED),
    at_evil("anonymous-file", "return steal('os').memfd_create('x')", FAILS, REFUSED),
    at_evil("pipe", "return steal('os').pipe()", FAILS, REFUSED),
    at_evil("duplicate-descriptor", "return steal('os').dup(3)", FAILS, REFUSED),
    at_evil("close-answer-pipe", "return steal('os').close(4)", FAILS, REFUSED),
    at_evil("read-other-descriptor", "return steal('os').read(0, 10)", FAILS, REFUSED),
    at_evil("write-other-descriptor", "return steal('os').write(3, b'x')", FAILS, REFUSED),
    at_evil("mount", "steal('ctypes').CDLL(None).mount(0, b'/', 0, 0, 0)", FAILS, FORBIDDEN),
    at_evil("chroot", "return steal('os').chroot('/tmp')", FAILS, FORBIDDEN),
]

NETWORK = [
    at_evil("import-socket", "import socket", FAILS, NOT_THERE),
    at_evil("steal-socket", "return steal('_socket').socket()", FAILS, NOT_THERE),
    at_evil("raw-socket", "return raw(number(41, 198), 2, 1, 0)", FAILS, REFUSED),
    at_evil(
        "raw-connect",
        "return raw(number(42, 203), 0, b'\\0' * 16, 16)",
        FAILS,
        REFUSED,
    ),
    at_evil("io-uring", "return raw(425, 8, b'\\0' * 120)", FAILS, FORBIDDEN),
    at_evil("urllib", "return steal('urllib.request')", FAILS, NOT_THERE),
]

PROCESSES = [
    at_evil("fork", "return steal('os').fork()", FAILS, REFUSED),
    at_evil("fork-bomb", "while True: steal('os').fork()", FAILS, REFUSED),
    at_evil("exec", "return steal('os').execv('/bin/sh', ['sh'])", FAILS, REFUSED),
    at_evil(
        "posix-spawn",
        "return steal('posix').posix_spawn('/bin/true', ['true'], {})",
        FAILS,
        REFUSED,
    ),
    at_evil(
        "system", "return 'failed' if steal('os').system('id') else True", FAILS, r"TypeError.*str"
    ),
    at_evil("import-subprocess", "import subprocess", FAILS, NOT_THERE),
    at_evil("steal-subprocess", "return steal('subprocess').run(['id'])", FAILS, NOT_THERE),
    at_evil(
        "thread",
        "return steal('_thread').start_new_thread(print, ())",
        FAILS,
        r"can't start new thread",
    ),
    at_evil("raw-clone", "return raw(number(56, 220), 17, 0, 0, 0, 0)", FAILS, REFUSED),
    at_evil("raw-clone3", "return raw(435, b'\\0' * 88, 88)", FAILS, REFUSED),
    at_evil("kill-init", "return steal('os').kill(1, 9)", FAILS, REFUSED),
    at_evil("kill-everybody", "return steal('os').kill(-1, 9)", FAILS, REFUSED),
    at_evil("kill-group", "return steal('os').killpg(0, 9)", FAILS, REFUSED),
    at_evil("tkill", "return raw(number(200, 130), 1, 9)", FAILS, FORBIDDEN),
    at_evil("become-root", "return steal('os').setuid(0)", FAILS, FORBIDDEN),
    at_evil("raise-priority", "return steal('os').nice(-10)", FAILS, FORBIDDEN),
    at_evil(
        "raise-limits",
        """
        resource = steal('resource')
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        """,
        FAILS,
        r"^(ValueError|PermissionError|OSError): ",
    ),
    at_evil("prctl", "steal('ctypes').CDLL(None).prctl(4, 1, 0, 0, 0)", FAILS, FORBIDDEN),
    at_evil("ptrace", "steal('ctypes').CDLL(None).ptrace(16, 1, 0, 0)", FAILS, FORBIDDEN),
    at_evil("unshare", "steal('ctypes').CDLL(None).unshare(0x10000000)", FAILS, FORBIDDEN),
    at_evil("x32-abi", "return raw(0x40000000 + 39)", FAILS, FORBIDDEN),
    at_evil("leave", "steal('os')._exit(0)", FAILS, r"ended with status 0"),
    at_evil("leave-with-error", "steal('os')._exit(77)", FAILS, r"ended with status 77"),
    at_evil("abort", "steal('os').abort()", FAILS, CRASHED),
    whole(
        "crash-on-every-file",
        "def run(req):\n    __import__('os', {})._exit(1)\n",
        STOPS,
        r"lost its worker 2 times",
    ),
]

MEMORY = [
    at_evil("ten-gigabytes", "return len(bytearray(10 << 30)) > 0", FAILS, r"^MemoryError"),
    at_evil("huge-text", "return 'x' * (1 << 33)", FAILS, r"^MemoryError"),
    at_evil("huge-list", "return [0] * 10**9", FAILS, r"^MemoryError"),
    at_evil(
        "endless-list", "return list(iter(int, 1))", FAILS, f"^MemoryError|{SILENT}", TIMES_OUT
    ),
    at_evil(
        "executable-memory",
        "return raw(number(9, 222), None, 4096, 7, 0x22, -1, 0)",
        FAILS,
        REFUSED,
    ),
    at_evil(
        "make-executable",
        """
        ctypes = steal('ctypes')
        page = id(ctypes) & ~4095
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(4096), 7) == -1:
            raise OSError(ctypes.get_errno(), steal('os').strerror(ctypes.get_errno()))
        return 1
        """,
        FAILS,
        REFUSED,
    ),
    whole(
        "memory-while-loading",
        "hoard = bytearray(1 << 30)\ndef run(req):\n    return True\n",
        INVALID,
        r"MemoryError",
    ),
    at_evil("null-pointer", "steal('ctypes').string_at(0)", FAILS, CRASHED),
    at_evil(
        "overwrite-memory", "steal('ctypes').memset(id(steal), 0x41, 1 << 20)", FAILS, r"lost its"
    ),
]

TIME = [
    at_evil("endless-loop", "while True: pass", TIMES_OUT, SLOW),
    at_evil(
        "regular-expression-bomb",
        "import re\nreturn re.match('(a+)+$', 'a' * 64 + '!')",
        TIMES_OUT,
        SLOW,
    ),
    at_evil("huge-power", "return 7 ** 10 ** 8", TIMES_OUT, SLOW),
    at_evil("sleep", "import time\ntime.sleep(60)", FAILS, REFUSED),
    at_evil(
        "deadlock",
        "lock = steal('_thread').allocate_lock()\nlock.acquire()\nlock.acquire()",
        TIMES_OUT,
        SLOW,
    ),
    at_evil("endless-generator", "return sum(1 for _ in iter(int, 1)) > 0", TIMES_OUT, SLOW),
    at_evil(
        "loop-inside-c",
        "import collections, itertools\ncollections.deque(itertools.count(), maxlen=0)",
        TIMES_OUT,
        SLOW,
    ),
    at_evil(
        "swallows-the-time-out",
        """
        while True:
            try:
                while True: pass
            except BaseException:
                pass
        """,
        TIMES_OUT,
        SLOW,
    ),
    at_evil(
        "timer-off",
        "signal = steal('signal')\nsignal.setitimer(0, 0)\nwhile True: pass",
        TIMES_OUT,
        SILENT,
    ),
    at_evil(
        "signals-ignored",
        "signal = steal('signal')\nsignal.signal(14, signal.SIG_IGN)\nwhile True: pass",
        TIMES_OUT,
        SILENT,
    ),
    whole("always-endless", "def run(req):\n    while True: pass\n", STOPS, r"2 times"),
    whole(
        "always-slow",
        """
        import time
        def run(req):
            end = time.monotonic() + 0.2
            while time.monotonic() < end: pass
            return True
        """,
        STOPS,
        r"too slow",
        SMALL_BUDGET,
    ),
    whole("endless-while-loading", "while True: pass\n", INVALID, SLOW),
    whole(
        "endless-while-loading-without-timer",
        "__import__('signal', {}).setitimer(0, 0)\nwhile True: pass\n",
        INVALID,
        SILENT,
    ),
]

FORGERIES = [
    at_evil("junk-answer", "return steal('os').write(4, b'junk' * 10)", FAILS, VIOLATION),
    at_evil("endless-junk", "while True: steal('os').write(4, b'\\x00' * 65536)", FAILS, VIOLATION),
    at_evil("huge-frame", "steal('os').write(4, b'\\xff' * 5)\nreturn True", FAILS, VIOLATION),
    at_evil(
        "half-a-frame",
        "steal('os').write(4, b'\\xff\\x00\\x00\\x00\\x10')\nwhile True: pass",
        FAILS,
        VIOLATION,
    ),
    at_evil(
        "forged-loaded",
        "steal('worker.frames').frames.send(14, b'')\nreturn True",
        FAILS,
        VIOLATION,
    ),
    at_evil(
        "forged-invalid",
        "steal('worker.frames').frames.send(15, b'\\x93\\xa1x\\x01\\x01')\nreturn True",
        FAILS,
        VIOLATION,
    ),
    at_evil(
        "answers-for-other-files",
        "steal('worker.frames').frames.send(16, "
        "b'\\x63\\0\\0\\0\\x01\\0\\0\\0\\x01\\x93\\x90\\x90\\xc2')\n"
        "return True",
        FAILS,
        VIOLATION,
    ),
    at_evil(
        "unknown-answer-code",
        "steal('worker.frames').frames.send(16, "
        "b'\\0\\0\\0\\0\\x01\\0\\0\\0\\x09\\x93\\x90\\x90\\xc2')\n"
        "return True",
        FAILS,
        VIOLATION,
    ),
    at_evil(
        "empties-the-answers",
        "steal('sys')._getframe(2).f_locals['codes'].clear()\nreturn True",
        HARMLESS,
    ),
    at_evil(
        "too-many-answers",
        "steal('sys')._getframe(2).f_locals['codes'].extend(b'\\x01' * 9999)\nreturn True",
        FAILS,
        VIOLATION,
    ),
    at_evil("read-the-questions", "return steal('os').read(3, 10)", TIMES_OUT, SLOW),
    at_evil(
        "replace-the-sender",
        "steal('worker.frames').frames.send = lambda *a: None\nreturn True",
        TIMES_OUT,
        SILENT,
    ),
    at_evil(
        "replace-write", "steal('os').write = lambda *a: 1 << 30\nreturn True", TIMES_OUT, SILENT
    ),
    at_evil(
        "replace-struct",
        "steal('worker.frames').frames.ANSWERS_HEAD = None\nreturn True",
        FAILS,
        r"lost its worker",
    ),
    at_evil(
        "forged-want-of-facts",
        "steal('worker.frames').frames.send(17, b'')\nreturn True",
        FAILS,
        VIOLATION,
    ),
    at_evil(
        "leaves-for-want-of-facts",
        "steal('worker.frames').frames.leave_for_want_of_facts()",
        FAILS,
        VIOLATION,
    ),
    at_evil(
        "swallows-the-want-of-facts",
        """
        steal('os')._exit = lambda status: None
        try:
            getattr(utils.get_node_info(req), 'si' 'ze')
        except BaseException:
            pass
        while True: pass
        """,
        TIMES_OUT,
        SLOW,
    ),
    at_evil(
        "makes-facts-missing",
        """
        info = utils.get_node_info(req)
        missing = property(lambda _: steal('worker.frames').frames.leave_for_want_of_facts())
        type(info).path = missing
        return info.path
        """,
        FAILS,
        VIOLATION,
    ),
    at_evil("leave-by-exception", "raise SystemExit('enough')", FAILS, r"^SystemExit: enough"),
]

INTERPRETER = [
    at_evil("recursion", "return attack(req)", FAILS, r"^RecursionError"),
    at_evil(
        "recursion-without-limit",
        "steal('sys').setrecursionlimit(10**9)\nreturn attack(req)",
        FAILS,
        r"lost its worker|RecursionError|MemoryError|took longer",
        TIMES_OUT,
    ),
    at_evil("deep-json", "import json\nreturn json.loads('[' * 100000)", FAILS, r"^RecursionError"),
    at_evil("deep-source", "return eval('-' * 200000 + '1')", FAILS, r"Error|lost its worker"),
    at_evil(
        "hunt-for-secrets",
        """
        os = steal('os')
        return not os.environ and not steal('sys').argv
        """,
        HARMLESS,
    ),
    at_evil(
        "subclass-walk",
        """
        for each in object.__subclasses__():
            if each.__name__ == 'Popen': return 'found'
        return True
        """,
        HARMLESS,
    ),
    at_evil("inert-sys", "import sys\nreturn sys.modules", FAILS, r"^AttributeError"),
    at_evil("import-os", "import os", FAILS, r"^ImportError: .*not available"),
    at_evil("import-builtins", "import builtins", FAILS, r"^ImportError: .*not available"),
    at_evil("from-os", "from os import path", FAILS, r"^ImportError: .*not available"),
    at_evil("relative-import", "from . import frames", FAILS, r"^ImportError"),
    at_evil("import-by-exec", "exec('import os; os.listdir(\"/\")', {})", FAILS, REFUSED),
    at_evil(
        "import-machinery",
        "return steal('importlib').import_module('http.client')",
        FAILS,
        NOT_THERE,
    ),
    at_evil("input", "return input()", FAILS, r"^(PermissionError|EOFError|RuntimeError)"),
    at_evil("debugger", "breakpoint()", FAILS, r"."),
    at_evil("replace-builtins", "__builtins__.len = None\nreturn True", FAILS, r"lost its worker"),
    at_evil(
        "replace-utils",
        "real = utils.get_node_info\nutils.get_node_info = lambda r: real(r)\nreturn True",
        HARMLESS,
    ),
    at_evil(
        "trace-everything",
        """
        def trace(*_): raise SystemExit('traced')
        steal('sys').settrace(trace)
        return (lambda: True)()
        """,
        FAILS,
        r"^SystemExit: traced",
    ),
    at_evil(
        "broken-bytecode",
        """
        import types
        code = run.__code__.replace(co_code=b'\\x64\\xff' * 40, co_stacksize=1)
        return types.FunctionType(code, {})(1) if False else eval(code)
        """,
        FAILS,
        r".",
    ),
    whole("syntax-error", "def run(req:\n    return True\n", INVALID, r"syntax error.*line 1"),
    whole("no-run", "x = 1\n", INVALID, r"must define run"),
    whole("exit-while-loading", "raise SystemExit\n", INVALID, r"SystemExit"),
    whole("die-while-loading", "__import__('os', {})._exit(9)\n", INVALID, r"status 9"),
    whole("deep-nesting", f"x = {'(' * 20000}1{')' * 20000}\n", INVALID, r"too many nested|loaded"),
    whole("unary-minus", f"x = {'-' * 60000}1\ndef run(req): return True\n", INVALID, r"loaded"),
    whole("half-surrogate", "x = '\ud800'\ndef run(req): return True\n", INVALID, r"surrogate"),
    whole("nul", "def run(req): return True\n\0", INVALID, r"null|NUL"),
]

ANSWERS = [
    at_evil("none", "return None", FAILS, r"must return True or False, not NoneType"),
    at_evil("one", "return 1", FAILS, r"not int"),
    at_evil("text", "return 'True'", FAILS, r"not str"),
    whole(
        "coroutine",
        """
        import utils
        async def later(): return True
        def run(req):
            return True if utils.get_node_info(req).path != "/evil" else later()
        """,
        FAILS,
        r"not coroutine",
    ),
    at_evil(
        "odd-truth",
        """
        class Odd:
            def __bool__(self): raise SystemExit
            def __eq__(self, other): return True
        return Odd()
        """,
        FAILS,
        r"not Odd",
    ),
    at_evil(
        "long-type-name", "return type('X' * 100000, (), {})()", FAILS, r"^TypeError: .{200,300}$"
    ),
    at_evil("long-error", "raise ValueError('x' * 50_000_000)", FAILS, r"^ValueError: x{200,300}$"),
    at_evil(
        "hostile-error-text",
        """
        class Hostile(Exception):
            def __str__(self): raise SystemExit
        raise Hostile
        """,
        FAILS,
        r"cannot be shown",
    ),
    at_evil(
        "endless-error-text",
        """
        class Hostile(Exception):
            def __str__(self):
                while True: pass
        raise Hostile
        """,
        FAILS,
        r"cannot be shown",
    ),
    at_evil(
        "control-characters",
        r"raise ValueError('\x1b[2J\u202e\n\ud800')",
        FAILS,
        r"^ValueError: \\x1b\[2J\\u202e\\n\\ud800$",
    ),
    at_evil("keyboard-interrupt", "raise KeyboardInterrupt", FAILS, r"^KeyboardInterrupt"),
    at_evil("generator-exit", "raise GeneratorExit", FAILS, r"^GeneratorExit"),
    at_evil("stop-iteration", "raise StopIteration", FAILS, r"^StopIteration"),
    at_evil("print-flood", "while True: print('flood')", TIMES_OUT, SLOW),
    at_evil("huge-print", "print('x' * 50_000_000)\nreturn True", HARMLESS),
    at_evil("print-without-end", "print('x' * 10**7, end='')\nreturn True", HARMLESS),
]

CASES = [*FILES, *NETWORK, *PROCESSES, *MEMORY, *TIME, *FORGERIES, *INTERPRETER, *ANSWERS]
