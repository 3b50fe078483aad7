"""Which descriptors of which processes are one open file description, and which locks there are: what can't be seen in
one process alone."""
import ctypes
import functools
import os
import re

SYS_KCMP = 312
KCMP_FILE = 0

_libc = ctypes.CDLL(None, use_errno=True)


def _compare(one, other):
    """Of (pid, fd): kcmp(2) orders descriptions in a way that holds until the next boot."""
    result = _libc.syscall(SYS_KCMP, one[0], other[0], KCMP_FILE, ctypes.c_ulong(one[1]), ctypes.c_ulong(other[1]))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"kcmp {one} {other}")
    return (0, -1, 1)[result]


def shared_descriptions(pids):
    """Each set of (pid, fd) with one description, those with one number left out."""
    by_file = {}
    for pid in pids:
        for name in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{name}"
            status = os.stat(path)
            by_file.setdefault((status.st_dev, status.st_ino, os.readlink(path)), []).append((pid, int(name)))
    found = set()
    for numbers in by_file.values():
        numbers.sort(key=functools.cmp_to_key(_compare))
        group = numbers[:1]
        for number in numbers[1:] + [None]:
            if number is not None and _compare(group[0], number) == 0:
                group.append(number)
                continue
            if len(group) > 1:
                found.add(tuple(sorted(group)))
            group = [number]
    return sorted(found)


def locks(pids):
    """Lines of /proc/locks about files these processes have open, without number, pid of a description's lock and
    device."""
    files = {os.stat(f"/proc/{pid}/fd/{name}").st_ino for pid in pids for name in os.listdir(f"/proc/{pid}/fd")}
    found = []
    with open("/proc/locks") as file:
        for line in file:
            fields = line.split()
            if "->" in fields:
                continue
            _, sort, _, access, pid, file_id, start, end = fields[:8]
            if int(file_id.split(":")[2]) in files:
                found.append((sort, access, pid if sort == "POSIX" else "", start, end))
    return sorted(found)


def vanishing(text):
    """Inode numbers of kernel objects left out."""
    return re.sub(r":\[\d+\]", "", text)
