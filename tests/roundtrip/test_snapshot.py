"""Checkpoints of processes that go on (-R), taken from a copy of the memory or from the stopped process: the process
does not notice, and what is restored is the picture of one instant."""
import hashlib
import os
import signal

from harness import Failed, descendants, need_program, read, read_stat, wait_for
from test_victims import huge_pages


def end(program):
    """Ends a program and everything below it, until all pids are free again."""
    members = descendants(program.pid)
    for pid in members:
        os.kill(pid, signal.SIGKILL)
    program.kill()
    for pid in members:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # its parent had collected it
        wait_for(lambda: read_stat(pid) is None, f"pid {pid} to be reaped")


def live_trip(test, victim, mode, *dump, ignore=()):
    """Dump and go on, end the process, restore what was saved while it ran, let it check itself."""
    before = victim.snapshot()
    done = test.dump(victim, test.path("live"), "-R", f"--snapshot={mode}", "--json", *dump).ok()
    used = done.json()["statistics"]["snapshot"]
    if used != mode:
        raise Failed(f"the snapshot was {used}, not {mode}\n{done}")
    test.compare(before, victim.snapshot(), ignore)
    end(victim)
    test.restore_detached(victim, test.path("live"))
    test.compare_restored(before, victim.snapshot(), ignore)
    victim.verdict()


def trip(name, *arguments, dump=(), ignore=(), prepare=None):
    def run(test):
        if prepare:
            prepare()
        for mode in ("cow", "stop"):
            live_trip(test, test.victim(name, *arguments), mode, *dump, ignore=ignore)
    return run


CASES = {
    "simple": trip("simple"),
    "threads_100": trip("threads", "100"),
    "threads_500": trip("threads", "500"),
    "registers": trip("registers"),
    "signals": trip("signals"),
    "memory_kinds": trip("memory_kinds"),
    "memory_kinds_vm_readv": trip("memory_kinds", dump=("--transfer=vm-readv",)),
    "memory_advice": trip("memory_advice"),
    "memory_exotic": trip("memory_exotic"),
    "lock_future": trip("memory_lock_future"),
    "hugetlb": trip("hugetlb", prepare=huge_pages),
    "credentials_user": trip("credentials", "user"),
    "credentials_mixed": trip("credentials", "mixed"),
    "credentials_securebits": trip("credentials", "securebits"),
    "attributes": trip("attributes"),
    "open_files": trip("open_files"),
    "ghosts": trip("ghosts"),
    "pipes": trip("pipes"),
    "locks": trip("locks", dump=("--file-locks",)),
    "shm_files": trip("shm_files"),
    "everything": trip("everything"),
    "still_picture": trip("still_picture"),
    "untouched": trip("untouched"),
    "untouched_children": trip("untouched", "children"),
}


def test_goes_on_untouched(test):
    """A process that is copied twenty times and never restored has nothing to tell about it."""
    victim = test.victim("untouched")
    before = victim.snapshot()
    for _ in range(20):
        done = test.dump(victim, test.path("live"), "-R", "--snapshot=cow", "--json").ok()
        test.check(done.json()["statistics"]["snapshot"] == "cow", f"not cow: {done}")
        test.compare(before, victim.snapshot())
    victim.verdict()


def test_filters_fall_back(test):
    """Seccomp filters would judge the fork: the process stays stopped instead, with a warning."""
    victim = test.victim("seccomp")
    done = test.dump(victim, test.path("live"), "-R", "--snapshot=cow", "--json").ok()
    test.check(done.json()["statistics"]["snapshot"] == "stop", f"not stop: {done}")
    test.check("seccomp" in done.err, f"no warning: {done}")
    done = test.dump(victim, test.path("live"), "-R", "--json").ok()
    test.check("seccomp" not in done.err, f"a warning though nothing was asked for: {done}")
    victim.verdict()


def test_auto_chooses(test):
    """Small processes are written as fast as they could be copied; large ones are copied."""
    small = test.victim("simple")
    large = test.victim("untouched")
    for victim, mode in ((small, "stop"), (large, "cow")):
        done = test.dump(victim, test.path(mode), "-R", "--json").ok()
        test.check(done.json()["statistics"]["snapshot"] == mode, f"not {mode}: {done}")
    done = test.dump(large, test.path("end"), "-s", "--json").ok()
    test.check(done.json()["statistics"]["snapshot"] == "stop", f"a copy of what stays stopped: {done}")


def test_tree_at_one_instant(test):
    """Every task of a tree is copied, or written while frozen; the members' memory is that of one instant."""
    victim = test.victim("tree")
    live_trip(test, victim, "cow")


def survive_live(test, expected, *command):
    """Snapshots of a program at work; it is ended and goes on from the second of three."""
    program = test.program(*command, cwd=test.folder)
    for number in range(3):
        wait_for(lambda: os.path.exists(test.path(f"step{number}")), f"step {number}")
        done = test.dump(program, test.path(f"live{number}"), "-R", "--snapshot=cow", "--json").ok()
        test.check(done.json()["statistics"]["snapshot"] == "cow", f"not cow: {done}")
    program.kill()
    if os.path.exists(test.path("result")):
        os.unlink(test.path("result"))
    test.restore_detached(program, test.path("live1"))
    result = wait_for(lambda: read(test.path("result")), "the result", 60)
    test.check(result == expected, f"{result} instead of {expected}")


def test_python_with_a_growing_list(test):
    with open(test.path("job.py"), "w") as file:
        file.write("""
import hashlib, os, time
values = ["0"]
kept = []
for step in range(3):
    for _ in range(20000):
        values.append(hashlib.sha256(values[-1].encode()).hexdigest())
        kept.append({"of": values[-1], "number": len(values)})
    open(f"step{step}", "w").close()
    time.sleep(0.2)
end = hashlib.sha256("".join(values + [entry["of"] for entry in kept]).encode()).hexdigest()
with open("draft", "w") as file: file.write(end)
os.rename("draft", "result")
""")
    values = ["0"]
    for _ in range(60000):
        values.append(hashlib.sha256(values[-1].encode()).hexdigest())
    expected = hashlib.sha256("".join(values + values[1:]).encode()).hexdigest()
    survive_live(test, expected, "python3", "job.py")


def test_node_with_buffers(test):
    need_program("node")
    with open(test.path("job.js"), "w") as file:
        file.write("""
const crypto = require('crypto'); const fs = require('fs');
const kept = []; let step = 0, value = '0';
function work() {
  for (let i = 0; i < 2000; i++) {
    value = crypto.createHash('sha256').update(value).digest('hex');
    kept.push(Buffer.alloc(2048, value));
  }
  fs.writeFileSync('step' + step, '');
  if (++step < 3) return setTimeout(work, 200);
  const end = crypto.createHash('sha256');
  for (const buffer of kept) end.update(buffer);
  fs.writeFileSync('draft', end.digest('hex'));
  fs.renameSync('draft', 'result');
}
work();
""")
    value, end = "0", hashlib.sha256()
    for _ in range(6000):
        value = hashlib.sha256(value.encode()).hexdigest()
        end.update((value * 32).encode())
    survive_live(test, end.hexdigest(), "node", "job.js")
