"""--freeze-cgroup: the freezer of a control group, version 1 and 2."""
import os
import signal
import subprocess

from harness import Skip, descendants, read, wait_for

V1 = "/sys/fs/cgroup/freezer"
V2 = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")


class Group:
    """A control group of the test's own."""

    def __init__(self, version):
        self.version = version
        parents = [V1] if version == 1 else [path for path in V2 if os.path.exists(f"{path}/cgroup.controllers")]
        if not parents or not os.path.isdir(parents[0]):
            raise Skip(f"no control groups of version {version} here")
        self.path = f"{parents[0]}/cryostat-test-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            os.mkdir(self.path)
        except OSError as error:
            raise Skip(f"no control group can be made: {error}")
        self.file = f"{self.path}/" + ("freezer.state" if version == 1 else "cgroup.freeze")
        if not os.path.exists(self.file):
            raise Skip("this kernel has no freezer of that version")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.freeze(False)
        for pid in self.members():
            os.kill(pid, signal.SIGKILL)
        wait_for(self.remove, "the control group to be empty")

    def remove(self):
        while True:  # what was left to us
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                break
        try:
            os.rmdir(self.path)
        except OSError:
            return False
        return True

    def members(self):
        return [int(pid) for pid in read(f"{self.path}/cgroup.procs").split()]

    def add(self, *pids):
        for pid in pids:
            try:
                with open(f"{self.path}/cgroup.procs", "w") as file:
                    file.write(str(pid))
            except ProcessLookupError:
                pass

    def freeze(self, frozen):
        with open(self.file, "w") as file:
            file.write(("FROZEN" if frozen else "THAWED") if self.version == 1 else str(int(frozen)))
        if frozen:
            wait_for(self.frozen, "the control group to be frozen")

    def frozen(self):
        if self.version == 1:
            return read(self.file).strip() == "FROZEN"
        return "frozen 1" in read(f"{self.path}/cgroup.events")

    def asked(self):
        return read(self.file).strip() in ("FROZEN", "FREEZING", "1")


def both(body):
    return {f"v{version}_{body.__name__}": (lambda test, version=version: body(test, Group(version)))
            for version in (1, 2)}


def tree(test, group):
    """A tree with a stopped child and a zombie."""
    with group:
        victim = test.victim("tree")
        group.add(victim.pid, *descendants(victim.pid))
        before = victim.snapshot()
        test.dump(victim, test.path("running"), "-R", "--freeze-cgroup", group.path).ok()
        test.check(not group.asked(), "the group is still frozen")
        test.compare(before, victim.snapshot())
        test.tool("cr-pre-dump", "--no-default-config", "-t", victim.pid, "-D", test.path("pre"), "--freeze-cgroup",
                  group.path).ok()
        test.check(not group.asked(), "the group is still frozen")
        test.dump_and_end(victim, test.path("images"), "--freeze-cgroup", group.path)
        test.check(not group.asked(), "the group is still frozen")
        test.restore_detached(victim, test.path("images"))
        test.compare_restored(before, victim.snapshot())
        victim.verdict()


def storm(test, group):
    """Processes that come and go."""
    with group:
        victim = test.victim("fork_storm")
        wait_for(lambda: group.add(victim.pid, *descendants(victim.pid)) or
                 set(descendants(victim.pid)) <= set(group.members()), "all to be in the group")
        for number in range(3):
            test.dump(victim, test.path(f"images{number}"), "-R", "--freeze-cgroup", group.path).ok()
            test.check(not group.asked(), "the group is still frozen")
        victim.verdict()


def already_frozen(test, group):
    """It stays so, whatever becomes of the dump."""
    with group:
        victim = test.victim("threads")
        group.add(victim.pid)
        group.freeze(True)
        test.dump(victim, test.path("running"), "-R", "--freeze-cgroup", group.path).ok()
        test.check(group.asked(), "the group was thawed")
        wait_for(group.frozen, "the group to be frozen again")
        # Refused: nothing is changed.
        test.dump(victim, test.path("none"), "-R", "--timeout", "0.000001", "--freeze-cgroup", group.path).failed(1)
        wait_for(group.frozen, "the group to be frozen again")
        group.freeze(False)
        victim.verdict()


def killed_front(test, group):
    """The front is killed while the tree is held: the worker puts all back."""
    for frozen in (False, True):
        with Group(group.version) if frozen else group as own:
            victim = test.victim("threads")
            own.add(victim.pid)
            if frozen:
                own.freeze(True)
            reached = test.path(f"reached{frozen}")
            script = test.path("script.sh")
            with open(script, "w") as file:
                file.write(f"#!/bin/sh\n[ $CRTOOLS_SCRIPT_ACTION = post-dump ] || exit 0\n: > {reached}\nexec sleep 60\n")
            os.chmod(script, 0o700)
            front = subprocess.Popen([test.tool_path("cr-dump"), "--no-default-config", "-t", str(victim.pid), "-D",
                                      test.path(f"killed{frozen}"), "--freeze-cgroup", own.path, "--action-script", script],
                                     stderr=subprocess.DEVNULL)
            wait_for(lambda: os.path.exists(reached), "the script")
            test.check(not own.asked(), "thawed, while the tree is held")
            front.kill()
            front.wait()
            wait_for(lambda: "TracerPid:\t0\n" in read(f"/proc/{victim.pid}/status"), "the worker to let go")
            if frozen:
                wait_for(own.frozen, "the group to be frozen again")
                own.freeze(False)
            test.check(not own.asked(), "the group is frozen")
            victim.verdict()


def test_no_group(test):
    victim = test.victim("simple")
    test.dump(victim, test.path("a"), "--freeze-cgroup", test.folder).failed(2, "freezer.state", "cgroup.freeze")
    test.dump(victim, test.path("a"), "--freeze-cgroup", test.path("missing")).failed(2, "missing")
    for version in (1, 2):
        with Group(version) as group:
            group.add(os.getpid())
            try:
                test.dump(victim, test.path("a"), "--freeze-cgroup", group.path).failed(3, "cr-dump itself")
            finally:
                with open(os.path.join(os.path.dirname(group.path), "cgroup.procs"), "w") as file:
                    file.write(str(os.getpid()))
    victim.verdict()


CASES = {**both(tree), **both(storm), **both(already_frozen), **both(killed_front)}
