"""The work `increments`: a process with much memory writes to a part of it between two checkpoints of a chain."""
import os
import shutil

from targets import Target

WORK = "increments"
FULL, HUNDREDTH, NOTHING = "full", "1 % written", "nothing written"


def measure(bench, engine, memory_bytes):
    """One chain: a full dump, one after a hundredth of the memory was written to, one after nothing was."""
    target = Target(bench, 1, memory_bytes)
    try:
        target.wait_ticking()
        previous = []
        for number, (step, bytes_) in enumerate(((FULL, 0), (HUNDREDTH, memory_bytes // 100), (NOTHING, 0))):
            if bytes_:
                target.write(bytes_)
            folder = os.path.join(bench.work, f"increment-{number}")
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder, 0o700)
            target.set_word(Target.GAP, 0)
            command = engine.dump(target, folder, True) + ["--track-mem"] + previous
            wall, _, text = bench.run(command, memory_bytes)
            target.wait_ticking()
            bench.add(WORK, step, "freeze", target.word(Target.GAP) / 1e9)
            bench.add(WORK, step, "dump", wall)
            bench.add(WORK, step, "image", sum(entry.stat().st_blocks * 512 for entry in os.scandir(folder)))
            bench.keep_stages(f"{WORK}: {step},", engine, "dump", text)
            previous = ["--prev-images-dir", f"../increment-{number}"]
    finally:
        target.end()
        for number in range(3):
            shutil.rmtree(os.path.join(bench.work, f"increment-{number}"), ignore_errors=True)


def rows(bench, memory_bytes, seconds, size):
    table = []
    full = bench.median(WORK, FULL, "dump")
    if full is None:
        return table
    written = memory_bytes // 100 // 4096 * 4096
    table.append((WORK, "full: freeze", seconds(bench.median(WORK, FULL, "freeze")), "-", "-", "", None))
    for step in (HUNDREDTH, NOTHING):
        freeze, dump, image = (bench.median(WORK, step, measure) for measure in ("freeze", "dump", "image"))
        small = step == HUNDREDTH
        table.append((WORK, f"{step}: freeze", seconds(freeze), "-", "-", "< 20 ms" if small else "",
                      freeze < 0.02 if small else None))
        table.append((WORK, f"{step}: dump / full ({seconds(full)})", f"{dump / full:.3f}", "-", "-",
                      "<= 0.05" if small else "", dump / full <= 0.05 if small else None))
        if small:
            table.append((WORK, f"{step}: image / written ({size(written)})", f"{image / written:.3f}", "-", "-", "<= 1.02",
                          image / written <= 1.02))
        else:
            table.append((WORK, f"{step}: image", size(image), "-", "-", "< 1 MiB", image < 1 << 20))
    return table
