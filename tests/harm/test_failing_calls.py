"""The nth system call of a tool fails: the target goes on as if nothing had happened, a failed restore leaves nothing."""
import os

import snapshot
from harness import Skip, alive, need_program, read, read_stat, seconds, wait_for

# Calls that fail for reasons outside of the program, and how.
DUMP_FAULTS = {
    "openat": "EMFILE", "pidfd_getfd": "EPERM", "process_vm_readv": "EFAULT", "process_vm_writev": "EFAULT", "kcmp": "ENOSYS",
    "pwrite64": "EIO", "write": "EIO", "fdatasync": "EIO", "renameat": "EIO", "mmap": "ENOMEM", "ptrace": "EIO", "ioctl": "ENOTTY",
    "sendmsg": "EPIPE", "recvmsg": "ECONNRESET", "read": "EIO", "fstat": "EIO", "ftruncate": "EIO",
}
# In cr-restore itself; the process it creates has one tracer already.
RESTORE_FAULTS = {
    "openat": "ENOENT", "clone3": "EAGAIN", "mmap": "ENOMEM", "ptrace": "EIO", "read": "EIO", "pread64": "EIO", "wait4": "ECHILD",
    "process_vm_readv": "EFAULT", "process_vm_writev": "EFAULT", "recvmsg": "ECONNRESET", "socketpair": "EMFILE",
    "fstat": "EIO", "prlimit64": "EPERM", "sched_setattr": "EPERM", "write": "EIO", "pidfd_open": "EMFILE",
}


def with_fault(test, call, error, number, tool, *arguments, children=()):
    """A run of the tool whose `number`th `call` fails; with children=("-f",) in its worker too."""
    return test.run("strace", *children, "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                    f"inject={call}:error={error}:when={number}", test.tool_path(tool), "--no-default-config", *arguments)


@seconds(400)
def test_dump(test):
    need_program("strace")
    victim = test.victim("everything")
    before = victim.snapshot()
    failed = 0
    for call, error in DUMP_FAULTS.items():
        for number in range(1, 30 if test.full else 4):
            done = with_fault(test, call, error, number, "cr-dump", "-t", victim.pid, "-D", test.path("images"), "-R",
                              children=("-f",))
            failed += done.status != 0
            test.check(done.status == 0 or done.err, f"{call} {number}: exit {done.status} without a word")
            wait_for(lambda: "\nTracerPid:\t0\n" in read(f"/proc/{victim.pid}/status", ""), f"{call} {number}: the tracer's end")
            lines = snapshot.differences(before, victim.snapshot())
            test.check(not lines, f"{call} number {number} with {error}: not as before:\n  " + "\n  ".join(lines) + done.err)
    test.check(failed > 10, f"only {failed} runs failed: strace did not inject")
    victim.verdict()


@seconds(400)
def test_restore(test):
    need_program("strace")
    victim = test.victim("everything")
    before = victim.snapshot()
    images = test.path("images")
    test.dump_and_end(victim, images)
    listing = sorted(os.listdir(victim.folder))
    failed = 0
    for call, error in RESTORE_FAULTS.items():
        for number in range(1, 20 if test.full else 4):
            done = with_fault(test, call, error, number, "cr-restore", "-D", images, "-d")
            failed += done.status != 0
            if done.status != 0:
                test.check(done.err, f"{call} {number}: exit {done.status} without a word")
                wait_for(lambda: read_stat(victim.pid) is None, f"{call} {number}: the end of what was created: {done}")
            else:
                lines = snapshot.restored_differences(before, victim.snapshot())
                test.check(not lines, f"{call} number {number} with {error}: restored otherwise:\n  " + "\n  ".join(lines))
                victim.kill()
            test.check(sorted(os.listdir(victim.folder)) == listing, f"{call} {number}: files left behind")
    test.check(failed > 5, f"only {failed} runs failed: strace did not inject")
    test.restore_detached(victim, images)
    victim.verdict()
