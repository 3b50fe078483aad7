"""A tool that is killed or interrupted at any moment leaves the target, or nothing, as it was."""
import os
import random
import signal
import subprocess
import time

import snapshot
from harness import WAIT_SECONDS, alive, descendants, read, read_stat, seconds, wait_for


def workers():
    """Pids of everything of ours that still runs."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and (read_comm(name).startswith("cr-")):
            if alive(int(name)):
                found.append(int(name))
    return found


def read_comm(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def complete(images):
    return os.path.exists(os.path.join(images, "manifest.img"))


def start_dump(test, victim, images, *arguments):
    return subprocess.Popen([test.tool_path("cr-dump"), "--no-default-config", "-t", str(victim.pid), "-D", images,
                             *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)


def start_restore(test, images):
    return subprocess.Popen([test.tool_path("cr-restore"), "--no-default-config", "-D", images, "-d"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def duration(test, victim, images, *options):
    """How long an undisturbed dump takes."""
    began = time.monotonic()
    test.dump(victim, images, "-R", *options).ok()
    return time.monotonic() - began


def settled(pid):
    """The process is gone, or it runs untraced and no SIGKILL is under way to it."""
    status = read(f"/proc/{pid}/status", "") if alive(pid) else ""
    pending = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd:", "ShdPnd:"))]
    return not alive(pid) or (bool(pending) and "\nTracerPid:\t0\n" in status and not any(mask & 0x100 for mask in pending))


def snapshot_if_alive(victim):
    """None when it is gone, or goes meanwhile: a SIGKILL that was taken shows nowhere before the end."""
    try:
        taken = victim.snapshot() if alive(victim.pid) else None
    except (FileNotFoundError, ProcessLookupError):
        wait_for(lambda: not alive(victim.pid), f"{victim.pid} to end as its files in /proc did")
        return None
    return taken if alive(victim.pid) else None


def rolled_back(victim):
    wait_for(lambda: not workers(), "the worker to roll back")
    for pid in [victim.pid, *descendants(victim.pid)]:
        wait_for(lambda: "\nTracerPid:\t0\n" in read(f"/proc/{pid}/status", ""), f"the tracer to let go of {pid}")


def kill_dumps(test, name, rounds, choose, arguments=(), options=()):
    """Dumps with -R; at a random moment choose(process) is killed or interrupted."""
    victim = test.victim(name, *arguments)
    images = test.path("images")
    span = duration(test, victim, images, *options)
    before = victim.snapshot()
    tree = test.tree(victim.pid)
    members = copies_of(victim)
    order = random.Random(4)
    whole = 0
    for number in range(rounds):
        process = start_dump(test, victim, images, "-R", *options)
        time.sleep(order.uniform(0, span * 1.1))
        choose(process)
        _, err = process.communicate(timeout=WAIT_SECONDS)
        rolled_back(victim)
        wait_for(lambda: copies_of(victim) == members, f"round {number}: a copy of the memory to end")
        test.check(test.tree(victim.pid) == tree, f"round {number}: tree {test.tree(victim.pid)}, was {tree}")
        whole += complete(images)
        lines = snapshot.differences(before, victim.snapshot())
        test.check(not lines, f"round {number}: not as before:\n  " + "\n  ".join(lines) + err.decode())
    print(f"{whole} of {rounds} dumps were complete")
    test.dump(victim, images, "-R").ok()
    victim.verdict()


@seconds(400)
def test_kill_the_front(test):
    kill_dumps(test, "everything", 500 if test.full else 40, lambda process: process.kill())


@seconds(400)
def test_kill_the_front_of_many_threads(test):
    kill_dumps(test, "threads", 100 if test.full else 10, lambda process: process.kill(), ("100",))


@seconds(400)
def test_kill_the_front_of_a_tree(test):
    kill_dumps(test, "tree", 300 if test.full else 20, lambda process: process.kill())


def test_interrupt(test):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        kill_dumps(test, "everything", 30 if test.full else 5, lambda process: process.send_signal(number))


@seconds(400)
def test_kill_a_snapshot(test):
    """No copy of the memory is left, wherever in the fork, its adoption or its writing the front is killed."""
    kill_dumps(test, "untouched", 200 if test.full else 40, lambda process: process.kill(),
               options=("--snapshot=cow",))


@seconds(400)
def test_kill_the_worker_of_a_snapshot(test):
    """The kernel ends the copy when the worker is killed; the process runs on and has nothing to tell of it."""
    victim = test.victim("untouched")
    images = test.path("images")
    span = duration(test, victim, images, "--snapshot=cow")
    before = victim.snapshot()
    order = random.Random(7)
    for number in range(200 if test.full else 40):
        process = start_dump(test, victim, images, "-R", "--snapshot=cow")
        time.sleep(order.uniform(0, span * 1.1))
        kill_worker(process)
        process.communicate(timeout=WAIT_SECONDS)
        rolled_back(victim)
        wait_for(lambda: not copies_of(victim), f"round {number}: the copy to end")
        # The parasite's area may stay behind when the worker dies at an unlucky moment (docs/target-safety.md).
        lines = differences_after_self_cure(victim, before)
        test.check(not lines, f"round {number}: not as before:\n  " + "\n  ".join(lines))
    victim.verdict()


def differences_after_self_cure(victim, before):
    """What stays different when the parasite, whose engine is dead, had the time to find that out."""
    lines = []

    def cured():
        lines[:] = snapshot.differences(before, victim.snapshot(), ("maps",))
        return not lines

    end = time.monotonic() + WAIT_SECONDS
    while not cured() and time.monotonic() < end:
        time.sleep(0.002)
    return lines


def copies_of(victim):
    """Other processes of the victim's program, zombies included."""
    name = read(f"/proc/{victim.pid}/comm")
    pids = [int(pid) for pid in os.listdir("/proc") if pid.isdigit()]
    return [pid for pid in pids if pid != victim.pid and read(f"/proc/{pid}/comm") == name]


def kill_worker(process):
    """The worker is the front's child; true when there was one."""
    children = read(f"/proc/{process.pid}/task/{process.pid}/children", "").split()
    for child in children:
        try:
            os.kill(int(child), signal.SIGKILL)
        except ProcessLookupError:
            pass
    return bool(children)


def test_killed_worker_is_told(test):
    """Nobody is left to roll back then (only the kernel or an administrator does this); the front says so."""
    victim = test.victim("simple")
    told = 0
    for _ in range(10):
        process = start_dump(test, victim, test.path("images"), "-R")
        wait_for(lambda: process.poll() is not None or kill_worker(process), "the worker")
        _, err = process.communicate(timeout=WAIT_SECONDS)
        told += process.returncode == 1 and b"was killed by SIGKILL" in err
        victim.kill()
        victim = test.victim("simple")
    test.check(told > 0, "the front never said that its worker was killed")


@seconds(300)
def test_kill_a_dump_that_ends_the_target(test):
    """Either the target lives on, or its checkpoint is complete and restores."""
    victim = test.victim("everything")
    images = test.path("images")
    span = duration(test, victim, images)
    before = victim.snapshot()
    compare = snapshot.differences
    order = random.Random(5)
    for number in range(100 if test.full else 15):
        process = start_dump(test, victim, images)
        time.sleep(order.uniform(0, span * 1.1))
        process.kill()
        process.communicate()
        wait_for(lambda: not workers(), "the worker to end")
        if alive(victim.pid):
            rolled_back(victim)
        else:
            test.check(complete(images), f"round {number}: the target is gone, and so is its checkpoint")
            victim.reap()
            wait_for(lambda: read_stat(victim.pid) is None, "the reaping")
            test.restore_detached(victim, images)
            compare = snapshot.restored_differences
        lines = compare(before, victim.snapshot())
        test.check(not lines, f"round {number}: not as before:\n  " + "\n  ".join(lines))
    victim.verdict()


def test_dumps_between_execs(test):
    """The thread that calls execve waits for the others to be collected: by us, once they are traced."""
    victim = test.victim("execs")
    images = test.path("images")
    for number in range(60 if test.full else 20):
        test.dump(victim, images, "-R", "--timeout", "5").ok()
    test.dump_and_end(victim, images)
    test.restore_detached(victim, images)
    victim.verdict()


def test_two_dumps_into_one_folder(test):
    """One of them has the folder; whatever succeeds is whole, and the other is told why."""
    first, second = test.victim("everything"), test.victim("simple")
    images = test.path("images")
    for number in range(20):
        dumps = [start_dump(test, victim, images, "-R") for victim in (first, second)]
        done = [(process.communicate(timeout=30)[1].decode(), process.returncode) for process in dumps]
        for err, status in done:
            test.check(status == 0 or "another dump is writing to" in err or "No such file" in err, err)
        if any(status == 0 for _, status in done):
            test.tool("cr-inspect", "-D", images, "verify").ok()
    first.verdict()
    second.verdict()


def kill_restores(test, name, rounds):
    """A killed restore leaves nothing of the tree, or the whole of it."""
    victim = test.victim(name)
    images = test.path("images")
    before = victim.snapshot()
    tree = test.tree(victim.pid)
    test.dump_and_end(victim, images)
    began = time.monotonic()
    test.restore_detached(victim, images)
    span = time.monotonic() - began
    test.kill_tree(victim)
    order = random.Random(6)
    mounts = read("/proc/self/mountinfo")
    listing = sorted(os.listdir(victim.folder))
    for number in range(rounds):
        process = start_restore(test, images)
        time.sleep(order.uniform(0, span))
        process.send_signal(signal.SIGKILL if number % 3 else signal.SIGINT)
        process.communicate()
        wait_for(lambda: not workers(), "the restore to end")
        for pid in tree:
            wait_for(lambda: settled(pid), f"the kernel to have done its part with {pid}")
        after = snapshot_if_alive(victim)
        if after is not None:
            lines = snapshot.restored_differences(before, after)
            test.check(not lines, f"round {number}: half restored:\n  " + "\n  ".join(lines))
            now = test.tree(victim.pid)
            test.check(now.keys() == tree.keys(), f"round {number}: tree {now}, was {tree}")
        test.kill_tree(victim, tree)
    test.check(read("/proc/self/mountinfo") == mounts, "mounts left behind")
    left = sorted(set(os.listdir(victim.folder)) - set(listing))
    test.check(not left, f"files left behind: {left}")
    test.restore_detached(victim, images)
    victim.verdict()


@seconds(300)
def test_kill_restores(test):
    kill_restores(test, "everything", 200 if test.full else 30)


@seconds(400)
def test_kill_restores_of_a_tree(test):
    kill_restores(test, "tree", 300 if test.full else 20)
