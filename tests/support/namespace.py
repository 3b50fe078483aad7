"""Runs a function in a pid, mount and network namespace of its own, with an init that reaps orphans."""
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import traceback

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP_RUNNING = 0x41
MS_REC_PRIVATE = 0x4000 | 0x40000
MS_BIND = 0x1000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{what}: {os.strerror(errno)}")


def mount(source, target, kind, flags=0, data=None):
    encode = lambda text: None if text is None else os.fsencode(text)
    _check(_libc.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(data)),
           f"mount {target}")


def umount(target):
    _check(_libc.umount2(os.fsencode(target), 2), f"umount {target}")


def _loopback_up():
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP_RUNNING))


def _init(function):
    """Pid 1: starts the function in a child, reaps whatever ends, leaves with the child's status."""
    mount(None, "/", None, MS_REC_PRIVATE)
    mount("proc", "/proc", "proc")
    _loopback_up()
    runner = os.fork()
    if runner == 0:
        status = 1
        try:
            os.setsid()
            status = function()
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    while True:
        pid, status = os.wait()
        if pid == runner:
            # The kernel kills everything else in the namespace with its init.
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def start(function):
    """Starts function() (which returns an exit code) in new namespaces; returns the pid of a process that
    ends with that code and takes everything in the namespace with it when it is killed."""
    outer = os.fork()
    if outer != 0:
        return outer
    try:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _check(_libc.unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET), "unshare")
        init = os.fork()
        if init == 0:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            _init(function)
        _, status = os.waitpid(init, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
