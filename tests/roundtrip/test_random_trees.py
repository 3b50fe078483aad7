"""Random trees (tests/generators/random_tree): whatever their history was, what can be seen of them from inside and
outside is the same after a dump and after a restore, and what waits in them is what waited in the original.

One seed: tests/run.py random_trees, with CRYOSTAT_TREE_SEEDS=7 or =100-200 in the environment.
"""
import os

import namespace
import shared_objects
import snapshot
from harness import Failed, alive, descendants, read, read_stat, seconds, wait_for

DUMP_OPTIONS = ("--file-locks", "--link-remap", "--ghost-limit=16777216")


# What is refused by name and comes up now and then (docs/trees.md, docs/kinds.md, docs/sockets.md).
KNOWN_REFUSALS = ("and has no child that leads it: that can't be restored yet",
                  "a file about another process can't be checkpointed", "with an error it has not reported yet")
QUICK_SEEDS = (1, 2, 7, 16, 26, 49)


class RandomTree:
    """One started tree, and what is known of it."""

    def __init__(self, test, seed):
        self.test = test
        self.victim = test.victim("random_tree", seed)

    def members(self):
        return [self.victim.pid, *descendants(self.victim.pid)]

    def tell(self, command):
        """What the members write down."""
        answer = self.victim.path("answer")
        if os.path.exists(answer):
            os.unlink(answer)
        draft = self.victim.path("command.draft")
        with open(draft, "w") as file:
            file.write(command + "\n")
        os.rename(draft, self.victim.path("command"))
        wait_for(lambda: os.path.exists(answer) or not self.victim.alive(), f"the answer to `{command}`", 60)
        return read(answer, "the root has ended").splitlines()

    def look(self):
        """(what the members say, what is seen from outside)."""
        inside = self.tell("look")
        return inside, self.look_from_outside()

    def look_from_outside(self):
        pids = self.members()
        living = [pid for pid in pids if alive(pid)]
        tree = {}
        for pid, (parent, group, session) in self.test.tree(self.victim.pid).items():
            # The root's parent is whoever started or restored it.
            tree[pid] = (parent if pid != self.victim.pid else "", group, session, simple_state(pid))
        return {"tree": tree, "shared": shared_objects.shared_descriptions(living), "locks": shared_objects.locks(living),
                "processes": {pid: snapshot.take(pid) for pid in living}}

    def end(self):
        self.test.kill_tree(self.victim, self.members())


def simple_state(pid):
    return {"Z": "ended", "T": "stopped"}.get(read_stat(pid), "alive")


def without_dead_makers(before, after):
    """A pair that a zombie has made comes back with another maker ("peer" of the report)."""
    unknown = {line.split(" peer ")[0] for line in before if line.endswith(" peer -1")}
    return [f"{line.split(' peer ')[0]} peer -1" if line.split(" peer ")[0] in unknown else line for line in after]


def line_differences(before, after):
    """Lines that are only in one of two lists."""
    gone, new = [line for line in before if line not in after], [line for line in after if line not in before]
    return [f"- {line}" for line in gone[:20]] + [f"+ {line}" for line in new[:20]]


def compare_looks(before, after, differences):
    lines = line_differences(before[0], without_dead_makers(before[0], after[0]))
    for subject in ("tree", "shared", "locks"):
        one, other = before[1][subject], after[1][subject]
        if one != other:
            if isinstance(one, dict):
                one, other = sorted(one.items()), sorted(other.items())
            lines += [f"{subject}: {line}" for line in line_differences(one, other)]
    for pid in before[1]["processes"].keys() & after[1]["processes"].keys():
        found = differences(before[1]["processes"][pid], after[1]["processes"][pid])
        lines += [f"pid {pid}: {line}" for line in found]
    if lines:
        raise Failed("\n  ".join(["not as before:", *lines]))


def same_lines(what, before, after):
    after = without_dead_makers(before, after)
    lines = line_differences(before, after)
    if before != after:
        raise Failed("\n  ".join([f"{what} differs from the original's:", *lines]))


def survive(test, seed):
    """Dumped and left running; then the original is used up: what it says is what the restored one must say. False when
    it has one of the few things that are refused, by name and without harm."""
    tree = RandomTree(test, seed)
    before = tree.look()
    images = test.path(f"images{seed}")
    dump = test.dump(tree.victim, images, "-R", *DUMP_OPTIONS)
    refused = dump.status == 3 and any(reason in dump.err for reason in KNOWN_REFUSALS)
    if not refused:
        dump.ok()
    compare_looks(before, tree.look(), snapshot.differences)
    if refused:
        tree.end()
        return False
    tree.tell("poke")
    poked, drained = tree.tell("look"), tree.tell("drain")
    tree.end()
    test.restore_detached(tree.victim, images)
    compare_looks(before, tree.look(), snapshot.restored_differences)
    if seed % 3 == 0:  # and what was restored, once more
        images = test.path(f"again{seed}")
        test.dump_and_end(tree.victim, images, *DUMP_OPTIONS)
        test.restore_detached(tree.victim, images)
        compare_looks(before, tree.look(), snapshot.restored_differences)
    tree.tell("poke")
    same_lines("what can be seen after a change", poked, tree.tell("look"))
    same_lines("what waited", drained, tree.tell("drain"))
    tree.end()
    return True


def seeds_to_run(test):
    wanted = os.environ.get("CRYOSTAT_TREE_SEEDS")
    if not wanted:
        return range(1, 301) if test.full else QUICK_SEEDS
    first, _, last = wanted.partition("-")
    return range(int(first), int(last or first) + 1)


@seconds(1800)
def test_seeds(test):
    # Numbers of pseudoterminals are the test's own.
    namespace.mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666")
    namespace.mount("/dev/pts/ptmx", "/dev/ptmx", None, namespace.MS_BIND)
    failures, refused = [], []
    seeds = seeds_to_run(test)
    for seed in seeds:
        try:
            if not survive(test, seed):
                refused.append(seed)
        except Exception as error:  # the other seeds are run all the same
            failures.append(f"seed {seed}, run again: CRYOSTAT_TREE_SEEDS={seed} tests/run.py random_trees\n{error}")
            kill_everyone(test)
    test.check(len(refused) <= len(seeds) / 50 + 1, f"too many trees are refused: {refused}")
    test.check(not failures, f"{len(failures)} of {len(seeds)} seeds failed:\n\n" + "\n\n".join(failures))


def kill_everyone(test):
    """All that a failed seed has left in the namespace of the test."""
    own = {1, os.getpid()}
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in own]:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass
    def gone():
        return all(collected_or_gone(int(name)) for name in os.listdir("/proc")
                   if name.isdigit() and int(name) not in own)
    wait_for(gone, "the members of a failed tree to end")


def collected_or_gone(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    return read_stat(pid) is None
