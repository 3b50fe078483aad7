#!/usr/bin/env python3
"""Runs every check and test and ends in one line: N passed, N failed, N skipped.

usage: test.py BUILD_DIR [--only STEP[,STEP]] [-- argument of tests/run.py ...]
Steps: format, layers, tidy, unit, fuzz, system (round trips and harm).
"""
import json
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Formatting differs between releases of clang-format; this one's is the project's.
CLANG_FORMAT_MAJOR = "14"
UNIT_TIMEOUT_SECONDS = 300
# Blobs are compiled with -mgeneral-regs-only and gcc's target pragmas, with which clang can't read headers.
TIDY_BLOB_ARGUMENTS = [f"--extra-arg={flag}" for flag in ("-mx87", "-mmmx", "-mavx2", "-mlong-double-80")]
# Inputs of each fuzz target: some seconds. More of them by hand: build/tests/fuzz/fuzz_images --seconds 600
FUZZ_RUNS = {"fuzz_procfs": 100000, "fuzz_images": 4000, "fuzz_restore_plan": 1500}
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __add__(self, other):
        return Count(self.passed + other.passed, self.failed + other.failed,
                     self.skipped + other.skipped)

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def passed(name, detail=""):
    print(f"pass  {name}{detail}", flush=True)
    return Count(passed=1)


def failed(name, output):
    print(output.rstrip())
    print(f"FAIL  {name}", flush=True)
    return Count(failed=1)


def skipped(name, reason):
    print(f"skip  {name}: {reason}", flush=True)
    return Count(skipped=1)


def git(*arguments):
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def tracked_sources():
    return [name for name in (git("ls-files", "*.cc", "*.h") or "").splitlines()
            if (ROOT / name).exists()]


def check_format(_build):
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
    major = re.search(r"version (\d+)", version)
    if not major or major.group(1) != CLANG_FORMAT_MAJOR:
        return skipped("format", f"needs clang-format {CLANG_FORMAT_MAJOR}, here is {version.strip()}")
    files = tracked_sources()
    if not files:
        return skipped("format", "not a git checkout")
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=ROOT,
                          capture_output=True, text=True)
    if done.returncode != 0:
        bad = sorted(set(re.findall(r"^([^:\s]+):\d+", done.stderr, re.MULTILINE)))
        return failed("format", "not formatted (./dev format does it):\n  " + "\n  ".join(bad))
    return passed("format", f" ({len(files)} files)")


def check_layers(_build):
    done = subprocess.run([sys.executable, "dev.d/layers.py"], cwd=ROOT, capture_output=True,
                          text=True)
    return passed("layers") if done.returncode == 0 else failed("layers", done.stdout + done.stderr)


def changed_since():
    """The commit that changes are counted from: where this branch left the shared one."""
    head = git("rev-parse", "HEAD")
    for upstream in ("origin/HEAD", "origin/main"):
        base = git("merge-base", "HEAD", upstream)
        if base and base != head:
            return base
    return git("rev-parse", "HEAD~1")


def changed_files(build):
    base = changed_since()
    if base is None:
        return []
    names = set((git("diff", "--name-only", base) or "").splitlines())
    compiled = {entry["file"] for entry in json.loads((build / "compile_commands.json").read_text())}
    return sorted(name for name in names if name.endswith(".cc") and str(ROOT / name) in compiled)


def check_tidy(build):
    files = changed_files(build)
    if not files:
        return skipped("clang-tidy", "no source file changed")

    def tidy(name):
        blob = name.split("/")[0] in ("parasite", "restorer", "blob")
        return subprocess.run(["clang-tidy", "--quiet", "-p", str(build), *(TIDY_BLOB_ARGUMENTS if blob else []),
                               name], cwd=ROOT, capture_output=True, text=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(tidy, files))
    output = "".join(run.stdout for run in done if run.returncode != 0)
    if output:
        return failed("clang-tidy", output)
    return passed("clang-tidy", f" ({len(files)} files)")


def run_unit(program):
    name = program.name.replace("unit_", "unit.")
    try:
        done = subprocess.run([str(program)], cwd=ROOT, capture_output=True, text=True,
                              errors="replace", timeout=UNIT_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return failed(name, f"no end after {UNIT_TIMEOUT_SECONDS} s")
    every = re.search(r"All tests passed \(.* in (\d+) test cases?\)", done.stdout)
    if done.returncode == 0 and every:
        passed(name, f" ({every.group(1)} test cases)")
        return Count(passed=int(every.group(1)))
    if done.returncode == 0:
        # Catch2 ends so when cases were skipped or none matched; its counts stand in the last lines.
        passed(name)
        return Count(passed=1)
    bad = re.search(r"test cases:.*?\| *(?:(\d+) passed)? *\|? *(\d+) failed", done.stdout)
    failed(name, done.stdout[-6000:] + done.stderr[-2000:] + f"exit status {done.returncode}")
    if bad:
        return Count(passed=int(bad.group(1) or 0), failed=int(bad.group(2)))
    return Count(failed=1)


def check_unit(build):
    programs = sorted((build / "tests" / "unit").glob("unit_*"))
    return sum((run_unit(program) for program in programs if os.access(program, os.X_OK)), Count())


def check_fuzz(build):
    total = Count()
    for name, runs in FUZZ_RUNS.items():
        program = build / "tests" / "fuzz" / name
        label = name.replace("_", ".")
        try:
            done = subprocess.run([str(program), "--runs", str(runs)], cwd=ROOT, capture_output=True,
                                  text=True, errors="replace", timeout=UNIT_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            total += failed(label, f"no end after {UNIT_TIMEOUT_SECONDS} s")
            continue
        total += (passed(label, f" ({done.stdout.strip()})") if done.returncode == 0
                  else failed(label, done.stdout + done.stderr[-6000:]))
    return total


def check_system(build):
    runner = ROOT / "tests" / "run.py"
    if not runner.exists():
        return skipped("system", "tests/run.py is not there")
    process = subprocess.Popen([sys.executable, str(runner), "--build", str(build), *RUNNER_ARGUMENTS],
                               cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace")
    found = None
    for line in process.stdout:
        summary = SUMMARY.match(line)
        if summary:
            found = Count(*map(int, summary.groups()))
        else:
            print(line, end="", flush=True)
    process.wait()
    if found is None or (process.returncode != 0 and found.failed == 0):
        return failed("system", f"tests/run.py ended with status {process.returncode}")
    return found


STEPS = {"format": check_format, "layers": check_layers, "tidy": check_tidy, "unit": check_unit,
         "fuzz": check_fuzz, "system": check_system}
RUNNER_ARGUMENTS = []


def main():
    arguments = sys.argv[1:]
    if "--" in arguments:
        at = arguments.index("--")
        RUNNER_ARGUMENTS.extend(arguments[at + 1:])
        arguments = arguments[:at]
    steps = list(STEPS)
    if "--only" in arguments:
        at = arguments.index("--only")
        steps = arguments[at + 1].split(",")
        del arguments[at:at + 2]
    if len(arguments) != 1 or any(step not in STEPS for step in steps):
        sys.exit(__doc__)
    build = (ROOT / arguments[0]).resolve()
    total = sum((STEPS[step](build) for step in steps), Count())
    print(total, flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
