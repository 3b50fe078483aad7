"""Chains of increments of real programs that run on: each member brings back the state of its own moment.

A program works until the file "hold" appears; then it writes "held <state>" and waits. When the file goes it writes
"on <state>" and works on. So the state of a checkpoint taken meanwhile is known exactly."""
import os

from harness import PATIENCE, need_program, read, seconds, wait_for
from test_programs import script

PYTHON = """
import os, sys, threading, time, zlib
folder, threads = sys.argv[1], int(sys.argv[2])
lists = [[] for _ in range(threads)]
gate = threading.Barrier(threads + 1)
def say(word):
    with open(folder + "/said", "a") as file:
        file.write("%s %d %08x\\n" % (word, sum(map(len, lists)), zlib.crc32(repr([l[::997] for l in lists]).encode())))
def work(own, number):
    while True:
        gate.wait()
        for i in range(40000 // threads):
            own.append(str(len(own) * 31 + number))
        gate.wait()
for number, own in enumerate(lists):
    threading.Thread(target=work, args=(own, number), daemon=True).start()
while True:
    gate.wait()
    gate.wait()
    if os.path.exists(folder + "/hold"):
        say("held")
        while os.path.exists(folder + "/hold"): time.sleep(0.005)
        say("on")
"""

NODE = """
const fs = require('fs'), crypto = require('crypto'), folder = process.argv[2], list = [];
const say = word => fs.appendFileSync(folder + '/said', word + ' ' + list.length + ' ' +
    crypto.createHash('sha256').update(list.filter((_, i) => i % 997 == 0).join()).digest('hex') + '\\n');
let held = false;
function work() {
  const hold = fs.existsSync(folder + '/hold');
  if (held != hold) { held = hold; say(hold ? 'held' : 'on'); }
  if (!held) for (let i = 0; i < 20000; ++i) list.push('v' + list.length * 31);
  setTimeout(work, 5);
}
work();
"""


class Work:
    """A program as above."""

    def __init__(self, test, *command):
        self.test = test
        self.folder = test.path("work")
        os.mkdir(self.folder)
        self.program = test.program(*command[:2], self.folder, *command[2:], output=test.path("out"))

    def said(self, word):
        lines = read(os.path.join(self.folder, "said"), "").splitlines()
        return lines[-1].split(" ", 1)[1] if lines and lines[-1].startswith(word + " ") else None

    def hold(self):
        """Its state, which stays until on()."""
        open(os.path.join(self.folder, "hold"), "w").close()
        return wait_for(lambda: self.said("held"), "the program to hold")

    def on(self):
        os.unlink(os.path.join(self.folder, "hold"))
        return wait_for(lambda: self.said("on"), "the program to go on")


def chain(test, *command, members=4, options=()):
    work = Work(test, *command)
    states = []
    for number in range(members):
        state = work.hold()
        if states and number % 2:   # one more member that nothing was written for
            test.check(state != states[-1], f"the program did nothing since {state}")
        previous = ["--prev-images-dir", f"../{number - 1}"] if number else []
        done = test.dump(work.program, test.path(str(number)), "-R", "--track-mem", "--json", *previous, *options).ok()
        test.check("saved:" not in done.err, f"no increment: {done}")
        test.check(work.on() == state, "the state of the program changed by the dump")
        states.append(state)
    work.program.kill()
    flat = test.path("flat")
    test.tool("cr-dedup", "-D", test.path(str(members - 1)), "--flatten", flat).ok()
    for images, state in [(test.path(str(number)), state) for number, state in enumerate(states)] + [(flat, states[-1])]:
        os.unlink(os.path.join(work.folder, "said"))
        open(os.path.join(work.folder, "hold"), "w").close()
        test.restore_detached(work.program, images)
        after = work.on()
        test.check(after == state, f"{images}: {after} instead of {state}")
        work.program.kill()
    # What older members have in vain is freed; the last one stays whole.
    test.tool("cr-dedup", "-D", test.path(str(members - 1))).ok()
    os.unlink(os.path.join(work.folder, "said"))
    open(os.path.join(work.folder, "hold"), "w").close()
    test.restore_detached(work.program, test.path(str(members - 1)))
    test.check(work.on() == states[-1], "after cr-dedup")
    work.program.kill()


@seconds(120 * PATIENCE)
def test_python(test):
    chain(test, "python3", script(test, "job.py", PYTHON), "1")


@seconds(120 * PATIENCE)
def test_python_copies(test):
    chain(test, "python3", script(test, "job.py", PYTHON), "1", options=("--snapshot=cow", "--vma-flags=auto"))


@seconds(180 * PATIENCE)
def test_python_500_threads(test):
    chain(test, "python3", script(test, "job.py", PYTHON), "500", members=3)


@seconds(120 * PATIENCE)
def test_node(test):
    need_program("node")
    chain(test, "node", script(test, "job.js", NODE))


@seconds(120 * PATIENCE)
def test_python_compressed(test):
    """Ancestors that are compressed, and pages that are alike."""
    chain(test, "python3", script(test, "job.py", PYTHON), "1", options=("--compress=lz4", "--dedup-pages"))
