"""How page data is stored: compressed, once for pages that are alike, past the page cache, slowly."""
import os
import time

from harness import read, wait_for
from test_snapshot import live_trip


def stored_bytes(folder):
    return sum(os.stat(os.path.join(folder, name)).st_size for name in os.listdir(folder)
               if name in ("pages.img", "packed-pages.img"))


def store_trip(name, *options):
    def run(test):
        victim = test.victim(name)
        test.round_trip(victim, dump=options)
        live_trip(test, test.victim(name), "cow", *options)
        test.tool("cr-inspect", "verify", "-D", test.path("live")).ok()
    return run


OPTIONS = {
    "lz4": ("--compress=lz4",),
    "zstd": ("--compress=zstd",),
    "zstd_9": ("--compress=zstd:9",),
    "dedup": ("--dedup-pages",),
    "dedup_zstd": ("--dedup-pages", "--compress=zstd"),
    "direct": ("--direct-io",),
    "direct_parasite": ("--direct-io", "--transfer=parasite"),
    "direct_dedup": ("--direct-io", "--dedup-pages"),
    "bandwidth": ("--bandwidth=200M",),
}
for case, options in OPTIONS.items():
    for victim_name in ("memory_kinds", "everything"):
        globals()[f"test_{case}_{victim_name}"] = (lambda run: lambda test: run(test))(store_trip(victim_name, *options))

PROGRAM = """
import mmap, os, sys, time
kind, mebibytes = sys.argv[1], int(sys.argv[2])
area = mmap.mmap(-1, mebibytes << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, len(area), 4096):
    number = (at // 4096) % 100 if kind == "alike" else at // 4096
    area[at:at + 4096] = (b"%08d" % number) * 512 if kind != "noise" else os.urandom(4096)
open("ready", "w").close()
while not os.path.exists("go"): time.sleep(0.01)
import hashlib
open("sum.tmp", "w").write(hashlib.sha256(area[:]).hexdigest())
os.rename("sum.tmp", "sum")
while True: time.sleep(1)
"""


def filled(test, kind, mebibytes=32):
    program = test.program("python3", "-c", PROGRAM, kind, mebibytes, cwd=test.folder)
    wait_for(lambda: os.path.exists(test.path("ready")), "the program")
    return program


def checked(test, program, images):
    """The content of the program's memory before, and that of the one restored from `images`."""
    sums = []
    for restored in (False, True):
        if restored:
            program.kill()
            for name in ("go", "sum"):
                os.unlink(test.path(name))
            test.restore_detached(program, images)
        open(test.path("go"), "w").close()
        sums.append(wait_for(lambda: read(test.path("sum")), "the sum"))
    test.check(sums[0] == sums[1], "memory differs")


def test_alike_pages_are_stored_once(test):
    program = filled(test, "alike")
    plain, dedup = test.path("plain"), test.path("dedup")
    test.dump(program, plain, "-R").ok()
    stats = test.dump(program, dedup, "-R", "--dedup-pages", "--json").ok().json()["statistics"]
    test.check(stats["pages_deduplicated"] >= 8000, f"only {stats['pages_deduplicated']} pages were found alike")
    saved = stored_bytes(plain) - stored_bytes(dedup)
    test.check(saved == stats["pages_deduplicated"] * 4096 or saved > 8000 * 4096, f"{saved} bytes saved")
    test.check(stored_bytes(dedup) == stats["bytes_written"], "bytes_written is not what is stored")
    checked(test, program, dedup)


def test_text_is_packed(test):
    program = filled(test, "text")
    for method in ("lz4", "zstd"):
        folder = test.path(method)
        stats = test.dump(program, folder, "-R", f"--compress={method}", "--json").ok().json()["statistics"]
        test.check(stats["compression"] == method, f"compressed with {stats['compression']}")
        test.check(stored_bytes(folder) == stats["bytes_written"], "bytes_written is not what is stored")
        test.check(stored_bytes(folder) < 8 << 20, f"{stored_bytes(folder)} bytes for 32 MiB of text")
        test.check(not os.path.exists(os.path.join(folder, "pages.img")), "unpacked pages were left")
    checked(test, program, test.path("zstd"))


def test_damaged_block_is_refused(test):
    program = filled(test, "text", 8)
    images = test.path("images")
    test.dump(program, images, "--compress=lz4").ok()
    program.reap()
    packed = os.path.join(images, "packed-pages.img")
    with open(packed, "r+b") as file:
        file.seek(os.stat(packed).st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    test.restore(images, "-d").failed(5, "damaged", "packed-pages.img")
    test.tool("cr-inspect", "verify", "-D", images).failed(5, "damaged")


def test_bandwidth_holds(test):
    """32 MiB of noise at 32 MiB a second take a second, in which the process runs."""
    program = filled(test, "noise")
    began = time.monotonic()
    stats = test.dump(program, test.path("slow"), "-R", "--snapshot=cow", "--bandwidth=32M", "--json").ok().json()
    took = time.monotonic() - began
    test.check(took >= 0.9, f"it took {took:.2f} s")
    test.check(stats["statistics"]["freeze_ns"] < 0.5e9, "the process was frozen meanwhile")


def test_dedup_and_parasite_exclude_each_other(test):
    program = test.victim("simple")
    test.dump(program, test.path("images"), "--dedup-pages", "--transfer=parasite").failed(2, "--dedup-pages")
    program.kill()
