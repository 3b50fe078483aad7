"""Which guests are booted, one after another, and what each does."""

QUICK = ["victims.", "modes.", "increments", "capabilities."]
# Emulated minutes; a guest that takes longer hangs.
FULL_SECONDS, QUICK_SECONDS, SHORT_SECONDS = 1500, 360, 300

# What `-cpu max` of the emulation has and this has not. The emulation has no AVX-512.
LESS = "max,-avx2,-avx,-fma,-f16c,-vaes"
LESS_NAMES = ["avx2", "avx"]
LESS_FOLDER = "less"


class Guest:
    def __init__(self, name, steps, limit_seconds, cpu="max"):
        self.name, self.steps, self.limit_seconds, self.cpu = name, steps, limit_seconds, cpu


def suite(options):
    """Every test, the quick groups, or the chosen ones."""
    steps = [] if options.filter else [["units"]]
    filters = options.filter or (QUICK if options.quick else [])
    steps.append(["run.py", *(argument for text in filters for argument in ("--filter", text))])
    return steps, options.limit or (QUICK_SECONDS if options.quick else FULL_SECONDS)


def guests(kernels, options):
    """[(kernel, guest)]. With more than one kernel checkpoints go from each to every other."""
    steps, limit = suite(options)
    if len(kernels) == 1 or options.filter:
        return [(kernel, Guest("tests", steps, limit)) for kernel in kernels]
    names = [kernel.name for kernel in kernels]
    found = [(kernel, Guest("tests", [*steps, ["vm/carry.py", "dump", kernel.name]], limit)) for kernel in kernels]
    refuse = [["vm/carry.py", "refuse", name, *LESS_NAMES] for name in names]
    found.append((kernels[0], Guest("lesser-processor", [*refuse, ["vm/carry.py", "dump", LESS_FOLDER]], SHORT_SECONDS,
                                    cpu=LESS)))
    for kernel in kernels:
        others = [name for name in names if name != kernel.name] + [LESS_FOLDER]
        found.append((kernel, Guest("carried", [["vm/carry.py", "restore", name] for name in others], 2 * SHORT_SECONDS)))
    return found
