"""Runs the tests on distribution kernels, under qemu.

  ./dev vm list                 the kernels, and which are in the cache
  ./dev vm KERNEL… [--quick]    those kernels: every test, or the quick groups
  ./dev vm all                  every kernel, then checkpoints carried from each to each, and to lesser processors
  ./dev vm shell KERNEL         a shell inside; the build is in /cryostat/build/bin
  ./dev vm fetch [KERNEL…]      the newest kernels of the suites into the cache

Ends in the matrix of test groups and kernels and one line, "N passed, N failed, N skipped".
"""
import argparse
import pathlib
import shutil
import signal
import sys
import tempfile

import boot
import images
import kernels
import plan
import results
import shell

BUILD = images.ROOT / "build"
LOGS = BUILD / "vm"


def chosen(names):
    known = {kernel.name: kernel for kernel in kernels.KERNELS}
    if names == ["all"]:
        return kernels.KERNELS
    for name in names:
        if name not in known:
            raise shell.Failed(f"no kernel `{name}`: there are {', '.join(known)} and all")
    return [known[name] for name in names]


class Suite:
    """Guests one after another on the same base, build and exchange disk."""

    def __init__(self, folder):
        self.folder = folder
        self.base = images.base(BUILD)
        self.work = images.work(BUILD, folder)
        self.exchange = images.exchange(folder)
        self.columns = []

    def column(self, name):
        for known in self.columns:
            if known.column == name:
                return known
        self.columns.append(results.Results(name))
        return self.columns[-1]

    def run(self, kernel, guest):
        """One boot; whatever is wrong with the guest itself becomes a failed test of it."""
        found = self.column(kernel.name)
        logs = LOGS / f"{kernel.name}-{guest.name}"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        print(f"\n== {kernel.name} ({kernel.release}): {guest.name}", flush=True)
        found.done_steps = {}
        with open(logs / "lines.log", "w") as log:
            def on_line(line):
                log.write(line + "\n")
                log.flush()
                if found.add(line):
                    print(line, flush=True)
            machine = boot.Machine(self.base, self.work, self.exchange, cpu=guest.cpu)
            ended = boot.run(kernel, machine, {"steps": guest.steps}, logs, guest.limit_seconds, on_line)
        (logs / "initramfs.cpio").unlink()
        if ended.how != "done":
            found.fail(f"guest.{guest.name}", f"{ended.how} after {ended.seconds:.0f} s; its console: {ended.console}")
            print(f"FAIL  guest.{guest.name}: {ended.how} after {ended.seconds:.0f} s; its console:\n"
                  + "\n".join("      " + line for line in ended.console.read_text(errors="replace").splitlines()[-30:]))
        elif len(found.done_steps) != len(guest.steps):
            found.fail(f"guest.{guest.name}", "not every step was done")
        print(f"== {kernel.name}: {guest.name} took {ended.seconds:.0f} s; so far {found.summary()}", flush=True)

    def report(self):
        print("\n" + results.matrix(self.columns) + "\n")
        failed = [(one.name, found.column) for found in self.columns for one in found.outcomes if one.state == "failed"]
        for name, column in failed:
            print(f"FAILED on {column}: {name}")
        total = {state: sum(found.count(state) for found in self.columns) for state in ("passed", "failed", "skipped")}
        print(", ".join(f"{count} {state}" for state, count in total.items()), flush=True)
        return 1 if failed or not total["passed"] else 0


def run(options):
    wanted = chosen(options.words)
    for kernel in wanted:
        kernel.fetch()
    LOGS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cryostat-vm-") as folder:
        suite = Suite(pathlib.Path(folder))
        for kernel, guest in plan.guests(wanted, options):
            suite.run(kernel, guest)
        return suite.report()


def shell_inside(names):
    if len(names) != 1:
        raise shell.Failed("a shell in which kernel? ./dev vm shell 6.1")
    kernel, = chosen(names)
    kernel.fetch()
    with tempfile.TemporaryDirectory(prefix="cryostat-vm-") as folder:
        suite = Suite(pathlib.Path(folder))
        return boot.shell_in(kernel, boot.Machine(suite.base, suite.work, suite.exchange), suite.folder)


def list_kernels():
    for kernel in kernels.KERNELS:
        state = f"{kernel.release} in the cache" if kernel.is_fetched() else "not fetched yet"
        print(f"{kernel.name:6} {kernel.description} ({kernel.suite}): {state}")
    return 0


def main():
    parser = argparse.ArgumentParser(prog="./dev vm", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("words", nargs="+", metavar="KERNEL", help="kernels, all, list, fetch, or shell KERNEL")
    parser.add_argument("--quick", action="store_true", help="the groups that take minutes less")
    parser.add_argument("--filter", action="append", default=[], help="only round trip and harm tests with this in the name")
    parser.add_argument("--limit", type=int, help="seconds each guest may take")
    options = parser.parse_args()
    first, *rest = options.words
    if first == "list":
        return list_kernels()
    if first == "fetch":
        for kernel in chosen(rest or ["all"]):
            kernel.fetch(newest=True)
        return list_kernels()
    if first == "shell":
        return shell_inside(rest)
    return run(options)


if __name__ == "__main__":
    # Ended by a signal or not: the guest must not stay behind.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        sys.exit(main())
    except shell.Failed as failure:
        sys.exit(f"dev vm: {failure}")
