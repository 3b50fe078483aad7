"""Descriptor tables that nearly fill what the hard RLIMIT_NOFILE lets a process have."""
import os
import resource

from harness import alive, descendants


def limited(count):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


DESCRIPTORS = 403  # of the victim, standard ones included


def restore_within(test, arguments, spare):
    """Victim and restore have the same hard limit: one that the victim's table nearly fills."""
    limit = limited(DESCRIPTORS + spare)
    victim = test.victim("full_table", *arguments, preexec_fn=limit)
    test.dump_and_end(victim, test.path("images"))
    return victim, test.restore(test.path("images"), "-d", preexec_fn=limit)


def test_alone(test):
    victim, done = restore_within(test, (), 60)
    done.ok()
    victim.verdict()


def test_tree(test):
    victim, done = restore_within(test, ("tree",), 60)
    done.ok()
    test.check(len(descendants(victim.pid)) == 2, "two children")
    victim.verdict()


def test_without_room(test):
    """What can't fit is found before anything is created."""
    victim, done = restore_within(test, (), 6)
    done.failed(6, f"descriptors of pid {victim.pid}", "it has 403 open files and needs up to", "409 open files",
                "ulimit -Hn")
    test.check(not alive(victim.pid), "it was created all the same")
    test.restore(test.path("images"), "-d").ok()
    victim.verdict()


def test_number_too_high(test):
    victim = test.victim("full_table")
    test.dump_and_end(victim, test.path("images"))
    done = test.restore(test.path("images"), "-d", preexec_fn=limited(303))
    done.failed(6, "is not below the hard limit of 303 open files", "ulimit -Hn")
    test.check(not alive(victim.pid) and not os.path.exists(f"/proc/{victim.pid}"), "it was created")
