"""What becomes of the target, and how cr-restore stays or goes."""
import json
import os
import signal
import subprocess
import time

from harness import PATIENCE, Failed, alive, read, read_stat, wait_for, wait_gone


def test_leave_running(test):
    victim = test.victim("threads")
    before = victim.snapshot()
    test.dump(victim, test.path("images"), "-R").ok()
    test.compare(before, victim.snapshot())
    victim.verdict()


def test_leave_stopped(test):
    victim = test.victim("simple")
    test.dump(victim, test.path("images"), "-s").ok()
    wait_for(lambda: read_stat(victim.pid) == "T", "the stop")
    os.kill(victim.pid, signal.SIGCONT)
    wait_for(lambda: read_stat(victim.pid) in "RS", "the continuation")
    victim.verdict()


def test_ends_by_default(test):
    victim = test.victim("simple")
    test.dump_and_end(victim, test.path("images"))
    test.check(victim.result() is None, "it wrote a verdict")


def test_restore_leave_stopped(test):
    victim = test.victim("threads")
    test.dump_and_end(victim, test.path("images"))
    test.restore(test.path("images"), "-d", "-s").ok()
    wait_for(lambda: read_stat(victim.pid) == "T", "the stop")
    os.kill(victim.pid, signal.SIGCONT)
    victim.verdict()


def test_detached_is_child_of_init(test):
    victim = test.victim("simple")
    test.dump_and_end(victim, test.path("images"))
    test.restore(test.path("images"), "--restore-detached", "--pidfile", test.path("pid")).ok()
    test.check(read(test.path("pid")).strip() == str(victim.pid), "pidfile")
    wait_for(lambda: "\nPPid:\t1\n" in read(f"/proc/{victim.pid}/status", ""), "init as the parent")
    victim.verdict()


def test_sibling(test):
    """With --restore-sibling the process is a child of whoever started cr-restore."""
    victim = test.victim("simple")
    test.dump_and_end(victim, test.path("images"))
    test.restore(test.path("images"), "-d", "-S").ok()
    test.check(f"\nPPid:\t{os.getpid()}\n" in read(f"/proc/{victim.pid}/status"), "we are the parent")
    victim.go()
    pid, status = os.waitpid(victim.pid, 0)
    test.check(pid == victim.pid and os.waitstatus_to_exitcode(status) == 0, f"status {status}")


def start_restore(test, images):
    return test.start(test.tool_path("cr-restore"), "--no-default-config", "-D", images, output=test.path("restore.log"))


def released(pid, name):
    """The process runs again. It is untraced before cr-restore seizes it too, but has not its name then."""
    status = read(f"/proc/{pid}/status", "")
    return status.startswith(f"Name:\t{name}\n") and "\nTracerPid:\t0\n" in status


def test_attached_exit_status(test):
    """Without -d cr-restore is the parent and ends as the child does."""
    for way, expected in (("go", 0), (signal.SIGTERM, 128 + signal.SIGTERM)):
        victim = test.victim("simple")
        images = test.path(f"images{expected}")
        test.dump_and_end(victim, images)
        restore = start_restore(test, images)
        wait_for(lambda: alive(victim.pid), "the restored process")
        test.check(f"\nPPid:\t{restore.pid}\n" in read(f"/proc/{victim.pid}/status"), "cr-restore is the parent")
        if way == "go":
            victim.go()
        else:
            wait_for(lambda: released(victim.pid, "simple"), "the release")
            os.kill(victim.pid, way)
        status = restore.wait(timeout=20)
        test.check(status == expected, f"exit {status}, expected {expected}: {read(test.path('restore.log'))}")


def all_stopped(pid):
    """Every thread has come to its stop, which is a moment after the first one's."""
    return all(f.split(")")[1].split()[0] == "T" for f in
               (read(f"/proc/{pid}/task/{tid}/stat") for tid in os.listdir(f"/proc/{pid}/task")))


def test_job_control_stop(test):
    """A process that was stopped stays stopped through everything, until SIGCONT."""
    victim = test.victim("threads")
    os.kill(victim.pid, signal.SIGSTOP)
    wait_for(lambda: all_stopped(victim.pid), "the stop")
    before = victim.snapshot()
    test.dump(victim, test.path("running"), "-R").ok()
    wait_for(lambda: all_stopped(victim.pid), "the stop after the dump")
    test.compare(before, victim.snapshot())
    test.dump_and_end(victim, test.path("images"))
    test.restore(test.path("images"), "-d").ok()
    wait_for(lambda: all_stopped(victim.pid), "the stop after the restore")
    test.compare_restored(before, victim.snapshot())
    os.kill(victim.pid, signal.SIGCONT)
    victim.verdict()


def test_json_and_trace(test):
    victim = test.victim("simple")
    done = test.dump(victim, test.path("images"), "-R", "--json", "--trace", test.path("dump.json")).ok()
    test.check(len(done.out.strip().splitlines()) == 1, done.out)
    result = done.json()
    test.check(result["ok"], done.out)
    trace = json.loads(read(test.path("dump.json")))
    events = trace["traceEvents"] if isinstance(trace, dict) else trace
    test.check(events, "no spans")
    victim.kill()
    done = test.restore(test.path("images"), "-d", "--json", "--trace", test.path("restore.json")).ok()
    test.check(done.json()["ok"], done.out)
    json.loads(read(test.path("restore.json")))
    victim.verdict()


def test_cr_front(test):
    """cr ACTION is cr-ACTION."""
    victim = test.victim("simple")
    images = test.path("images")
    test.tool("cr", "dump", "-t", victim.pid, "-D", images).ok()
    victim.reap()
    test.tool("cr", "restore", "-D", images, "-d").ok()
    victim.verdict()


def test_dry_runs(test):
    victim = test.victim("threads")
    before = victim.snapshot()
    test.dump(victim, test.path("none"), "--dry-run").ok()
    test.check(not os.path.exists(os.path.join(test.path("none"), "manifest.img")), "a dry run wrote a checkpoint")
    test.compare(before, victim.snapshot())
    test.dump_and_end(victim, test.path("images"))
    test.restore(test.path("images"), "--dry-run").ok()
    test.check(not victim.alive(), "a dry run created a process")
    test.restore_detached(victim, test.path("images"))
    victim.verdict()


def test_relative_images_folder(test):
    victim = test.victim("simple")
    test.tool("cr-dump", "-t", victim.pid, "-D", "here", cwd=test.folder).ok()
    victim.reap()
    test.tool("cr-restore", "-D", "here", "-d", cwd=test.folder).ok()
    victim.verdict()


def test_dump_over_an_old_checkpoint(test):
    victim = test.victim("simple")
    for _ in range(2):
        test.dump_and_end(victim, test.path("images"))
        test.restore_detached(victim, test.path("images"))
    victim.verdict()


SLEEPS = ("nanosleep", "nanosleep with remainder", "clock_nanosleep", "absolute clock_nanosleep", "poll", "futex")


def sleep_through(test, freezes):
    """Freezes the sleepers (3 s each) at the given moments, each time for 0.7 s and what the tools take; when each sleep
    ended, in seconds of the victim's own running time, and how long it did not run."""
    victim = test.victim("restarts")
    lost = 0.0
    began = time.monotonic()
    for number, moment in enumerate(freezes):
        time.sleep(max(0.0, moment - (time.monotonic() - began - lost)))
        frozen = time.monotonic()
        test.dump_and_end(victim, test.path(f"images{number}"))
        time.sleep(0.7)
        test.restore_detached(victim, test.path(f"images{number}"))
        lost += time.monotonic() - frozen
    ended = {}
    while len(ended) < len(SLEEPS) and time.monotonic() < began + lost + 10:
        for number, name in enumerate(SLEEPS):
            if name not in ended and not os.path.exists(f"/proc/{victim.pid}/task/{victim.pid + 1 + number}"):
                ended[name] = time.monotonic() - began - lost
        time.sleep(0.005)
    victim.verdict()
    return ended, lost


def check_ends(ended, lost, low, high):
    """Relative sleeps between low and high; the absolute one does not know of the time in the checkpoint."""
    for name in SLEEPS:
        least, most = (2.7 - lost, 3.4 - lost) if name.startswith("absolute") else (low, high)
        # A slow tool takes its time before the freeze and after the release too.
        slack = 0.1 * (PATIENCE - 1)
        if not least - slack < ended.get(name, 99) < most + slack:
            raise Failed(f"{name} ended after {ended.get(name)} s: {ended}, frozen for {lost} s")


def test_time_left(test):
    """Relative sleeps go on with the time that was left; time in the checkpoint counts for absolute ones only."""
    check_ends(*sleep_through(test, [1.0]), 2.7, 3.4)


def test_time_left_twice(test):
    """A second time it can't be told when the sleep began: it may be longer then, never shorter."""
    check_ends(*sleep_through(test, [1.0, 1.5]), 2.6, 4.9)
