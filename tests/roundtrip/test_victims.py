"""Each victim through dump and go on, dump and restore, twice in a row, and a second restore."""
import os

from harness import Skip, read


def round_trip(name, *arguments, ignore=(), dump=(), restore=(), prepare=None):
    def run(test):
        if prepare:
            prepare()
        victim = test.victim(name, *arguments)
        test.round_trip(victim, ignore=ignore, dump=dump, restore=restore)
    return run


def huge_pages():
    """A few hugetlb pages, if the machine lets us have them; they are given back by the last test."""
    if int(read("/proc/sys/vm/nr_hugepages", "0")) < 8:
        try:
            with open("/proc/sys/vm/nr_hugepages", "w") as file:
                file.write("16")
        except OSError as error:
            raise Skip(f"no hugetlb pages: {error}")
    if int(read("/proc/sys/vm/nr_hugepages", "0")) < 8:
        raise Skip("no hugetlb pages: vm.nr_hugepages can't be raised")


CASES = {
    "simple": round_trip("simple"),
    "barriers": round_trip("barriers"),
    "mdwe": round_trip("mdwe"),
    "threads": round_trip("threads"),
    "threads_100": round_trip("threads", "100"),
    "registers": round_trip("registers"),
    "signals": round_trip("signals"),
    # Its threads end as their time runs out.
    "restarts": round_trip("restarts", ignore=("threads", "stat/num_threads", "maps")),
    "memory_kinds": round_trip("memory_kinds"),
    "memory_advice": round_trip("memory_advice"),
    "memory_exotic": round_trip("memory_exotic"),
    "lock_future": round_trip("memory_lock_future"),
    "lock_future_on_fault": round_trip("memory_lock_future", "onfault"),
    "hugetlb": round_trip("hugetlb", prepare=huge_pages),
    "mm_layout": round_trip("mm_layout"),
    "no_vdso": round_trip("no_vdso"),
    "no_vdso_threads": round_trip("no_vdso", "threads"),
    "credentials_user": round_trip("credentials", "user"),
    "credentials_mixed": round_trip("credentials", "mixed"),
    "credentials_securebits": round_trip("credentials", "securebits"),
    "thread_credentials": round_trip("thread_credentials"),
    "attributes": round_trip("attributes"),
    "scheduling": round_trip("scheduling"),
    "numa": round_trip("numa"),
    "timers": round_trip("timers"),
    "seccomp": round_trip("seccomp"),
    "open_files": round_trip("open_files"),
    "ghosts": round_trip("ghosts"),
    "pipes": round_trip("pipes"),
    "ptys": round_trip("ptys"),
    "terminals": round_trip("terminals"),
    "watches": round_trip("watches"),
    "event_fds": round_trip("event_fds"),
    "cow_family": round_trip("cow_family"),
    "many_files": round_trip("many_files"),
    "full_table": round_trip("full_table"),
    "full_table_tree": round_trip("full_table", "tree"),
    "shm_files": round_trip("shm_files"),
    "socket_pairs": round_trip("socket_pairs"),
    "socket_tree": round_trip("socket_tree"),
    "inet_sockets": round_trip("inet_sockets"),
    "unix_sockets": round_trip("unix_sockets"),
    "unix_tree": round_trip("unix_tree"),
    "bpf_maps": round_trip("bpf_maps"),
    "message_queue": round_trip("message_queue"),
    "locks": round_trip("locks", dump=("--file-locks",)),
    "sysv_ipc": round_trip("sysv_ipc"),
    "robust": round_trip("robust"),
    "still_picture": round_trip("still_picture"),
    "untouched": round_trip("untouched"),
    "everything": round_trip("everything"),
    "tree": round_trip("tree"),
    "stop_reports": round_trip("stop_reports"),
    "sharing": round_trip("sharing"),
    **{f"sharing_{what}": round_trip("sharing", what)
       for what in ("vm", "files", "fs", "vm_files", "vm_fs", "vm_sighand", "files_fs", "everything", "nested",
                    "siblings", "many")},
    # The other mechanisms.
    "memory_kinds_vm_readv": round_trip("memory_kinds", dump=("--transfer=vm-readv",)),
    "memory_exotic_vm_readv": round_trip("memory_exotic", dump=("--transfer=vm-readv",)),
    "memory_kinds_one_reader": round_trip("memory_kinds", restore=("--restore-threads=1",)),
    "memory_kinds_many_readers": round_trip("memory_kinds", restore=("--restore-threads=4",)),
    "sharing_vdso_retarget": round_trip("sharing", restore=("--vdso=retarget",), ignore=("maps",)),
    "mm_layout_vdso_retarget": round_trip("mm_layout", restore=("--vdso=retarget",), ignore=("maps",)),
}
