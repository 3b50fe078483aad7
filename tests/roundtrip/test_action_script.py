"""Programs of the user's at named moments of a dump and a restore."""
import os

from harness import read


def script(test, failing=""):
    """Notes each moment with what it is told; fails at one of them."""
    path = test.path("script.sh")
    with open(path, "w") as file:
        file.write(f"""#!/bin/sh
state=gone
[ -n "$CRTOOLS_INIT_PID" ] && state=$(cut -d' ' -f3 /proc/$CRTOOLS_INIT_PID/stat)
complete=no
[ -e "$CRTOOLS_IMAGE_DIR/manifest.img" ] && complete=yes
echo "$CRTOOLS_SCRIPT_ACTION ${{CRTOOLS_INIT_PID:-none}} $state $complete" >> {test.path("moments")}
[ "$CRTOOLS_SCRIPT_ACTION" != "{failing}" ]
""")
    os.chmod(path, 0o700)
    return path


def moments(test):
    lines = [line.split() for line in read(test.path("moments"), "").splitlines()]
    if os.path.exists(test.path("moments")):
        os.unlink(test.path("moments"))
    return lines


def test_moments(test):
    victim = test.victim("memory_kinds")
    images, pid = test.path("images"), str(victim.pid)
    program = script(test)
    test.dump(victim, images, "-R", "--action-script", program).ok()
    found = moments(test)
    test.check([line[0] for line in found] == ["pre-dump", "post-dump"], f"{found}")
    test.check(found[1][1:] == [pid, "t", "yes"], f"at post-dump: {found[1]}")
    test.dump_and_end(victim, test.path("later"))
    test.restore_detached(victim, images, "--action-script", program)
    found = moments(test)
    test.check([line[0] for line in found] == ["pre-restore", "post-restore", "pre-resume", "post-resume"], f"{found}")
    test.check(found[0][1] == "none", f"at pre-restore: {found[0]}")
    test.check(all(line[1] == pid and line[2] == "t" for line in found[1:3]), f"before the release: {found}")
    victim.verdict()


def test_failing_dump(test):
    """The target goes on and no checkpoint is left."""
    victim = test.victim("simple")
    images = test.path("images")
    for moment in ("pre-dump", "post-dump"):
        for options in ((), ("-R",)):
            before = victim.snapshot()
            test.dump(victim, images, "--action-script", script(test, moment), *options).failed(1, f"status 1 at {moment}")
            test.check(not os.path.exists(os.path.join(images, "manifest.img")), f"a checkpoint after {moment}")
            test.compare(before, victim.snapshot())
    victim.verdict()


def test_failing_restore(test):
    """Nothing is left, and the checkpoint can be restored afterwards."""
    victim = test.victim("simple")
    images = test.path("images")
    test.dump_and_end(victim, images)
    for moment in ("pre-restore", "post-restore", "pre-resume"):
        test.restore(images, "-d", "--action-script", script(test, moment)).failed(1, f"status 1 at {moment}")
        test.check(not victim.alive(), f"alive after a failing {moment}")
    test.restore_detached(victim, images, "--action-script", script(test, "post-resume"))
    victim.verdict()
