"""Flags of mappings from the kernel's own words (--vma-flags=bpf): the same as from smaps, in all that is saved."""
import difflib
import json

from harness import Skip, need_program
from test_increments import has_feature
from test_snapshot import live_trip
from test_victims import huge_pages

VICTIMS = ("memory_kinds", "memory_advice", "memory_exotic", "mm_layout", "everything", "cow_family")


def need_iterator(test):
    if not has_feature(test, "BPF iterator of mappings"):
        raise Skip("this kernel (or a missing capability) has no BPF iterator of mappings")


def trip(name):
    def run(test):
        need_iterator(test)
        for mode in ("cow", "stop"):
            live_trip(test, test.victim(name), mode, "--vma-flags=bpf")
    return run


for _name in VICTIMS:
    globals()[f"test_{_name}"] = trip(_name)


def mappings(test, images):
    """What was saved of the address spaces, line by line."""
    records = test.tool("cr-inspect", "-D", images, "--json", "show", "mm.img").ok().json()
    return json.dumps(records, sort_keys=True, indent=0).splitlines()


def dumped_both_ways(test, victim):
    """The log of the dump without smaps."""
    test.dump(victim, test.path("smaps"), "-R", "--vma-flags=smaps").ok()
    done = test.dump(victim, test.path("bpf"), "-R", "--vma-flags=bpf", "-vv").ok()
    changes = list(difflib.unified_diff(mappings(test, test.path("smaps")), mappings(test, test.path("bpf")), lineterm="", n=6))
    test.check(not changes, "the images differ\n" + "\n".join(changes[:60]))
    return done.err


def same_images(name):
    def run(test):
        need_iterator(test)
        victim = test.victim(name)
        log = dumped_both_ways(test, victim)
        test.check("smaps" not in log, f"smaps was read\n{log}")
        victim.verdict()
    return run


for _name in ("memory_kinds", "memory_advice", "mm_layout"):
    globals()[f"test_same_{_name}"] = same_images(_name)


def test_falls_back(test):
    """What only smaps tells (the size of huge pages) is looked up there."""
    need_iterator(test)
    huge_pages()
    victim = test.victim("hugetlb")
    log = dumped_both_ways(test, victim)
    test.check("looked up in smaps" in log, f"smaps was not read\n{log}")
    victim.verdict()


def test_not_allowed(test):
    """Without the capability smaps is read: with a warning when the iterator was asked for."""
    need_program("setpriv")
    victim = test.victim("simple")
    bare = ("setpriv", "--bounding-set=-sys_admin,-bpf,-perfmon", "--inh-caps=-sys_admin,-bpf,-perfmon", "--")
    for how, warned in (("bpf", True), ("auto", False)):
        done = test.run(*bare, test.tool_path("cr-dump"), "--no-default-config", "-t", victim.pid, "-D", test.path(how),
                        "-R", f"--vma-flags={how}").ok()
        test.check(("read from smaps" in done.err) == warned, f"{how}: {done}")
    victim.verdict()
