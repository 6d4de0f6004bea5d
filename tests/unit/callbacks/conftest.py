import pytest

from longshore.callbacks import CallbackFilter, SandboxUnavailable, self_test

from .examples import QUICK, file


@pytest.fixture(scope="session")
def _sandbox_works() -> bool:
    return self_test(limits=QUICK).ok


@pytest.fixture
def sandbox(_sandbox_works: bool) -> None:
    """Let a test run where workers can be locked down; elsewhere make sure that nothing runs."""
    if not _sandbox_works:
        with pytest.raises(SandboxUnavailable):
            CallbackFilter("def run(r): return True", task_id=1, limits=QUICK).decide([file()])
        pytest.skip("this machine starts no workers, and so runs no scripts, as was just made sure")
