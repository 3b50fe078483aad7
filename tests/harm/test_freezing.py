"""Trees that are hard to freeze, or can't be: they go on as they were."""
import os

from harness import descendants, read, wait_for


def tracers(pids):
    return [line for pid in pids for line in (read(f"/proc/{pid}/status") or "").splitlines()
            if line.startswith("TracerPid:") and line.split()[1] != "0"]


def test_fork_storm(test):
    """Processes and threads that come and go: dumped while they run on, then dumped, ended and restored."""
    victim = test.victim("fork_storm")
    for number in range(3):
        done = test.dump(victim, test.path(f"images{number}"), "-R")
        if done.status != 0:
            done.failed(1, "timed out freezing")
        test.check(not tracers([victim.pid, *descendants(victim.pid)]), "somebody is still traced")
    for number in range(2):
        images = test.path(f"ended{number}")
        test.dump_and_end(victim, images)
        test.restore_detached(victim, images)
    victim.verdict()


def test_no_time(test):
    """A time limit that nobody can keep."""
    victim = test.victim("fork_storm")
    for number in range(8):
        test.dump(victim, test.path(f"images{number}"), "-R", "--timeout", "0.000001").failed(1, "timed out")
        test.check(not os.path.exists(test.path(f"images{number}")), "a folder was left behind")
        test.check(not tracers([victim.pid, *descendants(victim.pid)]), "somebody is still traced")
    victim.verdict()


def test_vfork(test):
    """Who waits in vfork(2) can't be stopped: refused by name in time, nothing happens to anybody."""
    victim = test.victim("vfork_parent")
    before = victim.snapshot()
    parent, = descendants(victim.pid)[:1]
    test.dump(victim, test.path("images"), "-R", "--timeout", "0.5").failed(3, f"pid {parent}", "vfork(2)")
    test.compare(before, victim.snapshot())
    test.check(not tracers([victim.pid, *descendants(victim.pid)]), "somebody is still traced")
    wait_for(lambda: len(descendants(victim.pid)) == 2, "both to be there")
    victim.verdict()

