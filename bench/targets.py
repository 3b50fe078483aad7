"""The programs that are dumped, and waiting for them."""
import os
import signal
import struct
import subprocess
import time

WAIT_SECONDS = 120


class Failed(Exception):
    """A command or a target that did not do what it should."""


def wait_for(condition, what):
    """Polls `condition` until it gives something true; returns that."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.002)
    raise Failed(f"waited {WAIT_SECONDS} s for {what}")


class Target:
    """The program that is dumped (programs/ticker.cc)."""

    TICKS, GAP, REQUEST, ANSWER, HASH, WRITE_BYTES, WRITE_REQUEST, WRITE_ANSWER = (8 * i for i in range(8))

    def __init__(self, bench, threads, memory_bytes):
        ready = os.path.join(bench.work, "ready")
        if os.path.exists(ready):
            os.unlink(ready)
        subprocess.Popen(
            [bench.program("ticker"), ready, str(threads), str(memory_bytes)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, close_fds=True)

        def line():
            try:
                with open(ready, encoding="ascii") as file:
                    text = file.read()
            except FileNotFoundError:
                return None
            return text if text.endswith("\n") else None
        pid, address = wait_for(line, "the target to be ready").split()
        self.pid = int(pid)
        self.address = int(address, 16)

    def word(self, offset):
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            return struct.unpack("<Q", os.pread(memory.fileno(), 8, self.address + offset))[0]

    def set_word(self, offset, value):
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
            os.pwrite(memory.fileno(), struct.pack("<Q", value), self.address + offset)

    def wait_ticking(self):
        start = self.word(self.TICKS)
        wait_for(lambda: self.word(self.TICKS) > start + 50, "the target to run")

    def hash(self):
        request = self.word(self.REQUEST) + 1
        self.set_word(self.REQUEST, request)
        wait_for(lambda: self.word(self.ANSWER) == request, "the target's hash")
        return self.word(self.HASH)

    def write(self, bytes_):
        """Has it write to so many bytes of its memory, in pages evenly spread."""
        self.set_word(self.WRITE_BYTES, bytes_)
        request = self.word(self.WRITE_REQUEST) + 1
        self.set_word(self.WRITE_REQUEST, request)
        wait_for(lambda: self.word(self.WRITE_ANSWER) == request, "the target to write")

    def wait_gone(self):
        def gone():
            reap()
            return not os.path.exists(f"/proc/{self.pid}")
        wait_for(gone, f"pid {self.pid} to be gone")

    def end(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait_gone()


class Sleepers:
    """A program that sleeps: programs/family.cc (a tree) or programs/descriptors.cc."""

    def __init__(self, bench, program, *arguments):
        self.ready = os.path.join(bench.work, "ready")
        if os.path.exists(self.ready):
            os.unlink(self.ready)
        subprocess.Popen([bench.program(program), self.ready, *map(str, arguments)], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, close_fds=True)
        self.pid = int(wait_for(self.line, "the target to be ready").split()[0])

    def line(self):
        try:
            with open(self.ready, encoding="ascii") as file:
                text = file.read()
        except FileNotFoundError:
            return None
        return text if text.endswith("\n") else None

    def members(self):
        """Pids of the tree, the root first."""
        found = [self.pid]
        for pid in found:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
        return found

    def proportional_bytes(self):
        total = 0
        for pid in self.members():
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
        return total

    @staticmethod
    def wait_gone(pids):
        def gone():
            reap()
            return not any(os.path.exists(f"/proc/{pid}") for pid in pids)
        wait_for(gone, "the tree to be gone")

    def end(self):
        if not os.path.exists(f"/proc/{self.pid}"):
            return
        members = self.members()
        for pid in members:
            os.kill(pid, signal.SIGKILL)
        self.wait_gone(members)


def reap():
    """Collects every child that has ended: this is the init of its namespace."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass
