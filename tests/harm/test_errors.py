"""Errors people will meet: each says what is wrong and leaves everything as it was."""
import os
import resource
import shutil
import signal
import struct
import subprocess

import namespace
from harness import Skip, descendants, need_program, read, read_stat, wait_for

# Wrong images ---------------------------------------------------------------------------------


def dumped(test, name="simple", *arguments):
    """A victim that is gone, and its checkpoint."""
    victim = test.victim(name, *arguments)
    test.dump_and_end(victim, test.path("images"))
    return victim, test.path("images")


def processes():
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def refused_restore(test, status, *texts, images=None, arguments=("-d",)):
    """The restore fails as expected and leaves no process and no mount behind."""
    alive, mounts = processes(), read("/proc/self/mountinfo")
    done = test.restore(images or test.path("images"), *arguments).failed(status, *texts)
    test.check(processes() <= alive, f"processes left behind: {processes() - alive}")
    test.check(read("/proc/self/mountinfo") == mounts, "mounts left behind")
    return done


def test_images_missing(test):
    refused_restore(test, 5, "No such file", images=test.path("nowhere"))
    os.mkdir(test.path("empty"))
    refused_restore(test, 5, "holds no checkpoint", images=test.path("empty"))


def test_images_incomplete(test):
    _, images = dumped(test)
    os.unlink(os.path.join(images, "manifest.img"))
    refused_restore(test, 5, "incomplete", "interrupted")


def test_images_truncated(test):
    _, images = dumped(test)
    for name in sorted(os.listdir(images)):
        if not name.endswith(".img"):
            continue
        path = os.path.join(images, name)
        with open(path, "rb") as file:
            good = file.read()
        for size in {0, 1, len(good) // 2, len(good) - 1}:
            if size == len(good):
                continue
            os.truncate(path, size)
            refused_restore(test, 5, name)
            with open(path, "wb") as file:
                file.write(good)
    test.restore(images, "-d").ok()


def test_one_bit_flipped(test):
    """In every file, at many places; page data too."""
    victim, images = dumped(test, "memory_kinds")
    for name in sorted(os.listdir(images)):
        if not name.endswith(".img"):
            continue
        path = os.path.join(images, name)
        size = os.path.getsize(path)
        for step in range(12 if test.full else 4):
            at = (size - 1) * step // (11 if test.full else 3)
            flip(path, at)
            refused_restore(test, 5, name)
            flip(path, at)
    test.restore_detached(victim, images)
    victim.verdict()


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << at % 8]))


def test_images_newer(test):
    _, images = dumped(test)
    for name in ("manifest.img",):
        with open(os.path.join(images, name), "r+b") as file:
            file.seek(8)
            file.write(struct.pack("<I", 7))
    refused_restore(test, 5, "version 7", "up to 1")


# Another machine ------------------------------------------------------------------------------


def test_pid_taken(test):
    """The pid is named, and who has it."""
    victim = test.victim("simple")
    test.dump(victim, test.path("images"), "-R").ok()
    done = refused_restore(test, 6, f"pid {victim.pid}", "simple")
    test.check("hint" in done.err, done.err)
    victim.verdict()


def next_pid(pid):
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(pid - 1))


def test_tid_taken(test):
    victim = test.victim("threads")
    test.dump_and_end(victim, test.path("images"))
    taken = victim.pid + 3
    next_pid(taken)
    other = test.start("/bin/sleep", "100")
    next_pid(1000)
    if other.pid != taken:
        raise Skip(f"pid {taken} could not be taken")
    refused_restore(test, 6, str(taken), "sleep")
    other.kill()
    other.wait()
    test.restore_detached(victim, test.path("images"))
    victim.verdict()


def copied_victim(test, name):
    """A victim from a program file of our own, that can be changed."""
    program = test.path("program")
    shutil.copy2(os.path.join(test.build, "tests", "victims", name), program)
    folder = test.new_folder(name)
    from harness import Victim
    process = test.start(program, folder, output=os.path.join(folder, "output"))
    return test.await_ready(Victim(test, process.pid, process, folder)), program


def test_program_file_changed(test):
    """Missing, of another size, with another build-id: each with what it should be."""
    victim, program = copied_victim(test, "simple")
    test.dump_and_end(victim, test.path("images"))
    os.rename(program, program + ".aside")
    refused_restore(test, 6, program)
    shutil.copy2(program + ".aside", program)
    with open(program, "ab") as file:
        file.write(b"tail")
    size = os.path.getsize(program)
    refused_restore(test, 6, program, str(size), str(size - 4))
    os.unlink(program)
    os.rename(program + ".aside", program)
    test.restore_detached(victim, test.path("images"))
    victim.verdict()


def test_build_id_changed(test):
    victim, program = copied_victim(test, "simple")
    if "Build ID" not in test.run(need_program("readelf"), "-n", program).out:
        raise Skip("the compiler adds no build-id")
    test.dump_and_end(victim, test.path("images"))
    with open(program, "rb") as file:
        content = file.read()
    note = content.find(b"GNU\0", content.find(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0")) + 4
    os.unlink(program)
    with open(program, "wb") as file:
        file.write(content[:note] + bytes([content[note] ^ 0xFF]) + content[note + 1:])
    os.chmod(program, 0o755)
    refused_restore(test, 6, program, "build-id")


def test_open_file_changed(test):
    victim, images = dumped(test, "open_files")
    data = victim.path("data")
    content = read(data)
    os.rename(data, data + ".aside")
    refused_restore(test, 6, data)
    os.rename(data + ".aside", data)
    os.truncate(data, 5)
    refused_restore(test, 6, data, str(len(content)), "5")
    with open(data, "w") as file:
        file.write(content)
    test.restore(images, "--dry-run").ok()
    test.restore_detached(victim, images)
    victim.verdict()


def test_dry_run_names_what_is_missing(test):
    victim, images = dumped(test, "open_files")
    os.unlink(victim.path("data"))
    done = test.restore(images, "--dry-run")
    test.check(done.status == 6 and victim.path("data") in done.out + done.err, str(done))


# Targets that can't be dumped -----------------------------------------------------------------


def refused_dump(test, pid, status, *texts, arguments=()):
    done = test.tool("cr-dump", "-t", pid, "-D", test.path("images"), *arguments).failed(status, *texts)
    test.check(not os.path.exists(os.path.join(test.path("images"), "manifest.img")), "a checkpoint was written")
    return done


def test_target_gone(test):
    refused_dump(test, 4194000, 4, "4194000")


def test_target_is_a_zombie(test):
    process = test.start("/bin/true")
    wait_for(lambda: read_stat(process.pid) == "Z", "the zombie")
    done = test.tool("cr-dump", "-t", process.pid, "-D", test.path("images"))
    test.check(done.status in (3, 4) and "zombie" in done.err, str(done))
    process.wait()


def test_target_is_traced(test):
    victim = test.victim("simple")
    tracer = os.fork()
    if tracer == 0:
        import ctypes
        libc = ctypes.CDLL(None)
        libc.ptrace(0x4206, victim.pid, 0, 0)  # PTRACE_SEIZE
        open(test.path("seized"), "w").close()
        while True:
            signal.pause()
    wait_for(lambda: os.path.exists(test.path("seized")), "the tracer")
    refused_dump(test, victim.pid, 3, "traced", str(tracer))
    os.kill(tracer, signal.SIGKILL)
    os.waitpid(tracer, 0)
    victim.verdict()


def test_target_is_an_ancestor(test):
    refused_dump(test, os.getpid(), 3, str(os.getpid()))


def test_shell_job_dump_without_the_option(test):
    """A job of a session whose leader is outside."""
    victim = start_job(test)
    refused_dump(test, victim.pid, 3, "--shell-job")
    victim.verdict()


def test_shell_job_restore_without_the_option(test):
    victim = start_job(test)
    test.dump(victim, test.path("images"), "--shell-job").ok()
    wait_for(lambda: not victim.alive(), "the end of the job")
    victim.reap()
    done = test.restore(test.path("images"), "-d")
    test.check(done.status != 0 and "--shell-job" in done.err, str(done))


def start_job(test):
    """A victim in the session of this test."""
    from harness import Victim
    folder = test.new_folder("job")
    process = test.start(os.path.join(test.build, "tests", "victims", "simple"), folder, session=False,
                         output=os.path.join(folder, "output"))
    return test.await_ready(Victim(test, process.pid, process, folder))


def refused_object(kind, *texts, arguments=()):
    def run(test):
        victim = test.victim("refused", kind)
        before = victim.snapshot()
        done = refused_dump(test, victim.pid, 3, "refused", f"pid {victim.pid}", *texts, arguments=arguments)
        test.check(all(line.startswith(("cr-dump: refused: ", "  hint: ")) for line in done.err.splitlines()), done.err)
        test.compare(before, victim.snapshot())
        victim.verdict()
    return run


CASES = {
    "refused_io_uring": refused_object("io_uring", "io_uring instance can't be checkpointed"),
    "refused_unix_socket": refused_object("unix-data-ahead", "that has sent data ahead to @"),
    "refused_tcp_socket": refused_object("tcp-socket", "TCP socket 127.0.0.1:", " <-> 127.0.0.1:"),
    "refused_tcp_backlog": refused_object("tcp-backlog", "connections that were not accepted yet (1, from 127.0.0.1:",
                                          "--skip-in-flight"),
    "refused_udp_cork": refused_object("udp-cork", "corked UDP socket"),
    "refused_mptcp": refused_object("mptcp", "IPv4 stream socket of protocol 262 (MPTCP)"),
    "refused_vsock": refused_object("vsock", "vsock stream socket"),
    "refused_xdp": refused_object("xdp", "XDP raw socket"),
    "refused_ebpf_filter": refused_object("ebpf-filter", "eBPF filter"),
    "refused_inotify": refused_object("inotify", "inotify instance with unread events"),
    "refused_fanotify": refused_object("fanotify", "fanotify group that decides"),
    "refused_userfaultfd": refused_object("userfaultfd", "userfaultfd"),
    "refused_pidfd": refused_object("pidfd", "pidfd of process"),
    "refused_mqueue": refused_object("mqueue", "queue"),
    "refused_namespace": refused_object("namespace", "namespace"),
    "refused_sysv_shm": refused_object("sysv-shm", "System V"),
    "refused_big_ghost": refused_object("big-ghost", "--ghost-limit"),
}


def test_tracer_of_another(test):
    """A target that itself traces a process: with children of its own, too."""
    tracee = test.program("sleep", "1000")
    victim = test.victim("refused", "tracer", str(tracee.pid))
    before = victim.snapshot()
    refused_dump(test, victim.pid, 3, f"pid {victim.pid}: traces thread {tracee.pid} of process {tracee.pid} (`sleep`)")
    test.compare(before, victim.snapshot())
    test.check(f"TracerPid:\t{victim.pid}\n" in read(f"/proc/{tracee.pid}/status"), "the tracee has lost its tracer")
    victim.verdict()
    tracee.kill()


SEMAPHORES = """
import ctypes, signal, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.semget.restype = ctypes.c_int
id = libc.semget(0, 3, 0o1600)
operation = struct.pack("Hhh", 1, 2, 0x1000 if sys.argv[1] == "undo" else 0)
if id >= 0 and sys.argv[1] != "idle" and libc.semop(id, operation, 1) != 0:
    id = -1
print(id, flush=True)
signal.pause()
"""


def test_semaphore_undo(test):
    """Nobody can see adjustments: where there may be some is told."""
    import ctypes
    libc = ctypes.CDLL(None)
    for what in ("undo", "idle"):
        program = test.program(need_program("python3"), "-c", SEMAPHORES, what, output=test.path(what))
        number = int(wait_for(lambda: read(test.path(what), ""), "the semaphores"))
        if number < 0:
            raise Skip("no System V semaphores")
        try:
            done = test.dump(program, test.path("images-" + what), "-R").ok()
            warned = f"pid {program.pid} has operated on System V semaphore set {number}" in done.err
            test.check(warned == (what == "undo"), str(done))
        finally:
            libc.semctl(number, 0, 0)  # IPC_RMID
            program.kill()


def test_shares_with_outside(test):
    """A root that has something in common with a task that is not dumped with it."""
    for what, name in (("vm", "CLONE_VM"), ("files", "CLONE_FILES"), ("fs", "CLONE_FS"), ("vm_sighand", "CLONE_SIGHAND")):
        victim = test.victim("sharing", what)
        child, = descendants(victim.pid)
        test.tool("cr-dump", "--no-default-config", "-t", child, "-D", test.path("images"), "-R").failed(
            3, f"pid {child}: shares its", name, f"pid {victim.pid} outside")
        victim.verdict()


def test_ghost_limit_raised(test):
    victim = test.victim("refused", "big-ghost")
    test.dump_and_end(victim, test.path("images"), "--ghost-limit", "4M")
    test.restore_detached(victim, test.path("images"))
    victim.verdict()


def test_outside_pipe(test):
    """A pipe whose other end another process holds."""
    mine, theirs = os.pipe()
    folder = test.new_folder("half")
    from harness import Victim
    process = subprocess.Popen([os.path.join(test.build, "tests", "victims", "simple"), folder], stdin=mine,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    victim = test.await_ready(Victim(test, process.pid, process, folder))
    refused_dump(test, victim.pid, 3, "fd 0", "pipe")
    victim.verdict()
    os.close(theirs)


# Permissions, disks, files --------------------------------------------------------------------


def as_nobody(*arguments):
    tool, *rest = arguments
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", tool, "--no-default-config",
            *rest)


def test_no_permission(test):
    """Not root: which privilege is missing."""
    victim = test.victim("simple")
    done = test.run(*as_nobody(test.tool_path("cr-dump"), "-t", victim.pid, "-D", test.new_folder("nobody")))
    test.check(done.status == 7 and "CAP_" in done.err, str(done))
    test.dump_and_end(victim, test.path("images"))
    subprocess.run(["chmod", "-R", "a+rX", test.path("images")], check=True)
    done = test.run(*as_nobody(test.tool_path("cr-restore"), "-D", test.path("images"), "-d"))
    test.check(done.status == 7 and "CAP_" in done.err, str(done))


def test_log_file_not_writable(test):
    victim = test.victim("simple")
    before = victim.snapshot()
    done = test.dump(victim, test.path("images"), "-o", "/proc/nowhere/log")
    test.check(done.status in (1, 7) and "/proc/nowhere/log" in done.err, str(done))
    test.compare(before, victim.snapshot())
    victim.verdict()


def test_log_file(test):
    victim = test.victim("simple")
    test.dump(victim, test.path("images"), "-R", "-v4", "-o", "dump.log", "-W", test.folder).ok()
    test.check(read(test.path("dump.log")), "the log is empty")
    victim.verdict()


def full_disk(test, kilobytes):
    small = test.path("small")
    os.makedirs(small, exist_ok=True)
    namespace.mount("tmpfs", small, "tmpfs", data=f"size={kilobytes}k")
    return small


def test_disk_full(test):
    """At several sizes, so that different files are the ones that do not fit."""
    victim = test.victim("memory_kinds")
    before = victim.snapshot()
    for kilobytes in (4, 16, 64, 256, 400):
        small = full_disk(test, kilobytes)
        images = os.path.join(small, "images")
        done = test.dump(victim, images, "-R")
        if done.status != 0:
            test.check(done.status == 1 and "ENOSPC" in done.err and "hint" in done.err, str(done))
            test.check(not os.path.exists(images) or not os.listdir(images), f"left behind: {images}")
            test.compare(before, victim.snapshot())
        elif kilobytes < 100:
            test.check(False, f"a dump into {kilobytes} KiB succeeded")
        namespace.umount(small)
    victim.verdict()


def test_usage(test):
    for arguments in ((), ("-t", "abc"), ("-t", "-1"), ("-t", "1", "--no-such-option"), ("-t", "1", "--transfer=magic"),
                      ("-t", "1", "extra")):
        done = test.tool("cr-dump", *arguments)
        test.check(done.status == 2 and done.err, str(done))
    test.tool("cr-restore", "--restore-threads", "many").failed(2)
    for name in ("cr-dump", "cr-restore", "cr-check", "cr-inspect", "cr"):
        test.check("0.1" in test.tool(name, "--version").ok().out, name)
        test.check("usage" in test.tool(name, "--help").ok().out.lower(), name)


# The tools' own surroundings --------------------------------------------------------------------


def limited(name, soft, hard=None):
    """For a tool under a limit; without `hard` the hard limit stays."""
    number = getattr(resource, "RLIMIT_" + name)
    kept = resource.getrlimit(number)[1] if hard is None else hard
    return lambda: resource.setrlimit(number, (soft, kept))


def test_small_stack(test):
    """A soft limit is raised as far as it goes; a hard one that is too small is told."""
    victim = test.victim("simple")
    for i, limit in enumerate((limited("STACK", 16 << 10), limited("STACK", 200 << 10, 200 << 10))):
        test.dump(victim, test.path(f"small{i}"), "-R", preexec_fn=limit).ok()
    tiny = limited("STACK", 16 << 10, 16 << 10)
    test.dump(victim, test.path("tiny"), preexec_fn=tiny).failed(6, "stack is limited to 16 KiB", "ulimit -Hs")
    before = victim.snapshot()
    test.dump_and_end(victim, test.path("images"))
    test.restore(test.path("images"), "-d", preexec_fn=tiny).failed(6, "stack is limited to 16 KiB")
    test.restore(test.path("images"), "-d", preexec_fn=limited("STACK", 16 << 10)).ok()
    test.compare_restored(before, victim.snapshot())
    victim.verdict()


def test_small_stack_of_both(test):
    """A target with a small hard limit, and the tools under the same."""
    limit = limited("STACK", 160 << 10, 160 << 10)
    victim = test.victim("threads", preexec_fn=limit)
    test.dump(victim, test.path("images"), preexec_fn=limit).ok()
    victim.reap()
    wait_for(lambda: read_stat(victim.pid) is None, "the end")
    test.restore(test.path("images"), "-d", preexec_fn=limit).ok()
    victim.verdict()


def test_small_file_limit(test):
    """A write beyond RLIMIT_FSIZE is told; nobody is killed for it."""
    victim = test.victim("memory_kinds")
    before = victim.snapshot()
    test.dump(victim, test.path("none"), preexec_fn=limited("FSIZE", 4096)).failed(1, "EFBIG")
    test.compare(before, victim.snapshot())
    test.dump_and_end(victim, test.path("images"))
    test.restore(test.path("images"), "-d").ok()
    victim.verdict()


def to_stdout(test, target, tool, *arguments):
    """Runs a tool with stdout going to `target`; None: closed."""
    command = [test.tool_path(tool), *arguments]
    if target is None:
        done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True)
    else:
        with open(target, "w") as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True)
    test.check(done.returncode == 1 and "stdout" in done.stderr,
               f"{tool} with stdout {target}: exit {done.returncode}, {done.stderr}")


def test_lost_result(test):
    """A result that can't be written is no success, even if all was done."""
    victim = test.victim("simple")
    for i, target in enumerate(("/dev/full", None)):
        images = test.path(f"images{i}")
        to_stdout(test, target, "cr-dump", "--no-default-config", "--json", "-R", "-t", str(victim.pid), "-D", images)
        to_stdout(test, target, "cr-inspect", "verify", "--json", "-D", images)
        to_stdout(test, target, "cr-check", "--json")
    test.dump_and_end(victim, test.path("images"))
    to_stdout(test, "/dev/full", "cr-restore", "--no-default-config", "--json", "-d", "-D", test.path("images"))
    victim.verdict()
