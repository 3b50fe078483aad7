"""What lies outside is named at the dump and handed in at the restore."""
import os
import socket

from harness import need_program, read, wait_for

ECHO = """
import sys
for line in iter(sys.stdin.readline, ""):
    print("got", line.strip(), flush=True)
"""


def start(test, stdin, output):
    need_program("python3")
    return test.program("python3", "-c", ECHO, output=output, stdin=stdin)


def test_pipe_and_socket(test):
    """A program whose input comes from outside: refused without --external, restored with --inherit-fd."""
    for make, kind in ((os.pipe, "pipe"), (socket.socketpair, "unix")):
        ends = make()
        numbers = [end if isinstance(end, int) else end.fileno() for end in ends]
        output = test.path(f"output-{kind}")
        program = start(test, numbers[0], output)
        os.write(numbers[1], b"one\n")
        wait_for(lambda: "got one" in read(output, ""), "the first line")
        inode = os.fstat(numbers[0]).st_ino
        images = test.path(f"images-{kind}")
        test.dump(program, images).failed(3, "outside")
        test.dump(program, images, "--external", f"{kind}[x]").failed(2, f"{kind}[x]")
        test.dump_and_end(program, images, "--external", f"{kind}[{inode}]:input")
        test.restore(images, "-d").failed(2, "external input", "--inherit-fd 'fd[N]:input'")
        test.restore(images, "-d", "--inherit-fd", "fd[77]:input").failed(2, "descriptor 77 is not open")
        null = os.open("/dev/null", os.O_RDWR)
        test.restore(images, "-d", "--inherit-fd", f"fd[{null}]:input", pass_fds=[null]).failed(2, "character device")
        done = test.restore(images, "-d", "--inherit-fd", f"fd[{numbers[0]}]:input", pass_fds=[numbers[0]]).ok()
        test.check(program.alive(), f"not restored: {done}")
        os.write(numbers[1], b"two\n")
        wait_for(lambda: "got two" in read(output, ""), "the second line")
        program.kill()
        os.close(null)
        for end in ends:
            os.close(end) if isinstance(end, int) else end.close()


def test_file(test):
    """A file that is not there any more is replaced by another."""
    need_program("python3")
    old, new = test.path("old"), test.path("new")
    with open(old, "w") as file:
        file.write("line\n" * 5)
    with open(new, "w") as file:
        file.write("other\n")
    code = "import os, sys, time\nfd = os.open(sys.argv[1], os.O_RDONLY)\nprint('ready', flush=True)\n" \
           "while True: print(os.pread(fd, 5, 0), flush=True); time.sleep(0.01)"
    output = test.path("output")
    program = test.program("python3", "-u", "-c", code, old, output=output)
    wait_for(lambda: "line" in read(output, ""), "output")
    number = next(fd for fd in os.listdir(f"/proc/{program.pid}/fd")
                  if os.readlink(f"/proc/{program.pid}/fd/{fd}") == old)
    info = dict(line.split(":", 1) for line in read(f"/proc/{program.pid}/fdinfo/{number}").splitlines())
    name = f"file[{int(info['mnt_id']):x}:{os.stat(old).st_ino:x}]"
    images = test.path("images")
    test.dump_and_end(program, images, "--external", name)
    os.unlink(old)
    with open(new) as file:
        test.restore(images, "-d", "--inherit-fd", f"fd[{file.fileno()}]:{name}", pass_fds=[file.fileno()]).ok()
    wait_for(lambda: "other" in read(output, ""), "what is in the new file")
    program.kill()
