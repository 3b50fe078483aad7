#!/usr/bin/env python3
"""Measures dumps and restores; `./dev bench` runs it.

Works: a small process, one with many threads, one with much memory; trees (17 tasks that share 64 MiB
copy-on-write, 1000 small tasks), a process with 1000 descriptors of mixed kinds, and a chain of increments. In every round each engine does
each work once, the engines in turn, so that drift of the machine hits all alike; the table shows medians.
With the environment variable CRIU set to a command, that command does the same work as a peer.

What is measured, for every engine from the outside only:
  freeze   the longest gap between two 20 µs ticks that the target saw itself while it was dumped with
           --leave-running
  dump     wall time of the dump command (the target ends with it)
  restore  wall time of the restore command (detached)
  memory   peak resident memory of the command
  image    what the folder takes on disk; "unique" is the proportional memory (PSS) of the tree before the dump
  restored the same sum after the restore
  collecting  the freeze's share for descriptors, from the engine's own statistics
  fork     a bare fork(2) of as much memory: the floor of the freeze of a large process
  floor    a process writing as many bytes of its own memory to the same file system with pwrite(2)

Runs in pid and mount namespaces of its own (as root).
"""

import argparse
import ctypes
import json
import mmap
import os
import platform
import shlex
import shutil
import signal
import statistics
import subprocess
import sys

import increments
from engines import Criu, Cryostat, Stopped
from targets import Failed, Sleepers, Target

HERE = os.path.dirname(os.path.realpath(__file__))
PROJECT = os.path.dirname(HERE)
MIB = 1 << 20


MADV_POPULATE_WRITE = 23    # madvise(2), Linux 5.14


def warm_free_memory(bytes_):
    """Touches as much memory as the next step takes, and gives it back.

    A virtual machine's free pages may lie with its host (free page reporting): the first to take them pays
    for them many times over. Whoever is measured must find them in the same state.
    """
    if bytes_:
        with mmap.mmap(-1, bytes_, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            memory.madvise(MADV_POPULATE_WRITE)


class Bench:
    def __init__(self, options):
        self.options = options
        self.build = os.path.realpath(options.build)
        self.work = os.path.realpath(options.dir or os.path.join(self.build, "bench", "work"))
        self.images = os.path.join(self.work, "images")
        self.engines = [Cryostat(self.build)]
        if os.environ.get("CRIU"):
            self.engines.append(Criu(os.environ["CRIU"]))
        self.samples = {}   # (work, engine, measure) -> list of numbers
        self.stages = {}    # (work, command) -> the engine's own statistics of the last round
        os.makedirs(self.work, exist_ok=True)

    def program(self, name):
        return os.path.join(self.build, "bench", name)

    def add(self, work, engine, measure, value):
        self.samples.setdefault((work, engine, measure), []).append(value)

    def median(self, work, engine, measure):
        values = self.samples.get((work, engine, measure))
        return statistics.median(values) if values else None

    def settle(self, memory_bytes):
        """Brings disk and free memory into the state every measured step starts from."""
        os.sync()
        warm_free_memory(2 * memory_bytes)

    def run(self, command, memory_bytes=0):
        """Runs one command under programs/measure.cc: (wall seconds, peak bytes, its output)."""
        self.settle(memory_bytes)
        output = os.path.join(self.work, "output")
        done = subprocess.run([self.program("measure"), output] + command, check=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        status, wall_ns, rss_kib = done.stdout.split()
        with open(output, encoding="utf-8", errors="replace") as file:
            text = file.read()
        if status != "0":
            raise Failed(f"{shlex.join(command)}: exit status {status}\n{text}")
        return int(wall_ns) / 1e9, int(rss_kib) * 1024, text

    def clear_images(self):
        shutil.rmtree(self.images, ignore_errors=True)
        os.mkdir(self.images, 0o700)

    def image_bytes(self):
        return sum(entry.stat().st_blocks * 512 for entry in os.scandir(self.images))

    def keep_stages(self, work, engine, command, text):
        if engine.name == "cryostat":
            try:
                self.stages[f"{work} {command}"] = json.loads(text)
            except ValueError:
                pass

    def one(self, work, engine, threads, memory_bytes):
        """One dump with --leave-running, one without, one restore."""
        target = Target(self, threads, memory_bytes)
        try:
            before = target.hash() if memory_bytes else None
            target.wait_ticking()
            self.clear_images()
            target.set_word(Target.GAP, 0)
            self.run(engine.dump(target, self.images, True), memory_bytes)
            target.wait_ticking()
            self.add(work, engine.name, "freeze", target.word(Target.GAP) / 1e9)

            self.clear_images()
            wall, rss, text = self.run(engine.dump(target, self.images, False), memory_bytes)
            self.add(work, engine.name, "dump", wall)
            self.add(work, engine.name, "dump memory", rss)
            self.add(work, engine.name, "image", self.image_bytes())
            self.keep_stages(work, engine, "dump", text)
            target.wait_gone()
            if memory_bytes and engine.name == Cryostat.name:
                self.read_floor(work, memory_bytes)

            wall, rss, text = self.run(engine.restore(self.images), memory_bytes)
            self.add(work, engine.name, "restore", wall)
            self.add(work, engine.name, "restore memory", rss)
            self.keep_stages(work, engine, "restore", text)
            target.wait_ticking()
            if memory_bytes and target.hash() != before:
                raise Failed(f"{work}: memory differs after {engine.name} restored it")
        finally:
            target.end()

    def floor(self, work, memory_bytes):
        self.settle(2 * memory_bytes)   # its own memory, and the file's
        file = os.path.join(self.work, "floor")
        done = subprocess.run([self.program("floor"), file, str(memory_bytes)], check=True,
                              stdout=subprocess.PIPE, text=True)
        os.unlink(file)
        self.add(work, "floor", "dump", int(done.stdout) / 1e9)

    def fork_floor(self, work, memory_bytes):
        self.settle(memory_bytes)
        done = subprocess.run([self.program("fork_floor"), str(memory_bytes)], check=True,
                              stdout=subprocess.PIPE, text=True)
        self.add(work, "floor", "freeze", int(done.stdout) / 1e9)

    def read_floor(self, work, memory_bytes):
        """The page data of the last dump, read into fresh memory on all processors."""
        self.settle(memory_bytes)
        done = subprocess.run([self.program("read_floor"), os.path.join(self.images, "pages.img"), str(os.cpu_count())],
                              check=True, stdout=subprocess.PIPE, text=True)
        self.add(work, "floor", "restore", int(done.stdout) / 1e9)

    def sleepers(self, work, engine, program, arguments):
        """One dump and one restore of a tree or a process that sleeps."""
        target = Sleepers(self, program, *arguments)
        try:
            members = target.members()
            self.add(work, engine.name, "unique", target.proportional_bytes())
            self.clear_images()
            wall, rss, text = self.run(engine.dump(target, self.images, False))
            self.add(work, engine.name, "dump", wall)
            self.add(work, engine.name, "dump memory", rss)
            self.add(work, engine.name, "image", self.image_bytes())
            self.add(work, engine.name, "files", len(os.listdir(self.images)))
            self.keep_stages(work, engine, "dump", text)
            target.wait_gone(members)
            wall, rss, text = self.run(engine.restore(self.images))
            self.add(work, engine.name, "restore", wall)
            self.add(work, engine.name, "restore memory", rss)
            self.keep_stages(work, engine, "restore", text)
            if len(target.members()) != len(members):
                raise Failed(f"{work}: {len(target.members())} tasks after {engine.name} restored {len(members)}")
            self.add(work, engine.name, "restored", target.proportional_bytes())
            if engine.name == "cryostat":
                stages = self.stages[f"{work} dump"]["statistics"]["stages"]
                collecting = sum(stage["duration_ns"] for stage in stages if stage["name"] == "collect files")
                self.add(work, engine.name, "collecting", collecting / 1e9)
        finally:
            target.end()

    def pause(self, work, engine, memory_bytes):
        """One dump with --leave-running."""
        target = Target(self, 1, memory_bytes)
        try:
            target.wait_ticking()
            self.clear_images()
            target.set_word(Target.GAP, 0)
            self.run(engine.dump(target, self.images, True), memory_bytes)
            target.wait_ticking()
            self.add(work, engine.name, "freeze", target.word(Target.GAP) / 1e9)
        finally:
            target.end()

    def measure(self):
        works = {
            "small": (1, 0),
            "threads": (self.options.threads, 0),
            "memory": (1, self.options.memory_mib * MIB),
        }
        trees = {
            "tree-cow": ("family", (17, 64 * MIB)),
            "tree-1000": ("family", (1000, 0)),
            "descriptors": ("descriptors", (1000,)),
        }
        chosen = [name for name in (*works, *trees) if name in self.options.only.split(",")]
        for engine in self.engines:     # starts what is started only once (caches, unpacking)
            self.run(engine.idle())
        for work in chosen:
            if work in trees:
                for number in range(self.options.memory_rounds):
                    say(f"{work}: round {number + 1} of {self.options.memory_rounds}")
                    for engine in self.engines:
                        self.sleepers(work, engine, *trees[work])
                continue
            threads, memory_bytes = works[work]
            rounds = self.options.rounds if not memory_bytes else self.options.memory_rounds
            for number in range(rounds):
                say(f"{work}: round {number + 1} of {rounds}")
                if memory_bytes:
                    self.floor(work, memory_bytes)
                    self.fork_floor(work, memory_bytes)
                    self.pause(work, Stopped(self.build), memory_bytes)
                for engine in self.engines:
                    self.add(work, engine.name, "idle", self.run(engine.idle())[0])
                    self.one(work, engine, threads, memory_bytes)
        if increments.WORK in self.options.only.split(","):
            chosen.append(increments.WORK)
            for number in range(self.options.memory_rounds):
                say(f"{increments.WORK}: round {number + 1} of {self.options.memory_rounds}")
                increments.measure(self, self.engines[0], self.options.memory_mib * MIB)
        shutil.rmtree(self.work, ignore_errors=True)
        return chosen


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def seconds(value):
    if value is None:
        return "-"
    return f"{value * 1e3:.2f} ms" if value < 1 else f"{value:.3f} s"


def size(value):
    return "-" if value is None else f"{value / MIB:.1f} MiB"


def rows(bench, chosen):
    """(work, measure, ours, peer, ratio, goal text, met) for each figure."""
    table = []
    third = ("<= 0.33 of the peer", lambda ratio: ratio <= 1 / 3)
    faster = ("< 1.00 of the peer", lambda ratio: ratio < 1)
    none = ("", lambda ratio: None)
    goals = {
        ("small", "freeze"): third, ("small", "dump"): third, ("small", "restore"): third,
        ("threads", "freeze"): third, ("threads", "restore"): third,
        ("memory", "restore"): faster,
        ("tree-cow", "dump"): third, ("tree-cow", "restore"): third,
        ("tree-1000", "dump"): third, ("tree-1000", "restore"): third,
        ("memory", "freeze"): ("<= 0.05 of the peer", lambda ratio: ratio <= 1 / 20),
    }
    for work in chosen:
        for measure in ("freeze", "dump", "restore", "dump memory", "restore memory", "image", "idle"):
            ours = bench.median(work, "cryostat", measure)
            if ours is None:
                continue
            peer = bench.median(work, "criu", measure)
            shown = seconds if measure in ("freeze", "dump", "restore", "idle") else size
            text, met = goals.get((work, measure), none)
            ratio = ours / peer if peer else None
            verdict = met(ratio) if ratio is not None else None
            if measure.endswith("memory"):
                text, verdict = "< 64 MiB", ours < 64 * MIB
            name = "start-up (--version)" if measure == "idle" else measure
            table.append((work, name, shown(ours), shown(peer),
                          "-" if ratio is None else f"{ratio:.2f}", text, verdict))
        table += tree_rows(bench, work)
        if work == increments.WORK:
            table += increments.rows(bench, bench.options.memory_mib * MIB, seconds, size)
        floor = bench.median(work, "floor", "freeze")
        if floor:
            ours = bench.median(work, "cryostat", "freeze")
            table.append((work, f"bare fork {seconds(floor)} / freeze", f"{ours / floor:.2f}", "-", "-",
                          "<= 1.50", ours / floor <= 1.5))
            table.append((work, "freeze without a copy", seconds(bench.median(work, Stopped.name, "freeze")),
                          "-", "-", "", None))
        floor = bench.median(work, "floor", "restore")
        if floor:
            ours, peer = (bench.median(work, engine, "restore") for engine in ("cryostat", "criu"))
            table.append((work, f"parallel read {seconds(floor)} / restore", f"{floor / ours:.2f}",
                          f"{floor / peer:.2f}" if peer else "-", "-", "", None))
        floor = bench.median(work, "floor", "dump")
        if floor:
            ours, peer = (bench.median(work, engine, "dump") for engine in ("cryostat", "criu"))
            table.append((work, f"floor {seconds(floor)} / dump", f"{floor / ours:.2f}",
                          f"{floor / peer:.2f}" if peer else "-", "-", ">= 0.80", floor / ours >= 0.8))
    return table


def tree_rows(bench, work):
    """What is measured of trees and descriptors alone."""
    table = []
    unique = bench.median(work, "cryostat", "unique")
    if work == "tree-cow" and unique:
        for measure, text in (("image", "image / unique"), ("restored", "restored / unique")):
            ours, peer = (bench.median(work, engine, measure) for engine in ("cryostat", "criu"))
            table.append((work, f"{text} ({size(unique)})", f"{ours / unique:.2f}",
                          f"{peer / unique:.2f}" if peer else "-", "-", "<= 1.15", ours / unique <= 1.15))
    files = bench.median(work, "cryostat", "files")
    if work == "tree-1000" and files:
        peer = bench.median(work, "criu", "files")
        table.append((work, "image files", f"{files:.0f}", f"{peer:.0f}" if peer else "-", "-", "<= 10", files <= 10))
    collecting = bench.median(work, "cryostat", "collecting")
    if work == "descriptors" and collecting is not None:
        table.append((work, "collecting", seconds(collecting), "-", "-", "< 30 ms", collecting < 0.03))
    return table


def print_table(table):
    head = ("work", "measure", "cryostat", "criu", "ratio", "goal", "")
    lines = [head] + [row[:6] + ({True: "met", False: "NOT MET", None: ""}[row[6]],) for row in table]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def write_json(bench, table, path):
    result = {
        "machine": {"kernel": platform.release(), "processors": os.cpu_count(),
                    "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")},
        "options": vars(bench.options),
        "units": "seconds and bytes",
        "samples": [{"work": work, "engine": engine, "measure": measure, "values": values,
                     "median": statistics.median(values)}
                    for (work, engine, measure), values in bench.samples.items()],
        "goals": [{"work": row[0], "measure": row[1], "ratio": row[4], "goal": row[5], "met": row[6]}
                  for row in table if row[5]],
        "cryostat_statistics": bench.stages,
    }
    os.makedirs(os.path.dirname(os.path.realpath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    say(f"figures in {path}")


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7, help="of the small and threads works")
    parser.add_argument("--memory-rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1000)
    parser.add_argument("--memory-mib", type=int, default=2048)
    parser.add_argument("--only", default="small,threads,memory,tree-cow,tree-1000,descriptors,increments", help="comma-separated works")
    parser.add_argument("--dir", help="where images go (default: BUILD/bench/work)")
    parser.add_argument("--build", default=os.path.join(PROJECT, "build"))
    parser.add_argument("--json", help="default: BUILD/bench/results.json")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main():
    options = parse_options(sys.argv[1:])
    if not options.inside:
        if os.geteuid() != 0:
            sys.exit("bench: checkpoints are made as root here: run it as root")
        subprocess.run(["cmake", "--build", options.build, "--target", "bench_programs"], check=True,
                       stdout=subprocess.DEVNULL)
        os.execvp("unshare", ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc",
                              sys.executable, os.path.realpath(__file__), "--inside"] + sys.argv[1:])
    # If the shell that started us goes, so do we, and with the namespace's init everything in it.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    bench = Bench(options)
    try:
        chosen = bench.measure()
    except Failed as failure:
        sys.exit(f"bench: {failure}")
    table = rows(bench, chosen)
    print_table(table)
    write_json(bench, table, options.json or os.path.join(bench.build, "bench", "results.json"))


if __name__ == "__main__":
    main()
