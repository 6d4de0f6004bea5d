"""What runs inside a mover process: orders come in on one descriptor, replies go out on another.

A mover never outlives its controller: the kernel kills it when the controller ends. While it
lives it holds a shared lock on `movers.lock`, by which the next controller knows that no mover of
an earlier one is still writing.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from longshore import faults
from longshore.engine.executors import frames
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.replies import Reply

LOCK_FILE = "movers.lock"
HELLO = b"ready"
PIPE_BYTES = 1 << 20  # what Linux grants every user; a batch of 1,000 files takes about 200 KiB

_PR_SET_PDEATHSIG = 1


def serve_orders(data_dir: Path, controller_pid: int, mover: Callable[[WorkOrder], Reply]) -> None:
    """Work until the stream of orders ends."""
    requests, replies = _take_over_standard_streams()
    _end_with_controller(controller_pid)
    _raise_descriptor_limit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the server decides what to do
    lock = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_SH)
    decoder = msgspec.msgpack.Decoder(WorkOrder)
    gc.freeze()
    frames.send_blocking(replies, HELLO)
    while (request := frames.receive_blocking(requests)) is not None:
        order = decoder.decode(request)
        kind = order.kind.name.encode()
        faults.at("mover.order", kind)
        reply = msgspec.msgpack.encode(mover(order))
        faults.at("mover.reply", kind)
        frames.send_blocking(replies, reply)
        faults.at("mover.replied", kind)
    os.close(lock)


def _take_over_standard_streams() -> tuple[int, int]:
    """Private descriptors of the streams; what anybody prints goes to standard error."""
    requests, replies = os.dup(0), os.dup(1)
    for descriptor in (requests, replies):
        # Whole messages fit, so that nobody is woken up for a piece of one. Sockets have no such
        # size, and a user's share of pipe memory may be used up: then it stays as it is.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, replies


def _end_with_controller(controller_pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != controller_pid:
        raise SystemExit("the controller ended before its mover had started")


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
