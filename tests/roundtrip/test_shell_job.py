"""Jobs of a terminal, as a person starts, dumps and restores them."""
import os
import re
import signal

from harness import alive, need_program, read, read_stat, wait_for
from terminal import PROMPT, Terminal

JOB = """
import os, random, select
print("pid", os.getpid(), flush=True)
for number in range(1000000):
    print("number", number, random.random(), flush=True)
    select.select([], [], [], 0.05)
"""
NUMBER = r"number (\d+) (0\.\d+(?:e-\d+)?)\n"


def start_job(test, terminal):
    need_program("python3")
    with open(test.path("job.py"), "w") as file:
        file.write(JOB)
    terminal.line("python3 job.py")
    pid = int(terminal.expect(r"pid (\d+)\n").group(1))
    terminal.expect(NUMBER)
    return pid


def dump(test, pid, *options):
    return test.tool("cr-dump", "--no-default-config", "-t", pid, "-D", test.path("dump"), *options)


def numbers(terminal, count):
    return [terminal.expect(NUMBER).groups() for _ in range(count)]


def restore_line(test, *options):
    return " ".join([test.tool_path("cr-restore"), "--no-default-config", "-D", test.path("dump"), *options])


def wait_taken_down(pid):
    wait_for(lambda: read_stat(pid) is None, f"pid {pid} to be reaped")


def test_five_commands(test):
    """Dump and leave running; restore twice: the same numbers; Ctrl-C ends what was restored."""
    with Terminal(test.folder) as terminal:
        pid = start_job(test, terminal)
        dump(test, pid, "--shell-job", "-R").ok()
        numbers(terminal, 3)
        terminal.type("\x03")
        terminal.expect("KeyboardInterrupt")
        terminal.expect(re.escape(PROMPT))
        wait_taken_down(pid)
        sequences = []
        for _ in range(2):
            terminal.line(restore_line(test, "--shell-job"))
            sequences.append(numbers(terminal, 8))
            test.check(alive(pid), "the job has another pid")
            terminal.type("\x03")
            terminal.expect("KeyboardInterrupt")
            terminal.expect(re.escape(PROMPT))
            wait_taken_down(pid)
        test.check(sequences[0] == sequences[1], f"two restores differ: {sequences}")


def test_stop_and_continue(test):
    """Ctrl-Z stops the restored job and gives the shell its terminal back; fg and bg go on."""
    with Terminal(test.folder) as terminal:
        pid = start_job(test, terminal)
        dump(test, pid, "--shell-job").ok()
        terminal.expect(re.escape(PROMPT))
        terminal.line(restore_line(test, "-j"))
        before = numbers(terminal, 3)
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.expect(re.escape(PROMPT))
        wait_for(lambda: read_stat(pid) == "T", "the job to stop")
        terminal.line("fg")
        after = numbers(terminal, 3)
        test.check(int(after[0][0]) > int(before[-1][0]), "numbers went back")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.line("bg")
        numbers(terminal, 2)
        terminal.line("echo still $((40 + 2))")
        terminal.expect("still 42")
        terminal.line("fg")
        numbers(terminal, 2)
        terminal.type("\x03")
        terminal.expect("KeyboardInterrupt")
        _, status = terminal.command("true")
        test.check(status == 0, "the shell works")


def test_status_of_the_job(test):
    """Without -d cr-restore ends with the status of what it restored."""
    with Terminal(test.folder) as terminal:
        pid = start_job(test, terminal)
        dump(test, pid, "--shell-job").ok()
        terminal.expect(re.escape(PROMPT))
        terminal.line(restore_line(test, "-j") + '; echo "<<status $?>>"')
        numbers(terminal, 2)
        os.kill(pid, signal.SIGTERM)
        status = int(terminal.expect(r"<<status (\d+)>>").group(1))
        test.check(status == 128 + signal.SIGTERM, f"status {status}")


def test_needs_shell_job(test):
    """Both tools say what to add."""
    with Terminal(test.folder) as terminal:
        pid = start_job(test, terminal)
        dump(test, pid).failed(3, "--shell-job")
        test.check(alive(pid), "the refused target is gone")
        numbers(terminal, 2)
        dump(test, pid, "-j").ok()
        terminal.expect(re.escape(PROMPT))
        wait_taken_down(pid)
        output, status = terminal.command(restore_line(test))
        test.check(status == 3 and "--shell-job" in output, f"status {status}: {output}")
        test.check(read_stat(pid) is None, "a refused restore left a process")


def test_background_job(test):
    """A job that was in the background stays there: the shell keeps its terminal."""
    with Terminal(test.folder) as terminal:
        pid = start_job(test, terminal)
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.line("bg")
        numbers(terminal, 2)
        dump(test, pid, "-j").ok()
        wait_taken_down(pid)
        terminal.line("")
        terminal.expect(re.escape(PROMPT))
        terminal.line(restore_line(test, "-j") + " &")
        numbers(terminal, 3)
        terminal.line("echo still $((40 + 2))")
        terminal.expect("still 42")
        os.kill(pid, signal.SIGKILL)


def test_interactive_bash(test):
    """A shell started by hand in a terminal: its variables, its line editing, its terminal modes."""
    need_program("bash")
    with Terminal(test.folder) as terminal:
        terminal.line("PS1='inner> ' bash --norc --noprofile -i")
        terminal.expect("inner> ")
        terminal.line("bind 'set enable-bracketed-paste off'; answer=42; cd /; echo pid $$ $((40 + 2))")
        pid = int(terminal.expect(r"pid (\d+) 42").group(1))
        terminal.expect("inner> ")
        dump(test, pid, "-j").ok()
        terminal.expect(re.escape(PROMPT))
        wait_taken_down(pid)
        for _ in range(2):
            terminal.line(restore_line(test, "-j"))
            wait_for(lambda: read_stat(pid) == "S", "the shell to be back")
            terminal.line("echo answer=$answer at $PWD from $$")
            terminal.expect(rf"answer=42 at / from {pid}\n")
            terminal.expect("inner> ")
            terminal.line("exit 7")
            terminal.expect(re.escape(PROMPT))
            wait_taken_down(pid)
            _, status = terminal.command("(exit $?)")
            test.check(status == 7, f"status {status}")


def test_shell_below_script(test):
    """script(1) with an interactive shell on its own pseudoterminal and jobs in all states, dumped from outside."""
    need_program("script")
    with Terminal(test.folder) as terminal:
        terminal.line("script -q -c \"PS1='inner> ' exec bash --norc --noprofile -i\" /dev/null")
        terminal.expect("inner> ")
        terminal.line("bind 'set enable-bracketed-paste off'; stty -echo; echo pids $PPID $$ $((40 + 2))")
        script, shell = map(int, terminal.expect(r"pids (\d+) (\d+) 42").groups())
        terminal.expect("inner> ")
        terminal.line("sleep 1000")
        wait_for(lambda: "sleep" in children_names(shell), "the first job")
        terminal.type("\x1a")
        terminal.expect(r"Stopped")
        terminal.line("sleep 2000 &")
        terminal.expect(r"\[2\] \d+")
        terminal.line("cat")
        wait_for(lambda: "cat" in children_names(shell), "the foreground job")
        terminal.line("before")
        terminal.expect("before\n")
        for number in range(2):
            dump(test, script, "-j").ok()
            terminal.expect(re.escape(PROMPT))
            wait_taken_down(script)
            wait_taken_down(shell)
            terminal.line(restore_line(test, "-j"))
            wait_for(lambda: "cat" in children_names(shell), "the tree to be back")
            terminal.line(f"after {number}")
            terminal.expect(f"after {number}\n")
        terminal.type("\x1a")
        terminal.expect(r"\[3\]\+  Stopped +cat")
        terminal.line("fg")
        terminal.expect("cat\n")
        terminal.type("\x03")
        terminal.expect("inner> ")
        terminal.line("jobs")
        terminal.expect(r"\[1\]\+  Stopped +sleep 1000\n")
        terminal.expect(r"\[2\]-  Running +sleep 2000 &\n")
        terminal.line("bg")
        terminal.line("jobs")
        terminal.expect(r"\[1\].  Running +sleep 1000 &\n")
        terminal.line("kill %1 %2; wait; echo waited")
        terminal.expect("waited\n")
        terminal.line("exit 5")
        terminal.expect(re.escape(PROMPT))
        wait_taken_down(shell)


def children_names(pid):
    pids = (read(f"/proc/{pid}/task/{pid}/children") or "").split()
    return [(read(f"/proc/{child}/comm") or "").strip() for child in pids]


def test_another_terminal(test):
    """Dumped in one terminal, restored in another one of another size."""
    with Terminal(test.folder) as first:
        pid = start_job(test, first)
        dump(test, pid, "-j").ok()
        first.expect(re.escape(PROMPT))
        wait_taken_down(pid)
        with Terminal(test.folder) as second:
            second.line(restore_line(test, "-j"))
            numbers(second, 3)
            test.check(os.readlink(f"/proc/{pid}/fd/1") != "", "no terminal")
            second.type("\x03")
            second.expect("KeyboardInterrupt")
