"""Programs the host side runs."""
import subprocess


class Failed(Exception):
    """Said to the user as it is."""


def output(*arguments, **options):
    arguments = [str(argument) for argument in arguments]
    done = subprocess.run(arguments, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(arguments[:6])}: exit {done.returncode}\n{(done.stderr or done.stdout)[-3000:].rstrip()}")
    return done.stdout


def run(*arguments, **options):
    output(*arguments, **options)
