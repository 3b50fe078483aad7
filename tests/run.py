#!/usr/bin/env python3
"""Runs the round trip and harm tests, each in a pid and mount namespace of its own.

A line for each test, then "N passed, N failed, N skipped"; exit code 1 when one failed.
"""
import argparse
import importlib
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "support"), str(HERE / "roundtrip"), str(HERE / "harm"), str(HERE / "vm")]

import harness  # noqa: E402
import namespace  # noqa: E402

TEST_SECONDS = 90
SKIPPED = 77


def discover(filters):
    """[(name, function)] of every test_* function, and of the CASES of modules that make their own."""
    found = []
    for folder in ("roundtrip", "harm", "vm"):
        for path in sorted((HERE / folder).glob("test_*.py")):
            module = importlib.import_module(path.stem)
            functions = {name[5:]: getattr(module, name) for name in dir(module) if name.startswith("test_")}
            functions.update(getattr(module, "CASES", {}))
            found += [(f"{folder}/{path.stem[5:]}.{name}", function) for name, function in functions.items()]
    return [(name, function) for name, function in found if not filters or any(part in name for part in filters)]


class Run:
    """One test under way."""

    def __init__(self, name, function, options):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="cryostat-test-")
        os.chmod(self.folder, 0o777)
        self.output = tempfile.TemporaryFile()
        self.began = time.monotonic()
        self.deadline = self.began + getattr(function, "seconds", TEST_SECONDS) * harness.PATIENCE
        self.late = False
        sys.stdout.flush()
        self.pid = namespace.start(lambda: self.body(function, options))

    def body(self, function, options):
        os.dup2(self.output.fileno(), 1)
        os.dup2(self.output.fileno(), 2)
        test = harness.Test(options.build, self.folder, options.full)
        try:
            function(test)
        except harness.Skip as skip:
            print(skip)
            return SKIPPED
        except harness.Failed as failure:
            where = traceback.extract_tb(failure.__traceback__)[1:]
            print(" < ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(where)))
            print(failure)
            return 1
        except BaseException:
            traceback.print_exc()
            return 1
        return 0

    def finish(self, status, keep):
        self.output.seek(0)
        text = self.output.read().decode(errors="replace")
        self.output.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        return status, text, time.monotonic() - self.began


def report(run, status, text, seconds):
    if status == 0:
        print(f"ok    {run.name} ({seconds:.1f} s)")
        return "passed"
    if status == SKIPPED:
        print(f"skip  {run.name}: {text.strip()}")
        return "skipped"
    print(f"FAIL  {run.name} ({seconds:.1f} s){' timed out' if run.late else ''}")
    print("\n".join("      " + line for line in text.splitlines()))
    return "failed"


def run_all(tests, options):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    waiting, running = list(tests), {}
    while waiting or running:
        while waiting and len(running) < options.jobs:
            run = Run(*waiting.pop(0), options)
            running[run.pid] = run
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            for run in running.values():
                if not run.late and time.monotonic() > run.deadline:
                    run.late = True
                    os.kill(run.pid, signal.SIGKILL)
            time.sleep(0.005)
            continue
        run = running.pop(pid, None)
        if run is None:
            continue
        code = os.waitstatus_to_exitcode(status)
        counts[report(run, *run.finish(code, options.keep))] += 1
        sys.stdout.flush()
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", help="only tests whose name has one of these texts")
    parser.add_argument("--filter", action="append", default=[], help="the same, as an option")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--build", default=str(HERE.parent / "build"), help="build folder with bin/ and tests/")
    parser.add_argument("--full", action="store_true", help="the slow tests too, and the long form of others")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--keep", action="store_true", help="leave the tests' folders in /tmp")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    tests = discover(options.name + options.filter)
    if not options.full:
        tests = [(name, function) for name, function in tests if not getattr(function, "slow", False)]
    if options.list:
        print("\n".join(name for name, _ in tests))
        return 0
    if os.geteuid() != 0:
        print("FAIL  these tests need root: namespaces and ptrace")
        print(f"0 passed, {len(tests)} failed, 0 skipped")
        return 1
    counts = run_all(tests, options)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
