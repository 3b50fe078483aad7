"""Chains of checkpoints: each member holds what memory was at its moment, whatever found the changes."""
import ctypes
import json
import os
import re
import shutil
import signal
import struct

import image_reader
from harness import Skip, need_program, read, read_stat, seconds, slow, wait_for

PAGE = 4096
PTRACE_SEIZE = 0x4206
TRACKERS = ("uffd-wp", "soft-dirty", "hash", "none")


def has_feature(test, name):
    features = test.tool("cr-check", "--json").json()["features"]
    return next(known["available"] for known in features if known["name"] == name)


def need_tracker(test, tracker):
    feature = {"uffd-wp": "userfaultfd write-protect async", "soft-dirty": "soft-dirty"}.get(tracker)
    if feature and not has_feature(test, feature):
        raise Skip(f"this kernel has no {feature}")


def sequence(victim):
    with open(victim.path("sequence"), "rb") as file:
        return struct.unpack("<Q", file.read(8))[0]


def go_on(victim):
    """The victim and a child it may have at the moment: both were left stopped."""
    os.killpg(victim.pid, signal.SIGCONT)


def let_run(victim, steps=40):
    go_on(victim)
    start = sequence(victim)
    wait_for(lambda: sequence(victim) >= start + steps, f"{steps} more steps")


def private_areas(pid):
    """(start, end, offset, path) of the areas whose pages a checkpoint holds."""
    for line in read(f"/proc/{pid}/maps").splitlines():
        span, perms, offset, _, inode, *path = line.split(maxsplit=5)
        name = path[0] if path else ""
        if perms[3] != "p" or name.startswith(("[vdso", "[vvar", "[vsyscall")):
            continue
        start, end = (int(part, 16) for part in span.split("-"))
        yield start, end, int(offset, 16), name if inode != "0" else None


def only_rseq(there, image):
    """The kernel writes the processor's number into struct rseq (32 bytes) whenever the thread moved."""
    different = [at for at in range(PAGE) if there[at] != image[at]]
    return different[0] // 32 == different[-1] // 32


def as_tracer(pid, function):
    """What function() returns in a child that traces `pid`: some kernels show memory without PROT_READ only to a tracer
    (proc_mem.force_override=ptrace). When the child ends, the process is as it was."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.ptrace(PTRACE_SEIZE, pid, None, None) != 0:
                raise OSError(ctypes.get_errno(), "PTRACE_SEIZE")
            os.write(theirs, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as file:
        text = file.read()
    os.waitpid(child, 0)
    return json.loads(text)


def check_memory(test, victim, images, what):
    """The image equals the memory of the stopped victim, byte for byte."""
    wrong, left = as_tracer(victim.pid, lambda: compare_memory(victim, images))
    test.check(not wrong, f"{what}: {len(wrong)} pages differ: {wrong[:8]}")
    test.check(not left, f"{what}: {left} pages belong nowhere")


def compare_memory(victim, images):
    """Addresses of pages that differ, at most a hundred, and how many pages of the image belong nowhere."""
    held = image_reader.resolved_pages(images)
    wrong = []
    with open(f"/proc/{victim.pid}/mem", "rb", buffering=0) as memory:
        for start, end, offset, path in private_areas(victim.pid):
            file = open(path, "rb") if path and os.path.exists(path) else None
            for address in range(start, end, PAGE):
                image = held.pop(address, None)
                if path and image is None and file is None:
                    continue
                memory.seek(address)
                there = memory.read(PAGE)
                if image is None and file is not None:
                    file.seek(offset + address - start)
                    image = file.read(PAGE).ljust(PAGE, b"\0")
                if there != (image or bytes(PAGE)) and not only_rseq(there, image or bytes(PAGE)):
                    wrong.append(f"{address:x}")
            if file:
                file.close()
    return wrong[:100], len(held)


def take(test, victim, folder, *arguments, previous=None):
    if previous:
        arguments += ("--prev-images-dir", os.path.relpath(previous, folder))
    done = test.dump(victim, folder, "-s", "--json", *arguments).ok()
    wait_for(lambda: read_stat(victim.pid) == "T", "the victim to be stopped")
    return done


def take_copy(test, victim, folder, *arguments, previous=None):
    """From a copy of the memory of a victim that is stopped and stays so: what was copied can be compared."""
    if previous:
        arguments += ("--prev-images-dir", os.path.relpath(previous, folder))
    os.killpg(victim.pid, signal.SIGSTOP)
    wait_for(lambda: read_stat(victim.pid) == "T", "the victim to be stopped")
    done = test.dump(victim, folder, "-R", "--snapshot=cow", "--json", *arguments).ok()
    used = done.json()["statistics"]["snapshot"]
    test.check(used == "cow", f"the snapshot was {used}\n{done}")
    wait_for(lambda: read_stat(victim.pid) == "T", "the victim to be stopped again")
    return done


def churn(test, tracker, seed, rounds):
    """Half of the checkpoints are taken from a copy, half of the stopped process."""
    need_tracker(test, tracker)
    without_smaps = has_feature(test, "BPF iterator of mappings")
    victim = test.victim("churn", seed)
    previous, chain = None, []
    for number in range(rounds):
        folder = test.path(f"{tracker}-{seed}-{number}")
        options = ["--tracker-verify"] if number % 3 == 2 else []
        if number % 2 and without_smaps:
            options.append("--vma-flags=bpf")
        how = take_copy if number // 2 % 2 else take
        done = how(test, victim, folder, f"--tracker={tracker}", "--track-mem", *options, previous=previous)
        numbers = done.json()["statistics"]
        test.check(numbers["pages_missed"] == 0, f"{tracker} seed {seed} round {number}: missed pages\n{done}")
        test.check("warning" not in done.err and "saved:" not in done.err, f"round {number}: {done.err}")
        if previous and tracker != "none":
            test.check(numbers["pages_unchanged"] > 0, f"{tracker} round {number}: nothing was left to the parent\n{done.out}")
        check_memory(test, victim, folder, f"{tracker} seed {seed} round {number}")
        chain.append(folder)
        previous = folder
        let_run(victim)
    flat = test.path("flat")
    test.tool("cr-dedup", "-D", previous, "--flatten", flat).ok()
    test.check(image_reader.resolved_pages(flat) == image_reader.resolved_pages(previous), "the flattened image")
    test.tool("cr-inspect", "-D", flat, "verify").ok()
    victim.verdict()
    # The flattened one, without any parent; then the chain.
    hidden = test.path("hidden")
    os.mkdir(hidden)
    for folder in chain[:-1]:
        os.rename(folder, os.path.join(hidden, os.path.basename(folder)))
    victim.again()
    test.restore_detached(victim, flat)
    go_on(victim)
    victim.verdict()
    for folder in chain[:-1]:
        os.rename(os.path.join(hidden, os.path.basename(folder)), folder)
    for folder in (chain[len(chain) // 2], chain[-1]):
        victim.again()
        test.restore_detached(victim, folder)
        go_on(victim)
        victim.verdict()
    for folder in chain:
        shutil.rmtree(folder)


def make_churn(tracker):
    @seconds(240)
    def run(test):
        churn(test, tracker, 1, 8)

    @slow
    @seconds(3600)
    def run_long(test):
        for seed in range(2, 22):
            churn(test, tracker, seed, 50)
            shutil.rmtree(test.path("flat"))
            shutil.rmtree(test.path("hidden"))
    return run, run_long


for _tracker in TRACKERS:
    _name = _tracker.replace("-", "_")
    globals()[f"test_churn_{_name}"], globals()[f"test_churn_long_{_name}"] = make_churn(_tracker)


def test_refused_tracker(test):
    """A tracker that this kernel does not have is refused by name, and auto does not choose it."""
    missing = [known["name"] for known in test.tool("cr-check", "--json").json()["features"] if not known["available"]]
    victim = test.victim("simple")
    if "soft-dirty" in missing:
        test.dump(victim, test.path("soft"), "-R", "--track-mem", "--tracker=soft-dirty").failed(3, "soft-dirty")
        done = test.dump(victim, test.path("auto"), "-R", "--track-mem", "--json").ok()
        test.check(done.json()["statistics"]["tracker"] != "soft-dirty", done.out)
    victim.verdict()


@seconds(120)
def test_pre_dump(test):
    """Pre-dumps of a running victim, then a dump; what is restored checks itself."""
    victim = test.victim("churn", 77)
    first, second, last = test.path("pre1"), test.path("pre2"), test.path("last")
    test.tool("cr-pre-dump", "--no-default-config", "-t", victim.pid, "-D", first).ok()
    let_run(victim)
    test.tool("cr-pre-dump", "--no-default-config", "-t", victim.pid, "-D", second, "--prev-images-dir", "../pre1").ok()
    let_run(victim)
    test.restore(second, "-d").failed(3, "is a pre-dump")
    done = take(test, victim, last, previous=second)
    test.check("saved:" not in done.err, done.err)
    check_memory(test, victim, last, "after two pre-dumps")
    victim.kill()
    test.restore_detached(victim, last)
    go_on(victim)
    victim.verdict()


def test_keeper(test):
    """The keeper is listed, holds nothing else, survives the tool and ends with the target."""
    need_tracker(test, "uffd-wp")
    victim = test.victim("simple")
    test.dump(victim, test.path("1"), "-R", "--track-mem").ok()
    keepers = test.tool("cr-check", "--trackers", "--json").ok().json()["trackers"]
    test.check([keeper["pid"] for keeper in keepers] == [victim.pid], str(keepers))
    keeper = keepers[0]["keeper_pid"]
    links = sorted(os.readlink(f"/proc/{keeper}/fd/{fd}") for fd in os.listdir(f"/proc/{keeper}/fd"))
    test.check(len(links) == 3 and "anon_inode:[userfaultfd]" in links, str(links))
    test.check(not any("userfaultfd" in os.readlink(f"/proc/{victim.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{victim.pid}/fd")),
               "a userfaultfd was left in the target")
    test.check(os.getsid(keeper) not in (os.getsid(0), os.getsid(victim.pid)), "a session of its own")
    # A plain dump of a tracked process, and what is restored from it.
    before = victim.snapshot()
    test.dump(victim, test.path("plain"), "-R").ok()
    test.compare(before, victim.snapshot())
    victim.verdict()
    wait_for(lambda: read_stat(keeper) is None, "the keeper to end")


LOST = {}


def lost(text):
    def mark(function):
        LOST[function.__name__] = (function, text)
        return function
    return mark


@lost("its keeper is gone")
def keeper_killed(test, victim, first, second):
    keeper = test.tool("cr-check", "--trackers", "--json").ok().json()["trackers"][0]["keeper_pid"]
    os.kill(keeper, signal.SIGKILL)
    wait_for(lambda: read_stat(keeper) is None, "the keeper to end")
    return second


@lost("its keeper is gone")
def trackers_ended(test, victim, first, second):
    test.tool("cr-check", "--trackers", "--end").ok()
    test.check("no process is tracked" in test.tool("cr-check", "--trackers").ok().out, "still tracked")
    return second


@lost("begun anew")
def stale(test, victim, first, second):
    return first


@lost("begun anew")
def failed_dump_between(test, victim, first, second):
    need_program("strace")
    test.run("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat", "-e", "inject=renameat:error=EIO", test.tool_path("cr-dump"),
             "-t", victim.pid, "-D", test.path("failed"), "-R", "--track-mem", "--prev-images-dir", second).failed(1)
    return second


@lost("no such file")
def parent_deleted(test, victim, first, second):
    shutil.rmtree(second)
    return second


@lost("builds on")
def grandparent_deleted(test, victim, first, second):
    shutil.rmtree(first)
    return second


@lost("damaged")
def parent_damaged(test, victim, first, second):
    with open(os.path.join(second, "mm.img"), "r+b") as file:
        file.seek(100)
        byte = file.read(1)[0]
        file.seek(100)
        file.write(bytes([byte ^ 1]))
    return second


@lost("has another process")
def other_target(test, victim, first, second):
    other = test.victim("churn", 6)
    folder = test.path("other")
    test.dump(other, folder, "-R", "--track-mem").ok()
    other.verdict()
    return folder


def make_lost(function, text):
    @seconds(90)
    def run(test):
        need_tracker(test, "uffd-wp")
        victim = test.victim("churn", 5)
        first, second, third = test.path("1"), test.path("2"), test.path("3")
        test.dump(victim, first, "-R", "--track-mem").ok()
        test.dump(victim, second, "-R", "--track-mem", "--prev-images-dir", "../1").ok()
        parent = function(test, victim, first, second)
        let_run(victim)
        done = take(test, victim, third, "--track-mem", previous=parent)
        test.check("everything is saved" in done.err and text in done.err.lower(), f"expected a warning about {text}: {done}")
        test.check(done.json()["statistics"]["pages_unchanged"] == 0, done.out)
        check_memory(test, victim, third, function.__name__)
        # Tracked again from here on.
        let_run(victim)
        fourth = test.path("4")
        done = take(test, victim, fourth, "--track-mem", previous=third)
        test.check(done.json()["statistics"]["pages_unchanged"] > 0 and not done.err, str(done))
        check_memory(test, victim, fourth, function.__name__)
        go_on(victim)
        victim.verdict()
    return run


for _name, (_function, _text) in LOST.items():
    globals()[f"test_lost_{_name}"] = make_lost(_function, _text)


def test_lost_exec(test):
    """Another program in the same process: nothing is taken from the parent."""
    need_tracker(test, "uffd-wp")
    go = test.path("go")
    program = test.program("sh", "-c", f"while [ ! -e {go} ]; do :; done; exec sleep 1000")
    first, second = test.path("1"), test.path("2")
    wait_for(lambda: read(f"/proc/{program.pid}/comm") == "sh\n", "the shell")
    test.dump(program, first, "-R", "--track-mem").ok()
    open(go, "w").close()
    wait_for(lambda: read(f"/proc/{program.pid}/comm") == "sleep\n", "the other program")
    done = take(test, program, second, "--track-mem", previous=first)
    test.check("runs another program" in done.err, done.err)
    check_memory(test, program, second, "after exec")
    program.kill()


def chain_of(test, victim, count):
    folders = []
    for number in range(count):
        folder = test.path(f"c{number}")
        take(test, victim, folder, "--track-mem", previous=folders[-1] if folders else None)
        folders.append(folder)
        let_run(victim)
    return folders


@seconds(180)
def test_dedup(test):
    victim = test.victim("churn", 9)
    chain = chain_of(test, victim, 4)
    victim.verdict()
    before = image_reader.resolved_pages(chain[-1])
    size = sum(os.stat(os.path.join(folder, "pages.img")).st_blocks for folder in chain)
    planned = test.tool("cr-dedup", "-D", chain[-1], "--dry-run", "--json").ok().json()["ancestors"]
    test.check(sum(share["pages_freed"] for share in planned) > 0, "nothing to free")
    test.check(sum(os.stat(os.path.join(folder, "pages.img")).st_blocks for folder in chain) == size, "a dry run frees nothing")
    # Killed at every single hole, then once to the end.
    need_program("strace")
    for number in range(1, 12):
        test.run("strace", "-qq", "-o", "/dev/null", "-e", "trace=fallocate", "-e", f"inject=fallocate:signal=KILL:when={number}",
                 test.tool_path("cr-dedup"), "-D", chain[-1])
        test.check(image_reader.resolved_pages(chain[-1]) == before, f"killed at hole {number}: the chain is not what it was")
        test.tool("cr-inspect", "-D", chain[-1], "verify").ok()
    test.run("strace", "-qq", "-o", "/dev/null", "-e", "trace=fallocate", "-e", "inject=fallocate:error=ENOSPC:when=2",
             test.tool_path("cr-dedup"), "-D", chain[-1])
    test.tool("cr-dedup", "-D", chain[-1]).ok()
    test.check(sum(os.stat(os.path.join(folder, "pages.img")).st_blocks for folder in chain) < size, "nothing was freed")
    test.check(image_reader.resolved_pages(chain[-1]) == before, "the chain is not what it was")
    left = test.tool("cr-dedup", "-D", chain[-1], "--dry-run", "--json").ok().json()["ancestors"]
    test.check(sum(share["pages_freed"] for share in left) == 0, "something is left")
    # An ancestor that lost pages says so; the last one is restored.
    test.restore(chain[0], "-d").failed(5, "freed by cr-dedup")
    victim.again()
    test.restore_detached(victim, chain[-1])
    go_on(victim)
    victim.verdict()


@seconds(120)
def test_auto_dedup(test):
    victim = test.victim("churn", 10)
    first, second = test.path("1"), test.path("2")
    take(test, victim, first, "--track-mem")
    size = os.stat(os.path.join(first, "pages.img")).st_blocks
    let_run(victim, 200)
    take(test, victim, second, "--track-mem", "--auto-dedup", previous=first)
    check_memory(test, victim, second, "after --auto-dedup")
    test.check(os.stat(os.path.join(first, "pages.img")).st_blocks < size, "nothing was freed")
    go_on(victim)
    victim.verdict()


def test_own_folder_is_no_parent(test):
    victim = test.victim("simple")
    images = test.path("images")
    test.dump(victim, images, "-R", "--track-mem").ok()
    test.dump(victim, images, "-R", "--prev-images-dir", ".").failed(2, "its own parent")
    test.tool("cr-inspect", "-D", images, "verify").ok()
    victim.verdict()


@seconds(120)
def test_shared_memory_and_threads(test):
    """Victims with every kind of memory, as increments without a change: restored, they check themselves."""
    for name in ("memory_kinds", "memory_exotic", "shm_files", "threads"):
        victim = test.victim(name)
        first, second = test.path(name + "1"), test.path(name + "2")
        test.dump(victim, first, "-R", "--track-mem").ok()
        done = test.dump_and_end(victim, second, "--json", "--prev-images-dir", f"../{name}1")
        numbers = done.json()["statistics"]
        test.check(numbers["pages_unchanged"] > 0 and numbers["pages_written"] < 200, f"{name}: {done.out}")
        test.restore_detached(victim, second)
        victim.verdict()
