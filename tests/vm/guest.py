"""Runs in a guest: does the job and prints what comes of it, a line for each test.

usage: guest.py JOB.json
A job is {"steps": [[program, argument…], …]}. What the steps print goes out as it is; lines beginning with "@" are ours:
"@features JSON" (cr-check), "@step N", "@status N CODE", "@done".
"""
import json
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
BUILD = TESTS.parent / "build"


def unit(name):
    """One unit test program: one line."""
    program = BUILD / "tests" / "unit" / f"unit_{name}"
    began = time.monotonic()
    try:
        done = subprocess.run([str(program)], cwd=TESTS.parent, capture_output=True, text=True, errors="replace", timeout=400)
        status, text = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        status, text = -1, "no end after 400 s"
    spent = time.monotonic() - began
    if status == 0:
        print(f"ok    unit.{name} ({spent:.1f} s)")
        return
    print(f"FAIL  unit.{name} ({spent:.1f} s)")
    print("\n".join("      " + line for line in text[-20000:].splitlines()))


def units(arguments):
    found = sorted(path.name.removeprefix("unit_") for path in (BUILD / "tests" / "unit").glob("unit_*"))
    for name in found:
        if not arguments or name in arguments:
            unit(name)
    return 0


def main():
    job = json.loads(pathlib.Path(sys.argv[1]).read_text())
    features = subprocess.run([str(BUILD / "bin" / "cr-check"), "--json"], capture_output=True, text=True)
    print("@features " + " ".join(features.stdout.split("\n")))
    for number, (program, *arguments) in enumerate(job["steps"]):
        print(f"@step {number}", flush=True)
        if program == "units":
            status = units(arguments)
        else:
            status = subprocess.run([sys.executable, "-u", str(TESTS / program), *arguments], cwd=TESTS.parent,
                                    stderr=subprocess.STDOUT).returncode
        print(f"@status {number} {status}", flush=True)
    print("@done", flush=True)


if __name__ == "__main__":
    main()
