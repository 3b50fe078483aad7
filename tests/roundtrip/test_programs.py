"""Real programs in the middle of their work: dumped, ended, restored; the result must be as if nothing had been."""
import hashlib
import os
import subprocess

from harness import PATIENCE, Program, Skip, need_program, read, seconds, wait_for, wait_gone


def survive(test, expected, output, *command, lines=20, cycles=2, dump=(), **options):
    """Starts a program that prints lines; dumps, ends and restores it when some are there, more than once; in the end the
    output is `expected` (text, or a function that is given the text)."""
    program = test.program(*command, output=output, **options)
    for cycle in range(cycles):
        wait_for(lambda: read(output, "").count("\n") >= lines * (cycle + 1) or not program.alive(), "some output")
        test.check(program.alive(), f"it ended early: {read(output)}")
        images = test.path(f"images{cycle}")
        test.dump_and_end(program, images, *dump)
        test.restore_detached(program, images)
    wait_gone(program.pid, 60 * PATIENCE)
    text = read(output)
    good = expected(text) if callable(expected) else text == expected
    test.check(good, f"wrong result:\n{text[-2000:]}")


def chain(rounds, start="0"):
    """What the scripts below print: a chain of hashes, each made from the one before."""
    value = start
    lines = []
    for _ in range(rounds):
        value = hashlib.sha256(value.encode()).hexdigest()
        lines.append(value)
    return "\n".join(lines) + "\n"


def script(test, name, text):
    path = test.path(name)
    with open(path, "w") as file:
        file.write(text)
    return path


def test_python(test):
    path = script(test, "job.py", """
import hashlib, threading, time, random
random.seed(5)
state = random.getstate()
def other():
    while True: time.sleep(0.01)
threading.Thread(target=other, daemon=True).start()
value = "0"
for _ in range(200):
    value = hashlib.sha256(value.encode()).hexdigest()
    print(value, flush=True)
    time.sleep(0.005)
""")
    survive(test, chain(200), test.path("out"), "python3", path)


def test_asyncio(test):
    """The event loop's socket pair, with a thread that wakes it; a stream pair the two talk over."""
    path = script(test, "job.py", """
import asyncio, hashlib, socket, threading, time
async def main():
    here, there = socket.socketpair()
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()
    def feed():
        while True:
            loop.call_soon_threadsafe(queue.put_nowait, None)
            time.sleep(0.005)
    threading.Thread(target=feed, daemon=True).start()
    reader, back = await asyncio.open_connection(sock=here)
    unread, writer = await asyncio.open_connection(sock=there)
    value = "0"
    for _ in range(200):
        await queue.get()
        writer.write(hashlib.sha256(value.encode()).hexdigest().encode() + b"\\n")
        value = (await reader.readline()).decode().strip()
        print(value, flush=True)
asyncio.run(main())
""")
    survive(test, chain(200), test.path("out"), "python3", path)


def test_perl(test):
    need_program("perl")
    path = script(test, "job.pl", """
use Digest::SHA qw(sha256_hex); use Time::HiRes qw(sleep); $| = 1;
my $value = "0";
for (1..200) { $value = sha256_hex($value); print "$value\\n"; sleep(0.005); }
""")
    survive(test, chain(200), test.path("out"), "perl", path)


def test_node(test):
    need_program("node")
    path = script(test, "job.js", """
const crypto = require('crypto'); const fs = require('fs');
let value = '0', left = 200;
const timer = setInterval(() => {
  value = crypto.createHash('sha256').update(value).digest('hex');
  fs.writeSync(1, value + '\\n');
  if (--left === 0) clearInterval(timer);
}, 5);
""")
    survive(test, chain(200), test.path("out"), "node", path)


@seconds(150)
def test_java(test):
    need_program("java")
    need_program("javac")
    script(test, "Job.java", """
import java.security.MessageDigest;
public class Job {
  public static void main(String[] args) throws Exception {
    String value = "0";
    for (int i = 0; i < 1000; ++i) {
      byte[] sum = MessageDigest.getInstance("SHA-256").digest(value.getBytes());
      StringBuilder text = new StringBuilder();
      for (byte b : sum) text.append(String.format("%02x", b));
      value = text.toString();
      System.out.println(value);
      Thread.sleep(5);
    }
  }
}
""")
    subprocess.run(["javac", "Job.java"], cwd=test.folder, check=True)
    survive(test, chain(1000), test.path("out"), "java", "-Xmx128m", "-cp", test.folder, "Job")


@seconds(150)
def test_java_threads(test):
    """A hundred threads that share their work, a lock and a counter."""
    need_program("java")
    need_program("javac")
    script(test, "Many.java", """
import java.security.MessageDigest;
import java.util.concurrent.*;
public class Many {
  static int done = 0;
  static synchronized void finished() { ++done; System.out.println("done " + done); }
  public static void main(String[] args) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(100);
    Future<?>[] results = new Future<?>[300];
    for (int n = 0; n < results.length; ++n) {
      final int number = n;
      results[n] = pool.submit(() -> {
        String value = "" + number;
        for (int i = 0; i < 10; ++i) {
          StringBuilder text = new StringBuilder();
          for (byte b : MessageDigest.getInstance("SHA-256").digest(value.getBytes()))
            text.append(String.format("%02x", b));
          value = text.toString();
          Thread.sleep(60);
        }
        finished();
        return value;
      });
    }
    for (Future<?> result : results) System.out.println(result.get());
    pool.shutdown();
  }
}
""")
    subprocess.run(["javac", "Many.java"], cwd=test.folder, check=True)
    results = "".join(chain(10, str(n)).splitlines()[-1] + "\n" for n in range(300))
    good = [f"done {n}" for n in range(1, 301)] + results.splitlines()
    # Both JVMs have the same pid in namespaces of their own, and would share /tmp/hsperfdata_*/PID.
    survive(test, lambda text: sorted(text.splitlines()) == sorted(good), test.path("out"), "java", "-Xmx128m",
            "-XX:-UsePerfData", "-cp", test.folder, "Many", lines=20)


def test_bash(test):
    path = script(test, "job.sh", """
declare -A seen
value=1
for ((i = 0; i < 200; i++)); do
  value=$(( (value * 1103515245 + 12345) % 2147483648 ))
  seen[$value]=$i
  echo $value
  read -t 0.005 <> fifo
done
""")
    os.mkfifo(test.path("fifo"))
    lines, value = [], 1
    for _ in range(200):
        value = (value * 1103515245 + 12345) % 2147483648
        lines.append(str(value))
    survive(test, "\n".join(lines) + "\n", test.path("out"), "bash", path)


def test_static_program(test):
    source = script(test, "job.c", """
#include <stdio.h>
#include <time.h>
int main(void) {
  unsigned long value = 1;
  for (int i = 0; i < 200; ++i) {
    struct timespec pause = {0, 5000000};
    value = value * 6364136223846793005ul + 1442695040888963407ul;
    printf("%lu\\n", value);
    fflush(stdout);
    nanosleep(&pause, NULL);
  }
}
""")
    subprocess.run([need_program("gcc"), "-static", "-O1", source, "-o", test.path("job")], check=True)
    lines, value = [], 1
    for _ in range(200):
        value = (value * 6364136223846793005 + 1442695040888963407) % 2**64
        lines.append(str(value))
    survive(test, "\n".join(lines) + "\n", test.path("out"), test.path("job"))


@seconds(200)
def test_go(test):
    need_program("go")
    source = script(test, "job.go", """
package main
import ("crypto/sha256"; "fmt"; "time")
func main() {
  next, done := make(chan string), make(chan string)
  for i := 0; i < 4; i++ {
    go func() { for value := range next { done <- fmt.Sprintf("%x", sha256.Sum256([]byte(value))) } }()
  }
  value := "0"
  for i := 0; i < 200; i++ {
    next <- value
    value = <-done
    fmt.Println(value)
    time.Sleep(5 * time.Millisecond)
  }
}
""")
    subprocess.run(["go", "build", "-o", test.path("job"), source], check=True, cwd=test.folder, stdin=subprocess.DEVNULL,
                   env={**os.environ, "GOCACHE": test.path("cache"), "HOME": test.folder, "GO111MODULE": "off"})
    survive(test, chain(200), test.path("out"), test.path("job"))


def test_sqlite_in_a_transaction(test):
    need_program("sqlite3")
    database = test.path("data.db")
    statements = ["CREATE TABLE t (n INTEGER, v TEXT);", "BEGIN;"]
    for number in range(3000):
        statements.append(f"INSERT INTO t VALUES ({number}, hex(randomblob(20)));")
        if number % 10 == 0:
            statements.append(f"SELECT {number};")
            # Something that takes a while.
            statements.append("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<20000) SELECT 'n' || count(*) FROM c;")
    statements.append("COMMIT;")
    path = script(test, "job.sql", "\n".join(statements) + "\n")
    survive(test, lambda text: text.count("n20000\n") == 300, test.path("out"), "sqlite3", database, f".read {path}",
            dump=("--file-locks",))
    done = test.run("sqlite3", database, "SELECT count(*), sum(n) FROM t; PRAGMA integrity_check;").ok()
    test.check(done.out == f"3000|{sum(range(3000))}\nok\n", done.out)


def test_xz(test):
    """Compresses with several threads; the result decompresses to what went in."""
    need_program("xz")
    need_program("cmp")
    source = test.path("data")
    block = b"".join(hashlib.sha256(bytes([number % 256, number // 256])).hexdigest().encode() for number in range(4096))
    with open(source, "wb") as file:
        for number in range(40):
            file.write(block[number * 64:] + block[:number * 64])
    program = test.program("xz", "-k", "-6", "-T2", "--block-size=1MiB", source)
    wait_for(lambda: os.path.exists(source + ".xz") and os.path.getsize(source + ".xz") > 0 or not program.alive(), "the first block")
    test.check(program.alive(), "xz was too fast")
    test.dump_and_end(program, test.path("images"))
    test.restore_detached(program, test.path("images"))
    wait_gone(program.pid, 80 * PATIENCE)
    test.check(test.run("sh", "-c", f"xz -dc {source}.xz | cmp - {source}").status == 0, "wrong result")


def test_compiler(test):
    """cc1 in the middle of a translation unit; the assembly is what an undisturbed run makes."""
    compiler = test.run(need_program("gcc"), "-print-prog-name=cc1").out.strip()
    if not os.path.exists(compiler):
        raise Skip("cc1 is not installed")
    body = "\n".join(f"int f{n}(int a, int b) {{ for (int i = 0; i < b; ++i) a = a * {n} + (i ^ b) % {n + 3}; return a; }}"
                     for n in range(200))
    source = script(test, "unit.c", body)
    arguments = (compiler, "-quiet", "-O2", source, "-o")
    program = test.program(*arguments, test.path("disturbed.s"))
    wait_for(lambda: os.path.exists(test.path("disturbed.s")) and os.path.getsize(test.path("disturbed.s")) > 0 or not program.alive(),
             "the first assembly")
    test.check(program.alive(), "cc1 was too fast")
    test.dump_and_end(program, test.path("images"))
    test.restore_detached(program, test.path("images"))
    wait_gone(program.pid, 80 * PATIENCE)
    test.run(*arguments, test.path("straight.s")).ok()
    test.check(read(test.path("disturbed.s")) == read(test.path("straight.s")), "other assembly")
