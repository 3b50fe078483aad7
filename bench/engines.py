"""The commands that are measured."""
import os
import shlex


class Cryostat:
    name = "cryostat"

    def __init__(self, build):
        self.bin = os.path.join(build, "bin")

    def dump(self, target, images, leave_running):
        return ([os.path.join(self.bin, "cr-dump"), "-t", str(target.pid), "-D", images, "--json"]
                + (["-R"] if leave_running else []))

    def restore(self, images):
        return [os.path.join(self.bin, "cr-restore"), "-D", images, "-d", "--json"]

    def idle(self):
        return [os.path.join(self.bin, "cr-dump"), "--version"]


class Stopped(Cryostat):
    """The same engine without copies: what they save."""
    name = "cryostat --snapshot=stop"

    def dump(self, target, images, leave_running):
        return super().dump(target, images, leave_running) + ["--snapshot=stop"]


class Criu:
    name = "criu"

    def __init__(self, command):
        self.command = shlex.split(command)

    def dump(self, target, images, leave_running):
        return (self.command + ["dump", "-t", str(target.pid), "-D", images]
                + (["-R"] if leave_running else []))

    def restore(self, images):
        return self.command + ["restore", "-D", images, "-d"]

    def idle(self):
        return self.command + ["--version"]
