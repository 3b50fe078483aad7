"""UNIX sockets: names that are taken, files that are missing, peers outside."""
import os
import socket

from harness import need_program, read, wait_for

SERVER = """
import os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
name = sys.argv[1]
server.bind("\\0" + name[1:] if name[0] == "@" else name)
server.listen()
print("ready", flush=True)
while True:
    peer, _ = server.accept()
    peer.sendall(b"hello")
    peer.close()
"""

LOGGER = """
import os, socket, sys, time
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.connect(sys.argv[1])
open(sys.argv[2], "w").close()
n = 0
while True:
    while not os.path.exists(sys.argv[3]): time.sleep(0.002)
    os.unlink(sys.argv[3])
    log.send(b"line %d" % n)
    n += 1
"""


def start(test, code, *arguments):
    need_program("python3")
    output = test.path(f"output-{len(os.listdir(test.folder))}")
    program = test.program("python3", "-c", code, *arguments, output=output)
    program.output = output
    return program


def server(test, name):
    program = start(test, SERVER, name)
    wait_for(lambda: "ready" in read(program.output, ""), "the server")
    return program


def ask(name):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect("\0" + name[1:] if name[0] == "@" else name)
        return client.recv(100)


def leftovers(folder):
    return [name for name in os.listdir(folder) if name.startswith(".cryostat")]


def test_path(test):
    """The file of a socket: missing, another one's, left behind, in use."""
    folder = test.new_folder("names")
    name = os.path.join(folder, "socket")
    program = server(test, name)
    os.chmod(name, 0o605)
    os.chown(name, 7, 8)
    before = os.lstat(name)
    images = test.path("images")
    test.dump(program, images, "-R").ok()
    test.check(ask(name) == b"hello", "not served after the dump")
    test.dump_and_end(program, images)

    def restored(note):
        test.restore_detached(program, images)
        test.check(ask(name) == b"hello", f"not served: {note}")
        now = os.lstat(name)
        test.check((now.st_mode, now.st_uid, now.st_gid, now.st_mtime_ns) ==
                   (before.st_mode, before.st_uid, before.st_gid, before.st_mtime_ns), f"file: {note}")
        test.check(os.listdir(folder) == ["socket"], f"left behind: {os.listdir(folder)}")

    restored("the old file is there")
    # In use: by the restored process itself; its pid is taken as well.
    test.restore(images, "-d").failed(6, f"UNIX socket {name}", "a socket is bound to it")
    program.kill()
    restored("left by a restore")
    program.kill()
    os.unlink(name)
    restored("missing")
    program.kill()
    os.unlink(name)
    for other in ("file", "socket"):
        if other == "file":
            with open(name, "w") as file:
                file.write("precious")
        else:
            socket.socket(socket.AF_UNIX).bind(name)
        there = os.lstat(name)
        for arguments in (("-d",), ("--dry-run",)):
            test.restore(images, *arguments).failed(6, f"UNIX socket {name}", "another file is there now")
        test.check(os.lstat(name) == there and not leftovers(folder), f"touched: {other}")
        os.unlink(name)
    os.rename(folder, folder + ".away")
    test.restore(images, "-d").failed(6, "there is no folder")


def test_abstract(test):
    """A name that somebody else has is found before anything is made."""
    name = f"@cryostat.test.{os.getpid()}.{test.folder}"[:100]
    program = server(test, name)
    images = test.path("images")
    test.dump_and_end(program, images)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind("\0" + name[1:])
        test.restore(images, "-d").failed(6, f"UNIX socket {name}", "another socket has this name")
    test.restore_detached(program, images)
    test.check(ask(name) == b"hello", "not served")
    program.kill()


def test_outside(test):
    """Both ends of a connection to somebody outside are named."""
    name = test.path("outside")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(name)
        listener.listen()
        code = "import socket, sys, time\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n" \
               "print('ready', flush=True)\ntime.sleep(1000)"
        program = start(test, code, name)
        wait_for(lambda: "ready" in read(program.output, ""), "the client")
        images = test.path("images")
        # In the backlog, then accepted.
        test.dump(program, images).failed(3, f"pid {program.pid} fd", "whose other end unix[", name, "outside the target")
        peer, _ = listener.accept()
        inode = os.fstat(peer.fileno()).st_ino
        test.dump(program, images, "-x").failed(3, f"unix[{inode}] {name}", f"pid {os.getpid()} (", "outside the target")
        program.kill()
        peer.close()


def test_ext_unix_sk(test):
    """A datagram socket that is connected to a service outside is connected again."""
    name = test.path("log")
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind(name)
    log.settimeout(10)
    ready, go = test.path("ready"), test.path("go")
    program = start(test, LOGGER, name, ready, go)
    wait_for(lambda: os.path.exists(ready), "the client")

    def line(expected):
        open(go, "w").close()
        test.check(log.recv(100) == expected, f"not {expected}")

    line(b"line 0")
    images = test.path("images")
    test.dump(program, images).failed(3, f"pid {program.pid} fd", name, "--ext-unix-sk")
    test.dump_and_end(program, images, "-x")
    test.restore_detached(program, images, "-x")
    line(b"line 1")
    program.kill()
    log.close()
    test.restore(images, "-d").failed(6, f"UNIX socket {name}", "nobody listens there")
    os.unlink(name)
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind(name)
    log.settimeout(10)
    test.restore_detached(program, images)
    line(b"line 1")
    program.kill()
    log.close()
