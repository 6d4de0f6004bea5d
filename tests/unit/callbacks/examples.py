"""Files and limits that the tests of the sandbox share."""

from longshore.callbacks import FileInfo, Limits

QUICK = Limits(
    soft_timeout_seconds=0.4, hard_timeout_seconds=1.2, max_deaths=3, budget_slack_seconds=20.0
)


def file(
    path: bytes = b"/file",
    *,
    mode: int = 0o100644,
    uid: int = 1000,
    gid: int = 1000,
    size: int = 0,
    atime: int = 0,
    mtime: int = 0,
    metadata: dict[str, str] | None = None,
) -> FileInfo:
    """Return a file whose times are given in whole seconds."""
    return FileInfo(
        path=path,
        mode=mode,
        uid=uid,
        gid=gid,
        size=size,
        atime_ns=atime * 10**9,
        mtime_ns=mtime * 10**9,
        ctime_ns=mtime * 10**9,
        metadata=metadata or {},
    )
