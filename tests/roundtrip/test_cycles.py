"""One process dumped and restored many times in a row: nothing is lost, nothing leaks."""
import os

import snapshot
from harness import read, seconds


def open_files_of_everyone():
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in os.listdir("/proc") if pid.isdigit())


def processes():
    return sorted(int(pid) for pid in os.listdir("/proc") if pid.isdigit())


@seconds(300)
def test_cycles(test):
    victim = test.victim("everything")
    before = victim.snapshot()
    files, mounts = open_files_of_everyone(), read("/proc/self/mountinfo")
    for cycle in range(200 if test.full else 15):
        images = test.path("images")
        test.dump_and_end(victim, images)
        test.restore_detached(victim, images)
        lines = snapshot.restored_differences(before, victim.snapshot())
        test.check(not lines, f"cycle {cycle}:\n  " + "\n  ".join(lines))
    test.check(open_files_of_everyone() == files, "descriptors leaked")
    test.check(read("/proc/self/mountinfo") == mounts, "mounts leaked")
    victim.verdict()


def test_leave_running_cycles(test):
    victim = test.victim("everything")
    before = victim.snapshot()
    alive = processes()
    for _ in range(100 if test.full else 15):
        test.dump(victim, test.path("images"), "-R").ok()
    test.compare(before, victim.snapshot())
    test.check(processes() == alive, f"processes left behind: {set(processes()) - set(alive)}")
    victim.verdict()


def test_images_do_not_grow(test):
    victim = test.victim("simple")
    sizes = []
    for number in range(6):
        images = test.path(f"images{number}")
        test.dump_and_end(victim, images)
        test.restore_detached(victim, images)
        sizes.append(os.path.getsize(os.path.join(images, "pages.img")))
    test.check(max(sizes[1:]) - min(sizes[1:]) <= 4 * 4096, f"page data: {sizes}")
    victim.verdict()
