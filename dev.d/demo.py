#!/usr/bin/env python3
"""Dumps a running Python job, restores it twice, and shows that both copies print the same numbers.

usage: demo.py FOLDER_OF_THE_TOOLS
Everything happens on pseudo-terminals of its own, as it would in terminals of a user.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
JOB = HERE / "simple_job.py"
NUMBER = re.compile(r"0\.\d{12}")
NUMBERS_COMPARED = 4
PATIENCE_SECONDS = 30


class Failed(Exception):
    pass


def be_shell(argv):
    """Runs argv as a shell would: a job in a process group of its own, in the foreground."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.closerange(3, 4096)  # whatever started the demo may have left pipes open
        os.execvp(argv[0], argv)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xff)


class Terminal:
    """A command in a terminal, and what it printed."""

    def __init__(self, argv):
        self.text = ""
        self.shell, self.fd = pty.fork()
        if self.shell == 0:
            try:
                be_shell(argv)
            finally:
                os._exit(127)

    def numbers(self):
        return NUMBER.findall(self.text)

    def read_until(self, done, what):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done(self):
            if time.monotonic() > deadline:
                raise Failed(f"waited {PATIENCE_SECONDS} s for {what}; it printed:\n{self.text}")
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    data = b""
                if not data:
                    if done(self):
                        return
                    raise Failed(f"it ended before {what}; it printed:\n{self.text}")
                self.text += data.decode(errors="replace")

    def press_ctrl_c(self):
        os.write(self.fd, b"\x03")

    def close(self):
        """Waits for the command to end and returns its exit status."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            # Read on, so that nobody is held up by a full terminal.
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.shell, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        os.close(self.fd)
        raise Failed("the job did not end on Ctrl-C")


def show(title, numbers):
    print(f"{title:<44}{'  '.join(numbers)}", flush=True)


def child_of(pid):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise Failed("the job did not start")


def run(argv):
    print("\n$ " + " ".join(argv), flush=True)
    begun = time.monotonic()
    done = subprocess.run(argv)
    if done.returncode != 0:
        raise Failed(f"{argv[0]} ended with exit code {done.returncode}")
    return (time.monotonic() - begun) * 1000


def wait_gone(pid):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while os.path.exists(f"/proc/{pid}"):
        if time.monotonic() > deadline:
            raise Failed(f"pid {pid} does not go away")
        time.sleep(0.01)


def restore_once(tools, folder, pid, which):
    argv = [f"{tools}/cr-restore", "--shell-job", "-D", folder]
    print("\n$ " + " ".join(argv), flush=True)
    copy = Terminal(argv)
    copy.read_until(lambda t: len(t.numbers()) >= NUMBERS_COMPARED, "numbers of the restored job")
    numbers = copy.numbers()[:NUMBERS_COMPARED]
    show(f"{which} restored job, pid {pid}, prints", numbers)
    copy.press_ctrl_c()
    copy.close()
    wait_gone(pid)
    return numbers


def demo(tools, folder):
    print("$ python3 simple_job.py", flush=True)
    job = Terminal([shutil.which("python3", path="/usr/bin:/bin") or "python3", str(JOB)])
    job.read_until(lambda t: len(t.numbers()) >= 3, "numbers of the job")
    pid = child_of(job.shell)
    show(f"the job, pid {pid}, prints", job.numbers())

    took = run([f"{tools}/cr-dump", "--shell-job", "-R", "-t", str(pid), "-D", folder])
    print(f"{'saved, start to end':<44}{took:.0f} ms")
    seen = len(job.numbers())
    job.read_until(lambda t: len(t.numbers()) >= seen + NUMBERS_COMPARED + 1,
                   "the job to go on after its dump")
    job.press_ctrl_c()
    job.close()
    wait_gone(pid)
    original = job.numbers()

    first = restore_once(tools, folder, pid, "the first")
    second = restore_once(tools, folder, pid, "the second")
    if first[0] not in original:
        raise Failed("the restored job's numbers are not the original's")
    at = original.index(first[0])
    expected = original[at:at + NUMBERS_COMPARED]
    print()
    show("the original went on with", expected)
    if first != second or first[:len(expected)] != expected:
        raise Failed("the copies print different numbers")
    print("\nBoth copies print the numbers the original printed after its dump.", flush=True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="cryostat-demo-") as folder:
        try:
            demo(os.path.relpath(sys.argv[1]), os.path.join(folder, "dump"))
        except Failed as reason:
            print(f"\ndemo: failed: {reason}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
