"""What a guest runs on: a root made of this machine's Debian packages, the build, and a disk guests share."""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import shell
from kernels import CACHE

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What tests run; what these depend on comes by itself. JVM, node, Go and the compiler stay out: hundreds of
# megabytes, and minutes each under emulation.
PACKAGES = ["bash", "coreutils", "diffutils", "findutils", "grep", "gzip", "iproute2", "kmod", "libc-bin", "mount", "perl",
            "procps", "python3", "sed", "sqlite3", "strace", "tar", "util-linux", "xz-utils"]
LEFT_OUT = re.compile(r"^/usr/share/(doc|man|locale|info|lintian|zoneinfo)/")
FOLDERS = ["cryostat", "dev", "proc", "run", "sys", "tmp", "exchange", "root", "home", "mnt", "var/tmp", "etc"]
EXCHANGE_BYTES = 1 << 30


def installed():
    """{package: [names it depends on, first alternative that is here]} of this machine."""
    lines = shell.output("dpkg-query", "-W", "-f", "${Package}\t${Pre-Depends}, ${Depends}\t${Provides}\n").splitlines()
    fields = [line.split("\t") for line in lines]
    provider = {}
    for name, _, provides in fields:
        for provided in [name, *(part.split()[0] for part in provides.split(",") if part.strip())]:
            provider.setdefault(provided, name)
    depends = {}
    for name, wanted, _ in fields:
        groups = [[re.split(r"[ :(]", one.strip())[0] for one in group.split("|")] for group in wanted.split(",")]
        depends[name] = [next((provider[one] for one in group if one in provider), None) for group in groups]
    return depends


def closure(packages):
    depends, found, waiting = installed(), set(), list(packages)
    while waiting:
        name = waiting.pop()
        if name not in found and name in depends:
            found.add(name)
            waiting += [one for one in depends[name] if one]
    return sorted(found)


def libraries(programs):
    """Packages of the shared libraries the programs need."""
    paths = set()
    for program in programs:
        done = subprocess.run(["ldd", str(program)], capture_output=True, text=True)
        paths.update(os.path.realpath(path) for path in re.findall(r"=> (/\S+)", done.stdout))
    found = set()
    for path in paths:
        # dpkg knows some files by their path before /lib became a link.
        for name in (path, path.removeprefix("/usr")):
            done = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True)
            if done.returncode == 0:
                found.add(done.stdout.split(":")[0])
                break
    return found


def files_of(packages):
    """Every file and folder of the packages, by its real path."""
    listed = set(shell.output("dpkg-query", "-L", *packages).splitlines())
    found = set()
    for path in listed:
        if not path.startswith("/") or LEFT_OUT.match(path):
            continue
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if os.path.lexists(real) and not (os.path.isdir(real) and not os.path.islink(real)):
            found.add(real)
    return sorted(found)


def base(build):
    """The guest's root file system; kept in the cache until a package it is made of changes."""
    programs = [path for folder in ("bin", "tests/victims", "tests/unit")
                for path in sorted((build / folder).glob("*")) if path.is_file() and os.access(path, os.X_OK)]
    packages = closure({*PACKAGES, *libraries(programs)})
    versions = shell.output("dpkg-query", "-W", *packages) + pathlib.Path(__file__).read_text()
    image = CACHE / "roots" / f"{hashlib.sha256(versions.encode()).hexdigest()[:16]}.squashfs"
    if not image.exists():
        image.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="cryostat-root-") as folder:
            fill(pathlib.Path(folder), files_of(packages))
            squash(folder, image)
    return image


def fill(folder, files):
    names = "".join(path.lstrip("/") + "\0" for path in [*files, "/etc/passwd", "/etc/group", "/etc/nsswitch.conf"])
    packer = subprocess.Popen(["tar", "-C", "/", "--null", "--no-recursion", "-T", "-", "-cf", "-"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    unpacker = subprocess.Popen(["tar", "-C", str(folder), "-xpf", "-"], stdin=packer.stdout)
    packer.stdin.write(names.encode())
    packer.stdin.close()
    if unpacker.wait() != 0:
        raise shell.Failed("the guest's root could not be copied")
    packer.wait()
    for name in ("bin", "sbin", "lib", "lib64"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"usr/{name}")
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "usr/bin/sh").exists() or (folder / "usr/bin/sh").symlink_to("bash")
    (folder / "etc/hostname").write_text("guest\n")


def squash(folder, image):
    pathlib.Path(folder).chmod(0o755)
    fresh = image.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    shell.run("mksquashfs", folder, fresh, "-noappend", "-quiet", "-no-progress", "-comp", "zstd", "-Xcompression-level", "1")
    fresh.rename(image)


def work(build, folder):
    """The build and the tests as /cryostat of the guest: an image in `folder`."""
    with tempfile.TemporaryDirectory(prefix="cryostat-work-") as tree:
        tree = pathlib.Path(tree)
        shutil.copytree(ROOT / "tests", tree / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("bin", "tests/victims", "tests/unit"):
            if (build / name).exists():
                shutil.copytree(build / name, tree / "build" / name, ignore=shutil.ignore_patterns("CMakeFiles"))
        squash(tree, folder / "work.squashfs")
    return folder / "work.squashfs"


def exchange(folder):
    """An empty ext4 disk that guests write to, one after another."""
    image = folder / "exchange.ext4"
    with open(image, "wb") as file:
        file.truncate(EXCHANGE_BYTES)
    shell.run("mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", image)
    return image
