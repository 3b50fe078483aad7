"""Checkpoints that go from one guest to another on the disk they share.

usage: carry.py dump FROM              victims are dumped into /exchange/FROM
       carry.py restore FROM           each is restored here and checks itself; what this kernel lacks is refused by name
       carry.py refuse FROM NAME…      the processor here lacks NAME…: each restore is refused beforehand, and says so
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "support")]

import run  # noqa: E402
from harness import Failed, Victim, alive  # noqa: E402

EXCHANGE = pathlib.Path("/exchange")
BUILD = str(HERE.parent.parent / "build")
# Pids far from those of the helpers of a fresh namespace.
FIRST_PID = 2000
VICTIMS = {"simple": (), "threads": (), "registers": (), "signals": (), "memory_exotic": (), "memory_advice": (), "mm_layout": (),
           "credentials_mixed": ("mixed",), "attributes": (), "scheduling": (), "timers": (), "seccomp": (), "open_files": (),
           "ghosts": (), "pipes": (), "event_fds": (), "locks": (), "robust": (), "everything": ()}
# Victims that use features only where the kernel has them: by cr-check's name, and how cr-restore names its absence.
NEEDS = {"memory_advice": {"MADV_GUARD_INSTALL": "guard"}, "memory_exotic": {"MADV_GUARD_INSTALL": "guard", "mseal": "mseal"}}


def program(name):
    return name.split("_mixed")[0]


def features():
    done = subprocess.run([f"{BUILD}/bin/cr-check", "--json"], capture_output=True, text=True)
    return {one["name"]: one["available"] for one in json.loads(done.stdout)["features"]}


def dump(origin, name):
    def body(test):
        test.folder = str(EXCHANGE / origin / name)
        os.makedirs(test.folder, exist_ok=True)
        os.chmod(test.folder, 0o777)
        pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(FIRST_PID))
        victim = test.victim(program(name), *VICTIMS[name])
        about = {"pid": victim.pid, "folder": victim.folder, "features": features()}
        test.dump_and_end(victim, test.path("images"))
        pathlib.Path(test.path("about.json")).write_text(json.dumps(about))
    return body


def carried(test, origin, name):
    test.folder = str(EXCHANGE / origin / name)
    path = pathlib.Path(test.path("about.json"))
    if not path.exists():
        raise Failed(f"there is no checkpoint of {name} from {origin}")
    about = json.loads(path.read_text())
    return Victim(test, about["pid"], None, about["folder"]), about


def restore(origin, name):
    def body(test):
        victim, about = carried(test, origin, name)
        here = features()
        missing = [word for feature, word in NEEDS.get(name, {}).items() if about["features"][feature] and not here[feature]]
        if missing:
            test.restore(test.path("images"), "-d").failed(6, *missing)
            test.check(not alive(victim.pid), "a process was created")
            return
        victim.again()
        test.restore_detached(victim, test.path("images"))
        victim.verdict()
    return body


def refuse(origin, name, missing):
    def body(test):
        victim, _ = carried(test, origin, name)
        done = test.restore(test.path("images"), "-d")
        if done.status != 6 or not all(re.search(rf"\b{word}\b", done.err) for word in missing):
            raise Failed(f"expected exit 6 and the names {missing}\n{done}")
        test.check(not alive(victim.pid), "a process was created")
    return body


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("action", choices=("dump", "restore", "refuse"))
    parser.add_argument("origin")
    parser.add_argument("missing", nargs="*")
    words = parser.parse_args()
    make = {"dump": lambda name: (f"carry/dump.{words.origin}.{name}", dump(words.origin, name)),
            "restore": lambda name: (f"carry/from_{words.origin}.{name}", restore(words.origin, name)),
            "refuse": lambda name: (f"carry/lesser_processor.{words.origin}.{name}", refuse(words.origin, name, words.missing))}
    options = argparse.Namespace(jobs=2, build=BUILD, full=False, keep=False)
    names = ["simple", "registers"] if words.action == "refuse" else list(VICTIMS)
    counts = run.run_all([make[words.action](name) for name in names], options)
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
