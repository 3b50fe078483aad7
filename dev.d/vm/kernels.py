"""Distribution kernels: which there are, fetched with apt into the cache, never installed.

The mirror and its keys are those this machine's own apt uses for Debian; only the suite's name is ours.
"""
import os
import pathlib
import re
import shutil
import subprocess

import shell

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "cryostat" / "vm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Kernel:
    """A suite's cloud kernel. `image` and `modules` exist after fetch()."""

    def __init__(self, name, suite, description):
        self.name, self.suite, self.description = name, suite, description
        self.folder = CACHE / "kernels" / name

    @property
    def modules(self):
        return next(path for base in ("lib", "usr/lib") for path in sorted(self.folder.glob(f"{base}/modules/*")))

    @property
    def release(self):
        return self.modules.name

    @property
    def image(self):
        """In /boot, or (Debian since 2026) beside the modules."""
        return next(path for path in (self.folder / f"boot/vmlinuz-{self.release}", self.modules / "vmlinuz") if path.exists())

    def is_fetched(self):
        return (self.folder / "complete").exists()

    def fetch(self, newest=False):
        """Downloads and unpacks the kernel, unless it is in the cache; `newest` asks the mirror again."""
        if self.is_fetched() and not newest:
            return
        archive = Archive(self.suite)
        unpack(archive, archive.parts_of("linux-image-cloud-amd64", r"linux-(image|modules|binary)-"), self.folder)
        shell.run("depmod", "-b", self.modules.parents[2], self.release)
        (self.folder / "complete").touch()


KERNELS = [
    Kernel("6.1", "bookworm", "Debian 12"),
    Kernel("6.12", "trixie", "Debian 13"),
    Kernel("sid", "sid", "Debian unstable, the newest"),
]


def unpack(archive, packages, folder):
    """The packages' files under `folder`, which is made anew."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for package in archive.download(packages):
        shell.run("dpkg-deb", "-x", package, fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def mirror():
    """Where this machine's apt gets Debian from (not its security updates: they have no other suites)."""
    targets = shell.output("apt-get", "indextargets", "--format", "$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(CREATED_BY)")
    for line in targets.splitlines():
        uri, origin, label, kind = line.split("|")
        if (origin, label, kind) == ("Debian", "Debian", "Packages"):
            return uri
    raise shell.Failed("apt on this machine has no Debian archive (apt-get update may not have run yet)")


class Archive:
    """One suite, with apt state of its own in the cache."""

    def __init__(self, suite):
        self.folder = CACHE / "apt" / suite
        for name in ("lists/partial", "archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
        self.options = []
        for key, value in (("Dir::Etc::SourceList", self.folder / "sources.list"),
                           ("Dir::Etc::SourceParts", "/nonexistent"), ("Dir::Etc::Preferences", "/nonexistent"),
                           ("Dir::Etc::PreferencesParts", "/nonexistent"), ("APT::Default-Release", ""),
                           ("Dir::State::status", self.folder / "status"), ("Dir::State::Lists", self.folder / "lists"),
                           ("Dir::Cache", self.folder), ("APT::Architecture", "amd64"), ("APT::Sandbox::User", "root"),
                           ("Acquire::Languages", "none")):
            self.options += ["-o", f"{key}={value}"]
        shell.run("apt-get", *self.options, "-qq", "update")

    def parts_of(self, package, wanted):
        """The packages with files of `package`: what it depends on by an exact version and `wanted` matches, and so on."""
        parts, waiting = [], [package]
        while waiting:
            shown = shell.output("apt-cache", *self.options, "--no-all-versions", "show", waiting.pop())
            depends = re.search(r"^Depends: (.*)$", shown, re.MULTILINE)
            for name in re.findall(r"([^ ,|]+) \(= ", depends.group(1) if depends else ""):
                if re.match(wanted, name) and name not in parts:
                    parts.append(name)
                    waiting.append(name)
        if not parts:
            raise shell.Failed(f"{package}: no part of it found in the suite {self.folder.name}")
        return parts

    def download(self, packages):
        """Paths of the downloaded packages; apt checks their sums against the signed index."""
        target = self.folder / "packages"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        shell.run("apt-get", *self.options, "-qq", "download", *packages, cwd=target)
        return sorted(target.glob("*.deb"))
