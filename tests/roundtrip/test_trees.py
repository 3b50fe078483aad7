"""Real programs that are trees, in the middle of their work: dumped, ended, restored; the result must be as if nothing
had been."""
import hashlib
import os

from harness import need_program, read, wait_for, wait_gone


def survive(test, expected, output, *command, progress, cycles=2, tasks=2, **options):
    """Starts a program; dumps, ends and restores it, more than once, when progress(cycle) says so and it has at least
    `tasks` tasks; in the end what it has written to `output` is `expected` (text, or a function that is given it)."""
    program = test.program(*command, output=output, **options)
    for cycle in range(cycles):
        wait_for(lambda: (progress(cycle) and len(test.tree(program.pid)) >= tasks) or not program.alive(),
                 "some progress")
        test.check(program.alive(), f"it ended early: {read(output)}")
        before = test.tree(program.pid)
        images = test.path(f"images{cycle}")
        test.dump_and_end(program, images)
        test.restore_detached(program, images, "--leave-stopped")
        after = test.tree(program.pid)
        # It went on after the look, and its own parent is another one now.
        for pid in after.keys() & before.keys() - {program.pid}:
            test.check(after[pid] == before[pid], f"pid {pid}: {after[pid]}, was {before[pid]}")
        test.check(len(after) >= tasks, f"tree: {after}, was {before}")
        for pid in reversed(list(after)):
            test.resume(pid)
    wait_gone(program.pid, 100)
    text = read(output)
    good = expected(text) if callable(expected) else text == expected
    test.check(good, f"wrong result:\n{text[-2000:]}")


def lines_of(path):
    return read(path, "").count("\n")


def script(test, name, text):
    path = test.path(name)
    with open(path, "w") as file:
        file.write(text)
    return path


def test_bash_pipeline(test):
    """A pipeline with data in its pipes, and a background job that is waited for."""
    output = test.path("out")
    path = script(test, "job.sh", """
(for i in $(seq 1 60); do sleep 0.02; echo $i; done) > background &
seq 1 300000 | while read -r line; do
  if (( line % 5000 == 0 )); then echo $line; sleep 0.02; fi
  if (( line == 150000 )); then break; fi
done | cat
wait
echo background: $(md5sum < background)
""")
    numbers = "".join(f"{i}\n" for i in range(5000, 150001, 5000))
    background = hashlib.md5("".join(f"{i}\n" for i in range(1, 61)).encode()).hexdigest()
    survive(test, f"{numbers}background: {background} -\n", output, "bash", path, cwd=test.folder, tasks=4,
            progress=lambda cycle: lines_of(output) >= 5 * (cycle + 1))


def test_yes_pipeline(test):
    output = test.path("out")
    survive(test, "50000000\n", output, "bash", "-c", "yes | head -c 100000000 | grep -c y | cat",
            progress=lambda cycle: True, tasks=5, cycles=2)


def test_make(test):
    """make -j4 in the middle of a C build, its compilers included."""
    need_program("make")
    need_program("gcc")
    source = test.path("source")
    os.mkdir(source)
    body = "".join(f"int f{{n}}_{i}(int a, double b) {{{{ return (int)(a * {i} + b * {i + 1}); }}}}\n" for i in range(200))
    for n in range(12):
        with open(os.path.join(source, f"part{n}.c"), "w") as file:
            file.write(body.format(n=n) + f"int part{n}(void) {{ return f{n}_7(2, 3.0); }}\n")
    with open(os.path.join(source, "main.c"), "w") as file:
        file.write("#include <stdio.h>\n" + "".join(f"int part{n}(void);\n" for n in range(12)) +
                   "int main(void) { printf(\"%d\\n\", " + " + ".join(f"part{n}()" for n in range(12)) + "); }\n")
    objects = " ".join(f"part{n}.o" for n in range(12)) + " main.o"
    with open(os.path.join(source, "Makefile"), "w") as file:
        file.write(f"all: program\n\t./program\nprogram: {objects}\n\t@gcc -o $@ {objects}\n"
                   "%.o: %.c\n\t@gcc -O2 -c -o $@ $<\n\t@echo compiled\n")
    output = test.path("out")
    good = "compiled\n" * 13 + "./program\n" + f"{12 * (2 * 7 + 3 * 8)}\n"
    survive(test, good, output, "make", "-j4", "-C", source, "--no-print-directory", tasks=4,
            progress=lambda cycle: lines_of(output) >= 1 + 4 * cycle)


def test_multiprocessing(test):
    """A python multiprocessing pool: pipes, semaphores in shared memory, worker processes."""
    output = test.path("out")
    path = script(test, "job.py", """
import hashlib, multiprocessing, time
def work(n):
    value = str(n)
    for _ in range(20):
        value = hashlib.sha256(value.encode()).hexdigest()
        time.sleep(0.001)
    return value
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(4) as pool:
        for value in pool.imap(work, range(150)):
            print(value, flush=True)
""")

    def chain(n):
        value = str(n)
        for _ in range(20):
            value = hashlib.sha256(value.encode()).hexdigest()
        return value
    survive(test, "".join(chain(n) + "\n" for n in range(150)), output, "python3", path, tasks=5,
            progress=lambda cycle: lines_of(output) >= 20 * (cycle + 1))


def test_perl_prefork(test):
    need_program("perl")
    output = test.path("out")
    path = script(test, "job.pl", """
$| = 1;
use Time::HiRes qw(sleep);
pipe(my $read, my $write) or die;
my @children;
for my $n (1..4) {
  my $pid = fork;
  if (!$pid) { close $read; $write->autoflush(1); for (1..200) { sleep(0.01); print $write "x\\n"; } exit $n; }
  push @children, $pid;
}
close $write;
my $count = 0;
while (<$read>) { $count++; print "$count\\n"; }
for my $pid (@children) { waitpid($pid, 0); print "status ", $? >> 8, "\\n"; }
""")
    good = "".join(f"{n}\n" for n in range(1, 801)) + "".join(f"status {n}\n" for n in range(1, 5))
    survive(test, good, output, "perl", "-MIO::Handle", path, tasks=5,
            progress=lambda cycle: lines_of(output) >= 30 * (cycle + 1))


def test_node_cluster(test):
    """A node cluster: workers that the primary feeds over their channels (socket pairs)."""
    need_program("node")
    output = test.path("out")
    path = script(test, "job.js", """
const cluster = require('cluster'), crypto = require('crypto'), fs = require('fs');
function chain(n) {
  let value = String(n);
  for (let i = 0; i < 50; ++i) value = crypto.createHash('sha256').update(value).digest('hex');
  return value;
}
if (cluster.isPrimary) {
  let next = 0, done = 0;
  const results = [];
  for (let i = 0; i < 3; ++i) {
    const worker = cluster.fork();
    worker.on('message', ({n, value}) => {
      if (n >= 0) {
        results[n] = value;
        fs.writeSync(1, 'done\\\\n');
        if (++done === 120) {
          for (const line of results) fs.writeSync(1, line + '\\\\n');
          process.exit(0);
        }
      }
      if (next < 120) worker.send(next++);
    });
  }
} else {
  process.on('message', n => setTimeout(() => process.send({n, value: chain(n)}), 10));
  process.send({n: -1});
}
""".replace("\\\\n", "\\n"))

    def result(n):
        value = str(n)
        for _ in range(50):
            value = hashlib.sha256(value.encode()).hexdigest()
        return value
    survive(test, "done\n" * 120 + "".join(result(n) + "\n" for n in range(120)), output, "node", path, tasks=4,
            progress=lambda cycle: lines_of(output) >= 15 + 30 * cycle)


CASES = {name[5:]: value for name, value in list(globals().items()) if name.startswith("test_")}
