"""What a test works with: victims, the tools, waiting for conditions. Everything runs inside a pid, mount
and network namespace of the test's own (namespace.py)."""
import json
import os
import select
import shutil
import signal
import subprocess
import time

import snapshot

# Emulated machines are slower; what waits for a condition waits that much longer there.
PATIENCE = float(os.environ.get("CRYOSTAT_TEST_PATIENCE", "1"))
WAIT_SECONDS = 20 * PATIENCE


class Skip(Exception):
    """A test that can't run here; the reason names what is missing."""


class Failed(AssertionError):
    pass


def wait_for(condition, what, seconds=WAIT_SECONDS):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"gave up waiting for {what}")
        time.sleep(0.002)


def read(path, default=None):
    try:
        with open(path) as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return default


def alive(pid):
    """True while the process exists and is no zombie."""
    stat = read_stat(pid)
    return stat is not None and stat not in "ZX"


def read_stat(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def descendants(pid):
    """Pids of all tasks below a process, zombies included."""
    try:
        tids = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return []
    children = [int(child) for tid in tids
                for child in (read(f"/proc/{pid}/task/{tid}/children") or "").split()]
    return children + [below for child in children if read_stat(child) != "Z" for below in descendants(child)]


def collected(pid):
    """Takes the status of a process that was left to us; true when its number is free."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # another's, or there is none
    return read_stat(pid) is None


def wait_gone(pid, seconds=WAIT_SECONDS):
    wait_for(lambda: not alive(pid), f"pid {pid} to end", seconds)


class Tool:
    """One finished run of a tool."""

    def __init__(self, arguments, status, out, err):
        self.arguments, self.status, self.out, self.err = arguments, status, out, err

    def __str__(self):
        return f"{' '.join(self.arguments)}: exit {self.status}\n{self.out}{self.err}"

    def ok(self):
        if self.status != 0:
            raise Failed(str(self))
        return self

    def failed(self, status, *texts):
        """The run ended with `status` and its stderr has all `texts`."""
        if self.status != status or not all(text in self.err for text in texts):
            raise Failed(f"expected exit {status} and {texts}\n{self}")
        return self

    def json(self):
        return json.loads(self.out)


class Program:
    """A started process: a victim or a real program."""

    def __init__(self, test, pid, process):
        self.test, self.pid, self.process = test, pid, process

    def alive(self):
        return alive(self.pid)

    def reap(self):
        """Collects the original process, if it is our child and still to be waited for."""
        if self.process is not None:
            self.process.wait(timeout=WAIT_SECONDS)
            self.process = None

    def kill(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.reap()
        wait_for(lambda: read_stat(self.pid) is None, f"pid {self.pid} to be reaped")

    def snapshot(self):
        return snapshot.take(self.pid)


class Victim(Program):
    """A program of tests/victims: see victim.h for the protocol."""

    def __init__(self, test, pid, process, folder):
        super().__init__(test, pid, process)
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def go(self):
        open(self.path("go"), "w").close()

    def verdict(self):
        """Tells the victim to check itself, and waits for what it finds."""
        self.go()
        result = wait_for(lambda: self.result(), f"the verdict of pid {self.pid}")
        self.reap()
        wait_for(lambda: read_stat(self.pid) is None, f"pid {self.pid} to be reaped")
        if result != "PASS\n":
            raise Failed(f"the victim says: {result}{read(self.path('output'), '')}")

    def result(self):
        text = read(self.path("result"), "")
        return text if text.endswith("\n") else None

    def again(self):
        """Forgets go and verdict, so that the checkpoint can be restored once more."""
        for name in ("go", "result"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))


class Test:
    """Handed to each test function."""

    def __init__(self, build, folder, full):
        self.build, self.folder, self.full = build, folder, full
        self._count = 0

    def path(self, name):
        return os.path.join(self.folder, name)

    def tool_path(self, name):
        return os.path.join(self.build, "bin", name)

    def new_folder(self, stem):
        self._count += 1
        folder = self.path(f"{stem}{self._count}")
        os.mkdir(folder, 0o777)
        os.chmod(folder, 0o777)
        return folder

    # Tools -------------------------------------------------------------------------------------

    def run(self, *arguments, seconds=60 * PATIENCE, **options):
        arguments = [str(argument) for argument in arguments]
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
                              **options)
        return Tool(arguments, done.returncode, done.stdout, done.stderr)

    def tool(self, name, *arguments, **options):
        return self.run(self.tool_path(name), *arguments, **options)

    def dump(self, program, images, *arguments, **options):
        return self.tool("cr-dump", "--no-default-config", "-t", program.pid, "-D", images, *arguments, **options)

    def restore(self, images, *arguments, **options):
        return self.tool("cr-restore", "--no-default-config", "-D", images, *arguments, **options)

    def dump_and_end(self, program, images, *arguments):
        """Dumps, and waits until all pids are free again: what is left of a tree comes to us, pid 1."""
        members = descendants(program.pid)
        done = self.dump(program, images, *arguments).ok()
        program.reap()
        for pid in members:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass  # its parent had collected it
        for pid in [program.pid, *members]:
            wait_for(lambda: read_stat(pid) is None, f"pid {pid} to be reaped")
        return done

    def restore_detached(self, program, images, *arguments):
        done = self.restore(images, "-d", *arguments).ok()
        if not program.alive():
            raise Failed(f"pid {program.pid} is not there after the restore\n{done}")
        return done

    # Trees -------------------------------------------------------------------------------------

    def tree(self, pid):
        """All tasks from `pid` down: pid -> (parent, group, session)."""
        stats = {member: read(f"/proc/{member}/stat") for member in [pid, *descendants(pid)]}
        return {member: tuple(stat.rsplit(")", 1)[1].split()[1:4]) for member, stat in stats.items() if stat}

    def kill_tree(self, program, members=()):
        """Ends what is there of a tree and collects it; returns when all numbers are free."""
        members = {*members, program.pid, *descendants(program.pid)}
        for pid in members:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        program.reap()
        for pid in members:
            wait_for(lambda: collected(pid), f"pid {pid} to be free")

    @staticmethod
    def resume(pid):
        """Ends a stop; a task that has ended meanwhile is no error."""
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    # Programs ----------------------------------------------------------------------------------

    def victim(self, name, *arguments, **options):
        """Starts tests/victims/NAME and waits until it is ready."""
        program = os.path.join(self.build, "tests", "victims", name)
        if not os.path.exists(program):
            raise Failed(f"{program} is not built")
        folder = self.new_folder(name)
        process = self.start(program, folder, *arguments, output=os.path.join(folder, "output"), **options)
        victim = Victim(self, process.pid, process, folder)
        return self.await_ready(victim)

    def await_ready(self, victim):
        def ready():
            ended = victim.process.poll() is not None   # asked first: the last it does may be to say that it skips
            text = (read(victim.path("ready")) or "").strip()
            if ended and not text:
                raise Failed(f"victim ended early: {victim.process.returncode}\n{read(victim.path('output'))}")
            return text
        text = wait_for(ready, "the victim to be ready")
        if text.startswith("SKIP"):
            raise Skip(text[5:].strip())
        return victim

    def start(self, *arguments, output=None, cwd=None, session=True, **options):
        """Starts a program with /dev/null as stdin and a file for what it prints; own session."""
        options.setdefault("stdin", subprocess.DEVNULL)
        with open(output or os.devnull, "ab") as out:
            return subprocess.Popen([str(argument) for argument in arguments], stdout=out, stderr=out,
                                    cwd=cwd or self.folder, start_new_session=session, **options)

    def program(self, *arguments, **options):
        process = self.start(*arguments, **options)
        return Program(self, process.pid, process)

    # Checks ------------------------------------------------------------------------------------

    def compare(self, before, after, ignore=()):
        lines = snapshot.differences(before, after, ignore)
        if lines:
            raise Failed("not as before:\n  " + "\n  ".join(lines))

    def compare_restored(self, before, after, ignore=()):
        lines = snapshot.restored_differences(before, after, ignore)
        if lines:
            raise Failed("not as before:\n  " + "\n  ".join(lines))

    def check(self, condition, message):
        if not condition:
            raise Failed(message)

    def round_trip(self, victim, dump=(), restore=(), ignore=()):
        """Dump and go on; dump and end, restore; dump what was restored, restore again; let it check
        itself; restore the same checkpoint once more and let that check itself."""
        before = victim.snapshot()
        self.dump(victim, self.path("running"), "-R", *dump).ok()
        self.compare(before, victim.snapshot(), ignore)
        first, second = self.path("first"), self.path("second")
        for images in (first, second):
            self.dump_and_end(victim, images, *dump)
            self.restore_detached(victim, images, *restore)
            self.compare_restored(before, victim.snapshot(), ignore)
        victim.verdict()
        victim.again()
        self.restore_detached(victim, first, *restore)
        self.compare_restored(before, victim.snapshot(), ignore)
        victim.verdict()


def wait_readable(fd, seconds):
    return bool(select.select([fd], [], [], seconds)[0])


def need_program(name):
    path = shutil.which(name)
    if path is None:
        raise Skip(f"{name} is not installed")
    return path


def slow(function):
    """Marks a test that only runs with --full."""
    function.slow = True
    return function


def seconds(limit):
    """Gives a test another time limit than the default."""
    def mark(function):
        function.seconds = limit
        return function
    return mark
