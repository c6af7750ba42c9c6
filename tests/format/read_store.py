#!/usr/bin/env python3
"""An independent reader of a store, written from docs/format/ alone with Python's standard library and the
zstd command.

    read_store.py STORE SNAPSHOT-ID [OUTPUT]      writes the volume (sparse), or prints its SHA-256 without OUTPUT
    read_store.py STORE --list                    prints snapshot ids
    read_store.py STORE --damage                  prints what is recorded as damaged, a line for each finding

It shares no code with the engine, which proves that the pages are sufficient. It checks every SHA-256 that it
meets: node ids, segment ids, block ids and content digests. It does not check XXH3 checksums: Python has no
XXH3.
"""

import hashlib
import json
import os
import re
import struct
import subprocess
import sys

BLOCK = 4096
LEAF_BLOCKS = 1024
ZERO, UNALLOCATED, NODE = 1, 2, 3
DATA, UNREADABLE = 1, 4  # kinds of extents; as kinds of children, ZERO and UNALLOCATED are 2 and 3


class Damaged(Exception):
    pass


class Unsupported(Exception):
    pass


def need(belief, what):
    if not belief:
        raise Damaged(what)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def check_version(version, what, known=1):
    need(version >= known, f"{what}: version {version}")
    if version != known:
        raise Unsupported(f"{what}: version {version}")


def read_config(store):
    with open(os.path.join(store, "ashlar.json"), encoding="utf-8") as file:
        config = json.load(file)
    need(config.get("format") == "ashlar store", "ashlar.json is of no store")
    check_version(config["version"], "ashlar.json", 2)
    if config["features_to_read"]:
        raise Unsupported(f"ashlar.json: a reader has to know {config['features_to_read'][0]}")
    for member, known in (("block_bytes", BLOCK), ("segment_blocks", 1024), ("hash", "sha256"), ("encryption", "none")):
        if config[member] != known:
            raise Unsupported(f"ashlar.json: {member} is {config[member]}")
    return config


class Pack:
    """A pack file: the entries of its footer, its directories, and ranges of its bytes."""

    def __init__(self, path, kind, store_id):
        self.path = path
        header = self.read(0, 128)
        need(header[:8] == b"ASHLPACK", f"{path}: magic")
        check_version(struct.unpack_from("<H", header, 8)[0], path, 2)
        need(header[10] == kind, f"{path}: kind")
        if header[11:13] != b"\x01\x00" or any(header[48:104]):
            raise Unsupported(f"{path}: hash or encryption")
        need(header[16:32] == store_id, f"{path}: of another store")
        need(header[32:48].hex() + ".pack" == os.path.basename(path), f"{path}: of another name")
        size = os.path.getsize(path)
        trailer = self.read(size - 48, 48)
        need(trailer[40:] == b"ASHLPEND" and trailer[20] == kind, f"{path}: trailer")
        footer_offset, self.directories_offset, self.count = struct.unpack_from("<QQI", trailer)
        need(128 <= self.directories_offset <= footer_offset <= size - 48, f"{path}: offsets")
        tail = self.read(self.directories_offset, size - 48 - self.directories_offset)
        self.directories = tail[: footer_offset - self.directories_offset]
        self.footer = tail[footer_offset - self.directories_offset :]

    def directory(self, offset, size):
        need(offset >= self.directories_offset, f"{self.path}: a directory before the directories")
        raw = self.directories[offset - self.directories_offset :][:size]
        need(len(raw) == size, f"{self.path}: a directory past the directories")
        return raw

    def read(self, offset, size):
        with open(self.path, "rb", buffering=0) as file:
            data = os.pread(file.fileno(), size, offset)
        need(len(data) == size, f"{self.path}: ends before {offset + size}")
        return data

    def entries(self, size, layout):
        need(len(self.footer) == self.count * size, f"{self.path}: length of the footer")
        for i in range(self.count):
            yield self.footer[i * size : i * size + 32], struct.unpack_from(layout, self.footer, i * size + 32)


class Segment:
    """The directory of a segment: its block ids, and where its frames lie. Decodes frames and keeps the last
    one."""

    def __init__(self, pack, offset, payload_bytes, raw, segment_id):
        need(raw[:8] == b"ASHLSEGM", "segment: magic")
        check_version(struct.unpack_from("<H", raw, 8)[0], "segment", 2)
        if raw[10] != 0 or any(raw[24:56]):
            raise Unsupported("segment: encryption")
        sealed, payload = struct.unpack_from("<II", raw, 12)
        blocks, frames = struct.unpack_from("<II", raw, 56)
        need(len(raw) == 24 + sealed == 104 + 16 * frames + 32 * blocks, "segment: length of the directory")
        ids = raw[104 + 16 * frames :]
        need(sha256(b"ashlar segment v1", ids) == segment_id == raw[64:96], "segment: id")
        self.pack = pack
        self.ids = [ids[i * 32 : i * 32 + 32] for i in range(blocks)]
        self.frames = []  # (first block, blocks, offset, stored bytes, codec)
        at, first = offset, 0
        for i in range(frames):
            stored, codec, count = struct.unpack_from("<IBB", raw, 104 + 16 * i)
            self.frames.append((first, count, at, stored, codec))
            first, at = first + count, at + stored
        need(first == blocks and at == offset + payload == offset + payload_bytes, "segment: frames do not add up")
        self.decoded = (None, b"")

    def block(self, number):
        frame = next(f for f in self.frames if f[0] <= number < f[0] + f[1])
        if self.decoded[0] != frame:
            self.decoded = (frame, self.decode(frame))
        start = (number - frame[0]) * BLOCK
        block = self.decoded[1][start : start + BLOCK]
        need(sha256(block) == self.ids[number], f"block {number} of a segment does not match its id")
        return block

    def decode(self, frame):
        _, count, offset, stored, codec = frame
        data = self.pack.read(offset, stored)
        if codec == 1:
            data = subprocess.run(["zstd", "-d", "-c", "-q"], input=data, capture_output=True, check=True).stdout
        else:
            need(codec == 0, "frame: absent, or of an unknown codec")
        need(len(data) == count * BLOCK, "frame: length")
        return data


def pack_files(store, folder):
    base = os.path.join(store, folder)
    for xx in sorted(os.listdir(base)) if os.path.isdir(base) else []:
        for name in sorted(os.listdir(os.path.join(base, xx))):
            if re.fullmatch(r"[0-9a-f]{32}\.pack", name) and name.startswith(xx):
                yield os.path.join(base, xx, name)


class Store:
    def __init__(self, path):
        self.path = path
        self.id = bytes.fromhex(read_config(path)["store_id"])
        self.nodes, self.places, self.segments = {}, {}, {}
        for file in pack_files(path, "meta"):
            pack = Pack(file, 2, self.id)
            for node_id, (offset, size) in pack.entries(48, "<QI4x"):
                self.nodes[node_id] = (pack, offset, size)
        for file in pack_files(path, "packs"):
            pack = Pack(file, 1, self.id)
            for segment_id, (offset, at, size, directory_size, _) in pack.entries(64, "<QQIII4x"):
                self.places[segment_id] = (pack, offset, size, at, directory_size)

    def snapshots(self):
        folder = os.path.join(self.path, "snapshots")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return sorted(n for n in names if re.fullmatch("snap-0[0-9a-f]{16}", n) and self.is_published(n))

    def is_published(self, name):
        """Passes over snapshots that are being made (ASHLOPEN) or were deleted (ASHLGONE)."""
        with open(os.path.join(self.path, "snapshots", name), "rb") as file:
            return file.read(8) not in (b"ASHLOPEN", b"ASHLGONE")

    def snapshot(self, name):
        with open(os.path.join(self.path, "snapshots", name), "rb") as file:
            raw = file.read()
        need(raw[:8] == b"ASHLSNAP", f"{name}: magic")
        check_version(struct.unpack_from("<H", raw, 8)[0], name, 2)
        if raw[10:12] != b"\x01\x00":
            raise Unsupported(f"{name}: hash or encryption")
        snap_id, _, _, size = struct.unpack_from("<QQQQ", raw, 16)
        need(name == f"snap-0{snap_id:016x}" and raw[48:64] == self.id, f"{name}: of another name or store")
        level, kind = raw[14], raw[15]
        root_id, root_digest, content = raw[64:96], raw[96:128], raw[128:160]
        need(content == sha256(b"ashlar volume content v1", struct.pack("<QB", size, level), root_digest),
             f"{name}: content digest")
        return size, level, kind, root_id, root_digest

    def damage(self):
        folder = os.path.join(self.path, "damage")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        for name in sorted(n for n in names if re.fullmatch("[0-9a-f]{32}", n)):
            with open(os.path.join(folder, name), "rb") as file:
                yield from damage_lines(file.read(), name, self.id)

    def node(self, node_id):
        need(node_id in self.nodes, f"no meta pack holds node {node_id.hex()}")
        pack, offset, size = self.nodes[node_id]
        raw = pack.read(offset, size)
        need(sha256(b"ashlar node v1", raw) == node_id, f"node {node_id.hex()} does not match its id")
        check_version(raw[1], "node", 2)
        return raw

    def segment(self, segment_id):
        if segment_id not in self.segments:
            need(segment_id in self.places, f"no data pack holds segment {segment_id.hex()}")
            pack, offset, size, at, directory_size = self.places[segment_id]
            directory = pack.directory(at, directory_size)
            self.segments[segment_id] = Segment(pack, offset, size, directory, segment_id)
        return self.segments[segment_id]

    def walk(self, level, kind, node_id, digest, first_leaf, leaves, write):
        """Reads one subtree and calls write(block number in the volume, bytes) for its DATA blocks only."""
        if kind in (ZERO, UNALLOCATED):
            return
        need(kind == NODE, "unknown kind of child")
        if level == 0:
            self.read_leaf(self.node(node_id), digest, first_leaf, write)
            return
        raw = self.node(node_id)
        need(raw[0] == 2 and raw[2] == level, "inner node: mark or level")
        (count,) = struct.unpack_from("<H", raw, 4)
        kinds, at, children = raw[8 : 8 + count], 8 + count, []
        for child_kind in kinds:
            child_id = b""
            if child_kind == NODE:
                child_id, at = raw[at : at + 32], at + 32
            children.append((child_kind, child_id, raw[at : at + 32]))
            at += 32
        need(at == len(raw), "inner node: length")
        need(sha256(b"ashlar inner content v1", bytes([level]), *(c[2] for c in children)) == digest, "inner digest")
        span = 256 ** (level - 1)
        need(count == min(256, -(-(leaves - first_leaf) // span)), "inner node: number of children")
        for i, child in enumerate(children):
            self.walk(level - 1, *child, first_leaf + i * span, leaves, write)

    def read_leaf(self, raw, digest, number, write):
        need(raw[0] == 1, "leaf: mark")
        flags, reserved, blocks, segments, extents, mask = struct.unpack_from("<BBHHH6xQ", raw, 2)
        need(flags in (0, 1) and reserved == 0 and not any(raw[10:16]), "leaf: flags")
        need(flags == 0 or mask == 0, "leaf: region hashes in a leaf without")
        need(len(raw) == 56 + 32 * segments + 8 * extents + 16 * bin(mask).count("1"), "leaf: length")
        ids = [raw[56 + 32 * i : 88 + 32 * i] for i in range(segments)]
        marks, block = [], 0
        for i in range(extents):
            kind, _, count, index, first = struct.unpack_from("<BBHHH", raw, 56 + 32 * segments + 8 * i)
            need(kind != UNREADABLE, f"blocks {number * LEAF_BLOCKS + block} and on were lost at the source")
            for j in range(count):
                if kind == DATA:
                    segment = self.segment(ids[index])
                    marks.append(segment.ids[first + j])
                    write(number * LEAF_BLOCKS + block, segment.block(first + j))
                else:
                    marks.append(bytes(32))
                block += 1
        need(block == blocks, "leaf: extents do not cover it")
        need(sha256(b"ashlar leaf content v1", *marks) == digest == raw[24:56], "leaf: content digest")


def bits(raw):
    return [i for i in range(8 * len(raw)) if raw[i // 8] >> i % 8 & 1]


def damage_lines(raw, name, store_id):
    """The findings of a damage record: "<pack> <segment or node> [<frame>] damaged|lost"."""
    need(raw[:8] == b"ASHLDAMG", f"{name}: magic")
    check_version(struct.unpack_from("<H", raw, 8)[0], name)
    kind, flags, count, revision = struct.unpack_from("<BBIQ", raw, 10)
    need(kind in (1, 2) and flags in (0, 1, 3) and revision > 0, f"{name}: kind, flags or revision")
    need(raw[24:40] == store_id and raw[40:56].hex() == name, f"{name}: of another store or name")
    if flags:
        yield f"{name} whole {'lost' if flags == 3 else 'damaged'}"
    at, last = 72, b""
    for _ in range(count):
        entry, at = raw[at : at + 32], at + 32
        need(last < entry and len(entry) == 32, f"{name}: order of the entries")
        last, size = entry, raw[at]
        if kind == 2:
            need(size in (1, 2), f"{name}: state of a node")
            yield f"{name} {entry.hex()} {'damaged' if size == 1 else 'lost'}"
            at += 1
            continue
        damaged, lost = bits(raw[at + 1 :][:size]), bits(raw[at + 1 + size :][:size])
        need(1 <= size <= 128 and damaged and damaged[-1] >= 8 * (size - 1), f"{name}: length of a set")
        need(set(lost) <= set(damaged), f"{name}: lost, but not damaged")
        for frame in damaged:
            yield f"{name} {entry.hex()} {frame} {'lost' if frame in lost else 'damaged'}"
        at += 1 + 2 * size
    need(at == len(raw) - 8, f"{name}: length")


def write_volume(store, name, out):
    size, level, kind, root_id, digest = store.snapshot(name)
    blocks = -(-size // BLOCK)

    def write(block, data):
        need(block < blocks, "a block past the volume's end")
        os.pwrite(out.fileno(), data, block * BLOCK)

    store.walk(level, kind, root_id, digest, 0, -(-blocks // LEAF_BLOCKS), write)
    out.truncate(size)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    store = Store(sys.argv[1])
    if sys.argv[2] == "--list":
        print("\n".join(store.snapshots()))
    elif sys.argv[2] == "--damage":
        print("\n".join(store.damage()))
    elif len(sys.argv) > 3:
        with open(sys.argv[3], "w+b") as out:
            write_volume(store, sys.argv[2], out)
    else:
        import tempfile

        with tempfile.TemporaryFile() as out:
            write_volume(store, sys.argv[2], out)
            out.seek(0)
            digest = hashlib.sha256()
            while chunk := out.read(1 << 20):
                digest.update(chunk)
            print(digest.hexdigest())


if __name__ == "__main__":
    main()
