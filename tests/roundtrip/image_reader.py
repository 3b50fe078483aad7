"""Reads image files with nothing but docs/image-format.md at hand: framing and protobuf wire format.

Checksums are not verified here (Python has no XXH3); cr-inspect verify does that.
"""
import os
import struct

MAGIC = b"CRYOSTAT"
VERSION = 1
RECORD_TYPES = {
    1: "Manifest", 2: "Task", 3: "Thread", 4: "AddressSpace", 5: "Vma", 6: "MappedFile", 7: "SharedMemory",
    8: "Description", 9: "GhostData", 10: "DescriptorTable", 11: "PageRuns", 12: "DumpStats", 13: "RestoreStats",
    95: "IpcNamespace",
}
FILE_TYPES = {
    "manifest.img": 1, "tasks.img": 2, "mm.img": 3, "files.img": 4, "pagemap.img": 5, "stats.img": 6,
    "page-sums.img": 7,
}
ZERO_PAGE = 2**64 - 1
IN_PARENT = 2**64 - 2


class ImageError(Exception):
    pass


def check_header(data, name):
    if len(data) < 32 or data[:8] != MAGIC:
        raise ImageError(f"{name}: no image header")
    version, file_type, reserved = struct.unpack_from("<IIQ", data, 8)
    if version > VERSION:
        raise ImageError(f"{name}: version {version}")
    if file_type != FILE_TYPES[name] or reserved != 0:
        raise ImageError(f"{name}: file type {file_type}")


def records(folder, name):
    """Yields (message name, payload) of one record file."""
    with open(os.path.join(folder, name), "rb") as file:
        data = file.read()
    check_header(data, name)
    at = 32
    while at < len(data):
        if len(data) - at < 16:
            raise ImageError(f"{name}: ends inside a record header")
        length, record_type, _checksum = struct.unpack_from("<IIQ", data, at)
        at += 16
        if record_type not in RECORD_TYPES or length > len(data) - at:
            raise ImageError(f"{name}: bad record before byte {at}")
        yield RECORD_TYPES[record_type], data[at:at + length]
        at += length


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(payload):
    """All fields of a protobuf message: {field number: [raw values]}."""
    found = {}
    at = 0
    while at < len(payload):
        key, at = varint(payload, at)
        wire_type = key & 7
        if wire_type == 0:
            value, at = varint(payload, at)
        elif wire_type == 2:
            length, at = varint(payload, at)
            value, at = payload[at:at + length], at + length
        elif wire_type == 1:
            value, at = payload[at:at + 8], at + 8
        elif wire_type == 5:
            value, at = payload[at:at + 4], at + 4
        else:
            raise ImageError(f"wire type {wire_type}")
        found.setdefault(key >> 3, []).append(value)
    return found


def packed(found, number):
    """A repeated integer field, packed or not."""
    values = []
    for value in found.get(number, []):
        if isinstance(value, int):
            values.append(value)
            continue
        at = 0
        while at < len(value):
            item, at = varint(value, at)
            values.append(item)
    return values


def manifest(folder):
    """(root pid, {file name: size in bytes})."""
    (name, payload), = records(folder, "manifest.img")
    assert name == "Manifest"
    found = fields(payload)
    files = {}
    for entry in found.get(11, []):
        sub = fields(entry)
        files[sub[1][0].decode()] = sub.get(2, [0])[0]
    return found[6][0], files


def page_runs(folder):
    """Yields (owner kind, owner id, address, page count, page index)."""
    for name, payload in records(folder, "pagemap.img"):
        assert name == "PageRuns"
        found = fields(payload)
        owner, owner_id = found.get(1, [0])[0], found.get(2, [0])[0]
        for run in zip(packed(found, 3), packed(found, 4), packed(found, 5), strict=True):
            yield (owner, owner_id, *run)


def parent_folder(folder):
    """The folder of the parent checkpoint; None when there is none. Checks that it is the one meant."""
    (_, payload), = records(folder, "manifest.img")
    entry = fields(payload).get(20)
    if entry is None:
        return None
    parent = fields(entry[0])
    path = os.path.join(folder, parent[1][0].decode())
    (_, payload), = records(path, "manifest.img")
    if fields(payload)[12] != parent[2]:
        raise ImageError(f"{path} is not the parent of {folder}")
    return path


def full_runs(folder, owner, owner_id):
    """(address, page count, page index, store, id of the owner in the parent) of one owner."""
    for name, payload in records(folder, "pagemap.img"):
        found = fields(payload)
        if (found.get(1, [0])[0], found.get(2, [0])[0]) != (owner, owner_id):
            continue
        addresses = packed(found, 3)
        stores = packed(found, 6) or [0] * len(addresses)
        parent_owner = found.get(7, [0])[0]
        for run in zip(addresses, packed(found, 4), packed(found, 5), stores, strict=True):
            yield (*run, parent_owner)


def resolved_pages(folder, owner=0, owner_id=1):
    """{address: bytes} of every page that the checkpoint holds of one owner, its ancestors' pages included. Pages of zeroes
    are held, too, where a run says so."""
    pages, missing, parent_owner = {}, set(), owner_id
    with open(os.path.join(folder, "pages.img"), "rb") as file:
        for address, count, index, store, in_parent in full_runs(folder, owner, owner_id):
            for page in range(count):
                at = address + page * 4096
                if index == ZERO_PAGE:
                    pages[at] = bytes(4096)
                elif index == IN_PARENT:
                    missing.add(at)
                    parent_owner = in_parent
                elif store == 0:
                    file.seek((index + page) * 4096)
                    pages[at] = file.read(4096)
                else:
                    ancestor = folder
                    for _ in range(store):
                        ancestor = parent_folder(ancestor)
                    with open(os.path.join(ancestor, "pages.img"), "rb") as other:
                        other.seek((index + page) * 4096)
                        pages[at] = other.read(4096)
    if missing:
        parent = resolved_pages(parent_folder(folder), owner, parent_owner)
        pages.update((at, parent[at]) for at in missing if at in parent)
    return pages


def read_memory(folder, address, length):
    """Bytes of the (only) address space as the checkpoint's own pages hold them."""
    out = bytearray(length)
    with open(os.path.join(folder, "pages.img"), "rb") as pages:
        for owner, _, start, count, index in page_runs(folder):
            if owner != 0 or index == ZERO_PAGE:
                continue
            for page in range(count):
                begin = start + page * 4096
                low, high = max(begin, address), min(begin + 4096, address + length)
                if low < high:
                    pages.seek((index + page) * 4096 + low - begin)
                    out[low - address:high - address] = pages.read(high - low)
    return bytes(out)
