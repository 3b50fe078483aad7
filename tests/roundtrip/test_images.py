"""The images on disk: modes, size, the description of the format, cr-inspect."""
import json
import os

import image_reader
from harness import read


def dumped(test, name="memory_kinds"):
    victim = test.victim(name)
    images = test.path("images")
    test.dump(victim, images, "-R").ok()
    return victim, images


def test_modes(test):
    old = os.umask(0)
    victim, images = dumped(test, "simple")
    os.umask(old)
    test.check(os.stat(images).st_mode & 0o777 == 0o700, "mode of the folder")
    for name in os.listdir(images):
        if name.endswith(".img"):
            test.check(os.stat(os.path.join(images, name)).st_mode & 0o777 == 0o600, f"mode of {name}")
    victim.verdict()


def test_read_by_description(test):
    """A reader that knows only docs/image-format.md finds what is in the target's memory."""
    victim, images = dumped(test)
    root_pid, files = image_reader.manifest(images)
    test.check(root_pid == victim.pid, f"root pid {root_pid}")
    for name, size in files.items():
        test.check(os.path.getsize(os.path.join(images, name)) == size, f"size of {name}")
        if name not in ("pages.img", "page-sums.img"):
            for kind, _ in image_reader.records(images, name):
                test.check(kind in image_reader.RECORD_TYPES.values(), kind)
    test.check((files["page-sums.img"] - 32) // 16 == files["pages.img"] // 4096, "one sum for each page")
    # The heap is written before ready and left alone after it.
    for line in read(f"/proc/{victim.pid}/maps").splitlines():
        if line.endswith("[heap]"):
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
    with open(f"/proc/{victim.pid}/mem", "rb") as memory:
        memory.seek(end - 65536)
        there = memory.read(65536)
    test.check(image_reader.read_memory(images, end - 65536, 65536) == there, "heap content")
    victim.verdict()


def test_zero_pages_cost_nothing(test):
    """A gigabyte that is reserved, and megabytes that are zero, take no space."""
    victim, images = dumped(test)
    size = os.path.getsize(os.path.join(images, "pages.img"))
    test.check(size < 4 << 20, f"pages.img has {size} bytes")
    victim.verdict()


def test_inspect(test):
    victim, images = dumped(test, "threads")
    done = test.tool("cr-inspect", "-D", images, "verify").ok()
    test.check("whole" in done.out, done.out)
    manifest, = json.loads(test.tool("cr-inspect", "-D", images, "--json").ok().out)
    test.check(manifest["message"]["root_pid"] == victim.pid, "root pid")
    records = json.loads(test.tool("cr-inspect", "-D", images, "--json", "show", "tasks.img").ok().out)
    test.check([record["type"] for record in records] == ["Task"] + ["Thread"] * 9, str(records)[:200])
    for name in ("tasks", "mm.img", "files.img", "pagemap.img"):
        test.check(test.tool("cr-inspect", "-D", images, "show", name).ok().out, name)
    test.tool("cr-inspect", "-D", images, "show", "nothing.img").failed(2, "no image file is called")
    test.tool("cr-inspect", "-D", test.path("none"), "verify").failed(5)
    victim.verdict()
