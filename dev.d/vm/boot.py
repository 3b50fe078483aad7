"""Boots one guest: the initramfs, qemu's command line, the lines that come back, the time limit."""
import functools
import json
import lzma
import os
import pathlib
import re
import select
import shutil
import subprocess
import tempfile
import time

import shell
from images import ROOT

QEMU = "qemu-system-x86_64"
# Needed to come up, and what tests use; those built into a kernel are left out.
MODULES = ["virtio_pci", "virtio_blk", "squashfs", "overlay", "ext4", "loop", "tun", "dummy", "veth", "unix_diag",
           "inet_diag", "tcp_diag", "udp_diag", "netlink_diag", "packet_diag", "fuse"]
KVM_SECONDS = 25


def module_files(kernel):
    """The module files to load, in an order that loads every module after those it needs."""
    needs = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    named = {re.sub(r"\.ko.*", "", os.path.basename(path)).replace("-", "_"): path for path in needs}
    order = []

    def add(path):
        for other in needs[path]:
            add(other)
        if path not in order:
            order.append(path)

    for name in MODULES:
        if name in named:
            add(named[name])
    return [kernel.modules / path for path in order]


def plain_module(path):
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", str(path)], stdout=subprocess.PIPE, check=True).stdout
    return path.read_bytes()


def initramfs(kernel, job, target):
    """busybox, the modules, the first init and the job."""
    with tempfile.TemporaryDirectory(prefix="cryostat-initramfs-") as folder:
        folder = pathlib.Path(folder)
        for name in ("bin", "modules", "newroot", "proc", "sys", "dev"):
            (folder / name).mkdir()
        shutil.copy("/bin/busybox", folder / "bin/busybox")
        shutil.copy(ROOT / "tests/vm/first_init", folder / "init")
        (folder / "init").chmod(0o755)
        for number, path in enumerate(module_files(kernel)):
            name = re.sub(r"\.ko.*", "", path.name)
            (folder / f"modules/{number:03}-{name}.ko").write_bytes(plain_module(path))
        (folder / "job.json").write_text(json.dumps(job))
        names = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
        with open(target, "wb") as out:
            packed = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], input=names.encode(), stdout=out,
                                    stderr=subprocess.PIPE, cwd=folder)
        if packed.returncode != 0:
            raise shell.Failed(f"cpio: {packed.stderr.decode()}")


class Machine:
    """What the guest is like."""

    def __init__(self, base, work, exchange=None, cpu="max", memory_mib=2048, processors=2):
        self.disks = [(base, True), (work, True)] + ([(exchange, False)] if exchange else [])
        self.cpu, self.memory_mib, self.processors = cpu, memory_mib, processors

    def command(self, kernel, initrd, console, lines, accelerator, append=""):
        command = ["nice", "-n", os.environ.get("CRYOSTAT_VM_NICE", "10"), QEMU, "-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else self.cpu,
                   "-m", str(self.memory_mib), "-smp", str(self.processors), "-nodefaults", "-display", "none",
                   "-no-reboot", "-kernel", str(kernel.image), "-initrd", str(initrd), "-append",
                   f"console=ttyS0 panic=-1 oops=panic quiet {append}".strip(), "-serial", console, "-serial", lines]
        for number, (path, read_only) in enumerate(self.disks):
            command += ["-drive", f"file={path},format=raw,if=none,id=d{number},readonly={'on' if read_only else 'off'}",
                        "-device", f"virtio-blk-pci,drive=d{number}"]
        return command


@functools.cache
def accelerator(kernel_image):
    """kvm when it boots a kernel to its first word; a /dev/kvm alone says nothing. Else tcg."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    try:
        done = subprocess.run([QEMU, "-accel", "kvm", "-cpu", "host", "-m", "512", "-nodefaults", "-display", "none",
                               "-no-reboot", "-kernel", kernel_image, "-append", "console=ttyS0 panic=-1", "-serial", "stdio"],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=KVM_SECONDS)
    except subprocess.TimeoutExpired:
        return "tcg"
    # Without a root it panics: that is far enough.
    return "kvm" if b"Kernel panic" in done.stdout else "tcg"


def yield_to_others(pid):
    """Niceness counts inside a session only; where sessions share the processors (sched(7), autogroup) theirs counts."""
    try:
        pathlib.Path(f"/proc/{pid}/autogroup").write_text(os.environ.get("CRYOSTAT_VM_NICE", "10"))
    except OSError:
        pass


class Ended:
    """How a guest ended: "done" (it said so), "panic", "hang" (the time limit) or "died"."""

    def __init__(self, how, seconds, console):
        self.how, self.seconds, self.console = how, seconds, console


def run(kernel, machine, job, folder, limit_seconds, on_line):
    """Boots, hands every line of the guest's second serial port to on_line, and waits for its end."""
    initrd, console = folder / "initramfs.cpio", folder / "console.log"
    initramfs(kernel, job, initrd)
    command = machine.command(kernel, initrd, f"file:{console}", "stdio", accelerator(str(kernel.image)))
    began, done = time.monotonic(), False
    with open(folder / "qemu.log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
    yield_to_others(process.pid)
    waiting = b""
    late = False
    try:
        while True:
            left = began + limit_seconds - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                late = True
                break
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                break
            *whole, waiting = (waiting + piece).split(b"\n")
            for line in whole:
                text = line.decode(errors="replace").rstrip("\r")
                done = done or text == "@done"
                on_line(text)
    finally:
        process.kill()
        process.wait()
    text = console.read_text(errors="replace") if console.exists() else ""
    how = "hang" if late else "done" if done else "panic" if "Kernel panic" in text else "died"
    return Ended(how, time.monotonic() - began, console)


def shell_in(kernel, machine, folder):
    """A shell in a guest, on this terminal; `exit` powers it off."""
    initrd = folder / "initramfs.cpio"
    initramfs(kernel, {"shell": True}, initrd)
    command = machine.command(kernel, initrd, "mon:stdio", "null", accelerator(str(kernel.image)))
    return subprocess.run(command).returncode
