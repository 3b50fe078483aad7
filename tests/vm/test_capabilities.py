"""What takes privileges that containers and sandboxes often lack: limits above one's own, targets of other users."""
import os
import re
import resource

from harness import Failed, Skip, read

CAPABILITIES = {"CAP_SYS_RESOURCE": 24}


def need_capability(name):
    effective = int(re.search(r"^CapEff:\s*(\w+)", read("/proc/self/status"), re.MULTILINE).group(1), 16)
    if not effective >> CAPABILITIES[name] & 1:
        raise Skip(f"{name} is not in the effective set")


def limits(pid):
    return read(f"/proc/{pid}/limits")


def set_limits(pairs, uid=None):
    """For preexec_fn: limits, then the user."""
    def body():
        for which, soft, hard in pairs:
            resource.setrlimit(which, (soft, hard))
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
    return body


def round_trip(test, victim, *restore_prefix):
    """Dumps, restores (the tool behind a prefix that lessens it), compares the limits."""
    before = limits(victim.pid)
    test.dump(victim, test.path("running"), "-R").ok()
    test.check(limits(victim.pid) == before, "the dump changed a limit of the target")
    test.dump_and_end(victim, test.path("images"))
    test.run(*restore_prefix, test.tool_path("cr-restore"), "--no-default-config", "-D", test.path("images"), "-d").ok()
    if limits(victim.pid) != before:
        raise Failed(f"limits were:\n{before}and are:\n{limits(victim.pid)}")
    victim.verdict()


def test_limits_above_those_of_the_tool(test):
    """cr-restore runs under hard limits lower than those of the process it restores."""
    need_capability("CAP_SYS_RESOURCE")
    nofile = int(read("/proc/sys/fs/nr_open"))
    victim = test.victim("threads", preexec_fn=set_limits([(resource.RLIMIT_NOFILE, 2048, nofile),
                                                           (resource.RLIMIT_CORE, 0, resource.RLIM_INFINITY),
                                                           (resource.RLIMIT_MEMLOCK, 1 << 30, 1 << 31)]))
    round_trip(test, victim, "prlimit", "--nofile=1024:1024", "--core=0:0", "--memlock=65536:65536", "--nproc=500:500")


def test_limits_of_another_user(test):
    """The target belongs to another user and has other limits than the tools."""
    need_capability("CAP_SYS_RESOURCE")
    victim = test.victim("simple", preexec_fn=set_limits([(resource.RLIMIT_NOFILE, 77, 99), (resource.RLIMIT_FSIZE, 1 << 30, 1 << 31),
                                                          (resource.RLIMIT_STACK, 1 << 20, 1 << 22)], uid=1234))
    round_trip(test, victim)


def test_limits_below_what_is_used(test):
    """Limits lowered after more was in use: the restored process has what it had all the same."""
    need_capability("CAP_SYS_RESOURCE")
    victim = test.victim("many_files")
    resource.prlimit(victim.pid, resource.RLIMIT_NOFILE, (8, 16))
    resource.prlimit(victim.pid, resource.RLIMIT_NPROC, (1, 1))
    round_trip(test, victim)


def test_oom_score_below_zero(test):
    need_capability("CAP_SYS_RESOURCE")
    victim = test.victim("simple")
    with open(f"/proc/{victim.pid}/oom_score_adj", "w") as file:
        file.write("-321")
    test.dump_and_end(victim, test.path("images"))
    test.restore_detached(victim, test.path("images"))
    test.check(read(f"/proc/{victim.pid}/oom_score_adj").strip() == "-321", "oom_score_adj is not restored")
    victim.verdict()
