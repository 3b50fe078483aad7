"""Memory that a parent and its children share copy-on-write is stored once and restored once."""
import os
import re

from harness import Skip, descendants, read, wait_for
from test_snapshot import live_trip
from test_stores import stored_bytes

MIB = 1 << 20
PROGRAM = """
import hashlib, mmap, os, sys, time
mebibytes, children = int(sys.argv[1]), int(sys.argv[2])
area = mmap.mmap(-1, mebibytes << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area[:] = os.urandom(len(area))
me = 0
for number in range(1, children + 1):
    if os.fork() == 0:
        me = number
        break
area[me * 4096:me * 4096 + 8] = b"%08d" % me
open("ready%d" % me, "w").close()
while not os.path.exists("go"): time.sleep(0.01)
ours = area[me * 4096:me * 4096 + 8]
area[me * 4096:me * 4096 + 8] = bytes(8)
assert ours == b"%08d" % me, ours
open("sum%d.tmp" % me, "w").write(hashlib.sha256(area[(children + 1) * 4096:]).hexdigest())
os.rename("sum%d.tmp" % me, "sum%d" % me)
while True: time.sleep(1)
"""
CHILDREN = 8


def family(test, mebibytes, python="python3"):
    program = test.program(python, "-c", PROGRAM, mebibytes, CHILDREN, cwd=test.folder)
    wait_for(lambda: all(os.path.exists(test.path(f"ready{i}")) for i in range(CHILDREN + 1)), "the family")
    return program


def proportional(pid):
    """Memory of all tasks of a tree, what several have counted once."""
    texts = [read(f"/proc/{member}/smaps_rollup") for member in [pid, *descendants(pid)]]
    return sum(int(re.search(r"^Pss_Anon: *(\d+) kB", text, re.M)[1]) << 10 for text in texts)


def fixed_python():
    """One that is not position independent: it lies where programs have always been."""
    path = "/usr/bin/python3"
    with open(path, "rb") as file:
        kind = file.read(18)[16]
    if kind != 2:  # ET_EXEC
        raise Skip(f"{path} is position independent")
    return path


def checked(test, program):
    open(test.path("go"), "w").close()
    sums = [wait_for(lambda: read(test.path(f"sum{i}")), f"sum {i}") for i in range(CHILDREN + 1)]
    test.check(len(set(sums)) == 1, f"different memory: {sums}")
    test.kill_tree(program)


def stored_once(*options, wrap=(), find_python=lambda: "python3"):
    def run(test):
        program = family(test, 24, find_python())
        unique = proportional(program.pid)
        images = test.path("images")
        if wrap:
            test.run(*wrap, test.tool_path("cr-dump"), "--no-default-config", "-t", program.pid, "-D", images,
                     "-R", *options).ok()
            test.kill_tree(program)
        else:
            test.dump_and_end(program, images, *options)
        stored = stored_bytes(images)
        test.check(stored <= 1.15 * unique, f"{stored / MIB:.1f} MiB stored, {unique / MIB:.1f} MiB are unique")
        test.tool("cr-inspect", "verify", "-D", images).ok()
        test.restore_detached(program, images)
        restored = proportional(program.pid)
        test.check(restored <= 1.15 * unique, f"{restored / MIB:.1f} MiB restored, it was {unique / MIB:.1f} MiB")
        checked(test, program)
    return run


test_stored_once = stored_once()
test_stored_once_vm_readv = stored_once("--transfer=vm-readv")
test_stored_once_fixed_address = stored_once(find_python=fixed_python)
test_stored_once_dedup = stored_once("--dedup-pages")
# Without CAP_SYS_ADMIN the kernel shows no frame numbers: content is compared.
test_stored_once_by_content = stored_once("--snapshot=stop", wrap=(
    "setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--"))


def test_stored_once_from_copies(test):
    """With -R the copies share what the tasks do."""
    program = family(test, 24)
    unique = proportional(program.pid)
    images = test.path("images")
    done = test.dump(program, images, "-R", "--snapshot=cow", "--json").ok().json()
    copied = done["statistics"]["tasks_copied"]
    test.check(copied == CHILDREN + 1, f"copied: {copied}")
    stored = stored_bytes(images)
    test.check(stored <= 1.15 * unique, f"{stored / MIB:.1f} MiB stored, {unique / MIB:.1f} MiB are unique")
    test.kill_tree(program)
    test.restore_detached(program, images)
    restored = proportional(program.pid)
    test.check(restored <= 1.15 * unique, f"{restored / MIB:.1f} MiB restored, it was {unique / MIB:.1f} MiB")
    checked(test, program)


def test_child_of_an_increment(test):
    """Children that were born since the parent checkpoint share pages that are only there."""
    program = test.program("python3", "-c", PROGRAM.replace("if os.fork", "if number == 3: open('half', 'w').close()\n"
                           "    while number == 3 and not os.path.exists('on'): time.sleep(0.01)\n    if os.fork"),
                           24, CHILDREN, cwd=test.folder)
    wait_for(lambda: os.path.exists(test.path("half")), "half the family")
    test.dump(program, test.path("first"), "-R", "--track-mem").ok()
    open(test.path("on"), "w").close()
    wait_for(lambda: all(os.path.exists(test.path(f"ready{i}")) for i in range(CHILDREN + 1)), "the family")
    images = test.path("images")
    test.dump_and_end(program, images, "--prev-images-dir", "../first")
    stored = stored_bytes(images)
    test.check(stored <= 12 * MIB, f"{stored / MIB:.1f} MiB stored")
    test.tool("cr-inspect", "verify", "-D", images).ok()
    test.restore_detached(program, images)
    checked(test, program)


def family_trip(name, *options):
    def run(test):
        test.round_trip(test.victim(name), dump=options)
        live_trip(test, test.victim(name), "cow", *options)
    return run


test_family_compressed = family_trip("cow_family", "--compress=lz4")
test_family_dedup = family_trip("cow_family", "--dedup-pages")
test_family_direct_io = family_trip("cow_family", "--direct-io")
