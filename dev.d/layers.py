#!/usr/bin/env python3
"""Checks that includes point down the layers or sideways, never up, and that blobs stay freestanding.

Prints one line per violation; exit status 1 if there is one.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Lowest first; rooms in one row are of the same layer and may include each other.
LAYERS = [
    ["base"],
    ["kernel"],
    ["arch"],
    ["procfs"],
    ["ptrace"],
    ["infect"],
    ["image"],
    ["memory", "task"],
    ["net", "ipc"],
    ["files"],
    ["dump", "restore"],
    ["cli"],
]
RANK = {room: rank for rank, row in enumerate(LAYERS) for room in row}

# What freestanding code may include besides its own folder and the wire structs.
BLOB_FOLDERS = {"parasite", "restorer", "blob"}
BLOB_MAY_INCLUDE = ("proto/wire/", "engine/kernel/raw_syscall.h", "blob/")

# Blob code that is also built into a room of the engine, so that both find the same.
HOSTED = {"task": {"parasite/thread_state.h", "parasite/task_state.h"}}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
# Heavy or tool-only headers that only some rooms may see.
RESTRICTED = [("boost/", {"cli"})]
ANY_INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)[">]', re.MULTILINE)


def sources():
    for folder in ("engine", "parasite", "restorer", "blob", "proto/wire"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".cc"):
                yield path.relative_to(ROOT)


def check_engine(path, includes):
    room = path.parts[1]
    if room not in RANK:
        yield f"{path}: engine/{room} is not in the layer table"
        return
    for include in includes:
        parts = include.split("/")
        if include in HOSTED.get(room, ()):
            continue
        if parts[0] in ("tools", "tests", "bench", "parasite", "restorer"):
            yield f"{path}: includes {include}"
        if parts[0] == "engine" and RANK.get(parts[1], len(LAYERS)) > RANK[room]:
            yield f"{path}: engine/{room} includes {include}, which is a layer above"


def check_blob(path, includes):
    for include in includes:
        own = include.startswith(path.parts[0] + "/")
        if not own and not include.startswith(BLOB_MAY_INCLUDE):
            yield f"{path}: freestanding code includes {include}"


def check_wire(path, includes):
    for include in includes:
        if not include.startswith("proto/wire/"):
            yield f"{path}: a wire struct includes {include}"


def check(path):
    text = (ROOT / path).read_text(errors="replace")
    includes = INCLUDE.findall(text)
    if path.parts[0] == "engine":
        yield from check_engine(path, includes)
        for include in ANY_INCLUDE.findall(text):
            for prefix, rooms in RESTRICTED:
                if include.startswith(prefix) and path.parts[1] not in rooms:
                    yield f"{path}: only {', '.join(sorted(rooms))} may include {include}"
    elif path.parts[0] in BLOB_FOLDERS:
        if path.name != "embed_blob.cc" and not path.name.startswith("blob_image"):
            yield from check_blob(path, includes)
    else:
        yield from check_wire(path, includes)


def main():
    problems = [problem for path in sources() for problem in check(path)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
