"""What can be seen of a process from outside, in a form that can be compared before and after."""
import os
import re

STATUS_KEYS = {
    "Name", "Umask", "State", "Tgid", "Pid", "Uid", "Gid", "Groups", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn",
    "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
    "Speculation_Store_Bypass", "Cpus_allowed", "THP_enabled", "TracerPid",
}
# Fields of /proc/pid/stat (proc_pid_stat(5)), counted from 1.
STAT_FIELDS = {
    5: "pgrp", 6: "session", 7: "tty_nr", 8: "tpgid", 18: "priority", 19: "nice", 20: "num_threads", 26: "startcode",
    27: "endcode", 28: "startstack", 38: "exit_signal", 40: "rt_priority", 41: "policy", 45: "start_data",
    46: "end_data", 47: "start_brk", 48: "arg_start", 49: "arg_end", 50: "env_start", 51: "env_end",
}
# Not state: soft-dirty is written while a process runs; "gu" says that there may be guard pages, and neighbours
# that were once one mapping get it together.
VOLATILE_VM_FLAGS = {"sd", "gu"}


def _read(path, mode="r"):
    with open(path, mode) as file:
        return file.read()


def _status(path):
    found = {}
    for line in _read(path + "/status").splitlines():
        key, _, value = line.partition(":")
        if key not in STATUS_KEYS:
            continue
        value = value.strip()
        # Running or sleeping is chance; stopped is state.
        if key == "State":
            value = "stopped" if value[0] in "Tt" else "alive"
        found[key] = value
    return found


def _stat(path):
    fields = _read(path + "/stat").rsplit(")", 1)[1].split()
    return {name: fields[number - 3] for number, name in STAT_FIELDS.items()}


_HEADER = re.compile(r"^([0-9a-f]+-[0-9a-f]+) (\S+) (\S+) (\S+) (\d+) *(.*)$")


_DELETED = re.compile(r"^(/.*/)[^/]* \(deleted\)$")


def without_ghost_name(path):
    """A deleted file keeps its folder and loses its name."""
    return _DELETED.sub(r"\1(deleted)", path)


def maps(pid):
    """[(range, permissions, offset, name, VmFlags)]; device and inode are left out: memory objects get new
    ones."""
    found = []
    for line in _read(f"/proc/{pid}/smaps").splitlines():
        header = _HEADER.match(line)
        if header:
            area, permissions, offset, _, _, name = header.groups()
            found.append([area, permissions, offset, without_ghost_name(name), ""])
        elif line.startswith("VmFlags:"):
            flags = sorted(set(line.split()[1:]) - VOLATILE_VM_FLAGS)
            found[-1][4] = " ".join(flags)
    return {entry[0]: " ".join(entry[1:]) for entry in found if entry[3] != "[vsyscall]"}


_ANONYMOUS_INODE = re.compile(r":\[\d+\]$")


# A file that was made without a name says so in its flags; restored it is a deleted file.
O_TMPFILE = os.O_TMPFILE


def descriptors(pid):
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{name}")
            info = _read(f"/proc/{pid}/fdinfo/{name}")
        except FileNotFoundError:
            continue
        lines = []
        for line in info.splitlines():
            key = line.partition(":")[0]
            # Time left runs on; ids and inodes belong to this kernel session.
            if key == "flags":
                line = f"flags: {int(line.split()[1], 8) & ~O_TMPFILE:o}"
            if key in ("pos", "flags", "sigmask", "eventfd-count", "clockid", "settime flags") or key.startswith("tfd"):
                lines.append(re.sub(r"\s*(ino|sdev|pos):\S+", "", line))
        found[int(name)] = (without_ghost_name(_ANONYMOUS_INODE.sub("", link)), sorted(lines))
    return found


def threads(pid):
    found = {}
    for tid in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        path = f"/proc/{pid}/task/{tid}"
        try:
            entry = _status(path)
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
        stat = _stat(path)
        entry.update({key: stat[key] for key in ("priority", "nice", "rt_priority", "policy")})
        entry["comm"] = _read(path + "/comm")
        found[int(tid)] = entry
    return found


def take(pid):
    """Everything, as {subject: {item: value}}."""
    path = f"/proc/{pid}"
    links = {}
    for name in ("cwd", "root", "exe"):
        links[name] = os.readlink(f"{path}/{name}")
    texts = {}
    for name in ("limits", "oom_score_adj", "personality", "timerslack_ns", "coredump_filter"):
        try:
            texts[name] = _read(f"{path}/{name}")
        except OSError:
            texts[name] = "unreadable"
    for name in ("cmdline", "environ", "auxv"):
        texts[name] = _read(f"{path}/{name}", "rb")
    return {
        "maps": maps(pid), "descriptors": descriptors(pid), "threads": threads(pid), "stat": _stat(path),
        "links": links, "texts": texts,
    }


def differences(before, after, ignore=()):
    """Lines that name each difference; `ignore` holds "subject/item" names."""
    lines = []
    for subject in before:
        old, new = before[subject], after[subject]
        for item in sorted(set(old) | set(new), key=str):
            if old.get(item) == new.get(item) or f"{subject}/{item}" in ignore or subject in ignore:
                continue
            if isinstance(old.get(item), dict) and isinstance(new.get(item), dict):
                for key in sorted(set(old[item]) | set(new[item])):
                    if old[item].get(key) != new[item].get(key) and f"{subject}/{key}" not in ignore:
                        lines.append(f"{subject} {item} {key}: {old[item].get(key)!r} -> {new[item].get(key)!r}")
                continue
            lines.append(f"{subject} {item}: {old.get(item)!r} -> {new.get(item)!r}")
    return lines


def _joined(maps):
    """Adjacent mappings that are alike in everything, and go on in the same file, as one."""
    found = {}
    last = None
    for area in sorted(maps, key=lambda text: int(text.split("-")[0], 16)):
        start, end = area.split("-")
        permissions, offset, *rest = maps[area].split(" ")
        # Anonymous private memory, the heap too, has no offset.
        anonymous = permissions[3] == "p" and rest[0] in ("", "[heap]")
        goes_on = 0 if anonymous else int(offset, 16) + int(end, 16) - int(start, 16)
        alike = (permissions, rest)
        if last and last[1:] == (start, alike, int(offset, 16)):
            start = last[0]
            offset = found.pop(f"{start}-{area.split('-')[0]}").split(" ")[1]
        found[f"{start}-{end}"] = " ".join([permissions, offset, *rest])
        last = (start, end, alike, goes_on)
    return found


def restored_differences(before, after, ignore=()):
    """As differences(), for a process that was restored: when two mappings come to lie side by side and are alike
    in everything, the kernel makes one of them or keeps two, depending on which of them had pages when it
    happened. Every address has the same permissions and flags either way."""
    before, after = ({**state, "maps": _joined(state["maps"])} for state in (before, after))
    return differences(before, after, ignore)
