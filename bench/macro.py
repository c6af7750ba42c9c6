#!/usr/bin/env python3
"""Whole captures and restores of real disk images, each beside its limit, measured in the same run.

    bench/macro.py --corpus DIR [--work DIR] [--only first,unchanged,...] [--runs 3]

Every figure is the median of --runs runs in which the sides alternate. Images are read once before they are
measured, so the page cache is warm; both sides sync to the disk what they write. Prints a Markdown table and
writes raw figures to --json. docs/performance.md has the method and the results of a run.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIB = 1 << 20
BLOCK = 4096
SECTIONS = ["first", "unchanged", "changed", "restore", "sparse", "stored", "memory"]


class Failed(Exception):
    """A measured command did not exit with 0."""


class Done:
    """A command that has run: wall and processor seconds, peak memory, and what it printed."""

    def __init__(self, command, seconds, usage, output):
        self.command = command
        self.seconds = seconds
        self.user = usage.ru_utime
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak_mib = usage.ru_maxrss / 1024
        self.output = output

    def json(self):
        return json.loads(self.output)


def run(*command, sync=None):
    """Runs a command and measures it; `sync` is a file whose bytes must be on disk before the clock stops."""
    with tempfile.TemporaryFile() as out:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if sync:
            fd = os.open(sync, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        seconds = time.monotonic() - start
        out.seek(0)
        text = out.read().decode(errors="replace")
    if process.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {process.returncode}: {text[:500]}")
    return Done(" ".join(command), seconds, usage, text)


def median(values):
    return statistics.median(list(values))


def data_extents(fd):
    end, size = 0, os.fstat(fd).st_size
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end


def nonzero_runs(data):
    """Yields the pieces of `data` that consist of blocks that are not all zeros."""
    zeros, start = bytes(BLOCK), None
    for at in range(0, len(data), BLOCK):
        if data[at:at + BLOCK] == zeros:
            if start is not None:
                yield data[start:at]
            start = None
        elif start is None:
            start = at
    if start is not None:
        yield data[start:]


def extract_data(image, target):
    """Writes the image's blocks that hold data, one after the other, and returns how many bytes they are."""
    fd = os.open(image, os.O_RDONLY)
    with open(target, "wb") as out:
        for start, end in data_extents(fd):
            for at in range(start, end, 4 * MIB):
                for piece in nonzero_runs(os.pread(fd, min(4 * MIB, end - at), at)):
                    out.write(piece)
        out.flush()
        os.fsync(out.fileno())
        size = out.tell()
    os.close(fd)
    return size


def in_child(job, *args):
    """Runs a job in a process of its own: a command's peak memory includes what this program held at the
    command's start."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            job(*args)
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(pid, 0)[1] != 0:
        raise Failed(job.__name__)


def warm(*paths):
    in_child(read_all, *paths)


def read_all(*paths):
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        for start, end in data_extents(fd):
            for at in range(start, end, 8 * MIB):
                os.pread(fd, min(8 * MIB, end - at), at)
        os.close(fd)


class Bench:
    """The programs, the images, the scratch directory, and the resulting rows."""

    def __init__(self, args):
        self.ashlar_path, self.parts_path = args.ashlar, args.parts
        self.runs, self.corpus = args.runs, args.corpus
        self.work = tempfile.mkdtemp(prefix="ashlar-macro-", dir=args.work)
        self.rows, self.raw, self.peaks = [], {}, {}
        self.stores = 0

    def image(self, name):
        return os.path.join(self.corpus, name + ".raw")

    def path(self, name):
        return os.path.join(self.work, name)

    def ashlar(self, verb, *rest, store=None, sync=None):
        where = ["--store", store] if store else []
        done = run(self.ashlar_path, verb, *where, "--json", "--progress", "none", *rest, sync=sync)
        self.peaks[verb] = max(self.peaks.get(verb, 0), done.peak_mib)
        return done

    def new_store(self):
        self.stores += 1
        path = self.path(f"store{self.stores}")
        self.ashlar("init", path)
        return path

    def capture(self, store, image, *rest):
        return self.ashlar("capture", image, *rest, store=store)

    def drop(self, *paths):
        for path in paths:
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)
        os.sync()  # so that the next measurement does not pay for writing back

    def data_of(self, name):
        """Returns a file with the image's data bytes, in the page cache."""
        path = self.path(name + ".data")
        if not os.path.exists(path):
            in_child(extract_data, self.image(name), path)
        return path

    def alternate(self, **sides):
        """Runs each side once in each round, in alternating order, and returns the results by name."""
        results = {name: [] for name in sides}
        for i in range(self.runs):
            names = list(sides)
            for name in names if i % 2 == 0 else reversed(names):
                results[name].append(sides[name]())
        for name, runs in results.items():
            self.raw.setdefault("runs", []).append(
                {"side": name, "command": getattr(runs[-1], "command", ""),
                 "seconds": [round(r.seconds, 3) for r in runs], "cpu": [round(r.cpu, 3) for r in runs]})
        return results

    def row(self, what, value, limit, met, command, beside=""):
        self.rows.append({"what": what, "measured": value, "limit": limit, "met": met, "command": command,
                          "beside": beside})
        self.raw["rows"] = self.rows
        print(f"  {what}: {value} (limit {limit}) {beside}", file=sys.stderr, flush=True)

    def ratio_row(self, what, ours, limit_runs, limit, limit_name):
        ours_s, theirs_s = median(r.seconds for r in ours), median(r.seconds for r in limit_runs)
        ratio = ours_s / theirs_s
        self.row(what, f"{ratio:.2f}× ({ours_s:.2f} s)", f"{limit}× of {theirs_s:.2f} s", ratio <= limit,
                 ours[-1].command, f"{limit_name}: `{limit_runs[-1].command}`")


def first(b):
    """Measures the first capture of v1, beside zstd -1 -T2 and beside the sum of its parts."""
    image, data = b.image("golden-v1"), b.data_of("golden-v1")
    warm(image, data)
    packed = b.path("v1.zst")

    def capture():
        store = b.new_store()
        done = b.capture(store, image)
        b.drop(store)
        return done

    r = b.alternate(
        capture=capture,
        zstd=lambda: run("zstd", "-q", "-1", "-T2", "-f", data, "-o", packed, sync=packed),
        zstd_null=lambda: run("zstd", "-q", "-1", "-T2", "-f", data, "-o", "/dev/null"),
        parts=lambda: run(b.parts_path, data, b.path("parts.out")))
    b.raw["capture"] = r["capture"][-1].json()
    parts = [p.json() for p in r["parts"]]
    part = {key: median(p[key] for p in parts) for key in parts[0]}
    b.raw["parts"] = part
    b.ratio_row("first capture", r["capture"], r["zstd"], 1.6, "zstd to a file, synced")
    capture_cpu = median(d.cpu for d in r["capture"])
    command = r["parts"][-1].command
    names = ["zstd", "decode", "sha256", "regions", "zero", "copy", "read", "write"]
    detail = ", ".join(f"{n} {part[n]:.2f}" for n in names)
    b.row("first capture, processor time", f"{capture_cpu / part['sum_with_io']:.2f}× ({capture_cpu:.2f} s)",
          f"1.10× of {part['sum_with_io']:.2f} s", capture_cpu <= 1.10 * part["sum_with_io"], command, detail)
    user = median(d.user for d in r["capture"])
    b.row("first capture, processor time outside the kernel", f"{user / part['sum']:.2f}× ({user:.2f} s)",
          f"1.10× of {part['sum']:.2f} s", user <= 1.10 * part["sum"], command, "parts without read and write")
    wall = median(d.seconds for d in r["capture"])
    b.row("first capture, wall over parts on 2 cores", f"{wall / (part['sum_with_io'] / 2):.2f}×", "-", None,
          command, f"parts {part['sum_with_io']:.2f} s on one core; without read and write {part['sum']:.2f} s")
    b.drop(b.path("parts.out"))


def unchanged(b):
    """Measures the capture of an unchanged image without a map, beside one pass of region hashes over its data."""
    image, store = b.image("golden-v1"), b.new_store()
    warm(image)
    b.capture(store, image)
    os.sync()
    r = b.alternate(capture=lambda: b.capture(store, image),
                    regions=lambda: run(b.parts_path, "--pass", "regions", image),
                    read=lambda: run(b.parts_path, "--pass", "read", image))
    b.ratio_row("capture of an unchanged image", r["capture"], r["regions"], 1.25, "one pass of region hashes, one thread")
    b.row("… a pass that only reads", f"{median(d.seconds for d in r['read']):.2f} s", "-", None,
          r["read"][-1].command)
    b.row("… new bytes", str(r["capture"][-1].json()["new_bytes"]), "0",
          r["capture"][-1].json()["new_bytes"] == 0, r["capture"][-1].command)
    b.drop(store)


def write_map(path, since, token, ranges):
    with open(path, "w", encoding="ascii") as out:
        json.dump({"since": since, "token": token, "ranges": ranges}, out)


def changed(b):
    """Measures the increments v1 to v2 and v2 to v3, without and with a map of what changed."""
    warm(b.image("golden-v1"))
    for old, new in (("golden-v2", "golden-v3"), ("golden-v1", "golden-v2")):
        warm(b.image(old), b.image(new))
        store = b.new_store()
        parent = b.capture(store, b.image(old), "--change-token", "t1").json()["snapshot"]["id"]
        child = b.capture(store, b.image(new), "--parent", parent).json()["snapshot"]["id"]
        difference = b.ashlar("diff", parent, child, store=store).json()
        b.drop(store)
        store = b.new_store()
        parent = b.capture(store, b.image(old), "--change-token", "t1").json()["snapshot"]["id"]
        map_path = b.path("map.json")
        write_map(map_path, "t1", "t2", difference["ranges"])
        copy = store + "-again"
        shutil.copytree(store, copy)
        full = b.capture(copy, b.image(new), "--parent", parent)
        mapped = b.capture(store, b.image(new), "--parent", parent, "--changed", map_path)
        told, got = mapped.json(), full.json()
        b.row(f"{new} after {old}, full scan", f"{full.seconds:.2f} s, {got['read_bytes'] / MIB:.0f} MiB read",
              "-", None, full.command, f"{got['new_bytes'] / MIB:.1f} MiB new")
        b.row(f"{new} after {old}, with a map", f"{mapped.seconds:.2f} s, {told['read_bytes'] / MIB:.0f} MiB read",
              "in proportion", None, mapped.command,
              f"{difference['different_bytes'] / MIB:.1f} MiB changed in {difference['range_count']} ranges; "
              f"same content: {told['snapshot']['content'] == got['snapshot']['content']}")
        b.drop(store, copy)


def restore(b):
    """Measures a restore to a new file, beside the larger of decompressing and writing the same bytes."""
    image, data, store = b.image("golden-v1"), b.data_of("golden-v1"), b.new_store()
    warm(image, data)
    snapshot = b.capture(store, image).json()["snapshot"]["id"]
    packed, target, copied = b.path("v1.zst"), b.path("restored.raw"), b.path("copied")
    run("zstd", "-q", "-1", "-T2", "-f", data, "-o", packed)
    os.sync()

    def restored():
        done = b.ashlar("restore", snapshot, target, store=store)
        b.drop(target)
        return done

    def written():
        done = run("dd", f"if={data}", f"of={copied}", "bs=4M", "conv=fsync", "status=none")
        b.drop(copied)
        return done

    r = b.alternate(restore=restored, write=written,
                    decode=lambda: run("zstd", "-q", "-d", "-f", packed, "-o", "/dev/null"))
    larger = max("write", "decode", key=lambda side: median(d.seconds for d in r[side]))
    smaller = "write" if larger == "decode" else "decode"
    b.ratio_row("restore to a file", r["restore"], r[larger], 1.3, larger)
    b.row(f"… the smaller: {smaller}", f"{median(d.seconds for d in r[smaller]):.2f} s", "-", None,
          r[smaller][-1].command)
    b.row("… processor time", f"{median(d.cpu for d in r['restore']):.2f} s", "-", None,
          r["restore"][-1].command)
    b.ashlar("verify", "--all", store=store)
    b.drop(store, packed)


def sparse(b):
    """Measures the capture and restore of 1 TiB with 500 MiB of data, beside the data alone."""
    image, data = b.image("sparse"), b.data_of("sparse")
    warm(image, data)
    snapshots, target = {}, b.path("restored.raw")

    def capture(source):
        store = b.new_store()
        done = b.capture(store, source)
        if source in snapshots:
            b.drop(snapshots[source][0])
        snapshots[source] = (store, done.json()["snapshot"]["id"])
        return done

    def restored(source):
        store, snapshot = snapshots[source]
        done = b.ashlar("restore", snapshot, target, store=store)
        b.drop(target)
        return done

    r = b.alternate(sparse=lambda: capture(image), data=lambda: capture(data))
    b.ratio_row("capture of 1 TiB, 500 MiB of it data", r["sparse"], r["data"], 1.3, "its data alone")
    r = b.alternate(sparse=lambda: restored(image), data=lambda: restored(data))
    b.ratio_row("restore of 1 TiB, 500 MiB of it data", r["sparse"], r["data"], 1.3, "its data alone")
    b.drop(*(store for store, _ in snapshots.values()))


def stored(b):
    """Measures how much v1, v2, v3 and an independent build add to one store, beside the study of grains."""
    names = ["golden-v1", "golden-v2", "golden-v3", "fresh-b"]
    store, parent, sizes, total = b.new_store(), None, [], 0
    for name in names:
        rest = ["--parent", parent] if parent and name != "fresh-b" else []
        parent = b.capture(store, b.image(name), *rest).json()["snapshot"]["id"]
        stats = b.ashlar("stats", store=store).json()
        sizes.append((stats["stored_bytes"] - total) / MIB)
        total = stats["stored_bytes"]
    study = b.ashlar("analyze", *(b.image(n) for n in names))
    b.raw["grains"] = study.json()["grains"]
    rows = {g["grain"]: [x / MIB for x in g["added_bytes"]] for g in study.json()["grains"]}
    for grain, added in rows.items():
        b.row(f"grain study, {grain}: MiB for v1, + v2, + v3, + B", show(added), "-", None, study.command)
    b.row("stored MiB for v1, + v2, + v3, + B", show(sizes), show(rows["ashlar"]) + " (study, ashlar)",
          sum(sizes) <= sum(rows["ashlar"]), f"{b.ashlar_path} capture …; stats",
          f"manifests {stats['manifest_bytes'] / MIB:.1f} MiB, index {stats['index_bytes'] / MIB:.1f} MiB")
    b.ashlar("diff", *snapshot_ids(b, store)[:2], store=store)
    b.ashlar("verify", "--all", store=store)
    b.ashlar("reindex", store=store)
    b.drop(store)


def show(sizes):
    return ", ".join(f"{s:.1f}" for s in sizes) + f" = {sum(sizes):.0f}"


def snapshot_ids(b, store):
    return [s["id"] for s in b.ashlar("snapshots", store=store).json()["snapshots"]]


def make_huge(path, size, offsets):
    with open(path, "wb") as out:
        out.truncate(size)
        for offset in offsets:
            os.pwrite(out.fileno(), os.urandom(MIB), offset)


def memory(b):
    """Measures a sparse volume of 64 TiB that is captured, edited, captured again and restored; and the peak
    memory of all verbs."""
    size, image, target = 64 << 40, "/dev/shm/ashlar-macro-64t.raw", "/dev/shm/ashlar-macro-64t.out"
    try:
        make_huge(image, size, [i * ((size - MIB) // 63 // BLOCK * BLOCK) for i in range(64)])
        store = b.new_store()
        whole = b.capture(store, image)
        with open(image, "r+b") as out:
            for i in range(16):
                os.pwrite(out.fileno(), os.urandom(BLOCK), i * 3 * (1 << 40) + 7 * BLOCK)
        again = b.capture(store, image)
        ids = snapshot_ids(b, store)
        difference = b.ashlar("diff", *ids[:2], store=store)
        back = b.ashlar("restore", ids[-1], target, "--verify", store=store)
        b.ashlar("verify", ids[-1], "--against", target, store=store)
        b.ashlar("describe", ids[-1], store=store)
    finally:
        b.drop(image, target)
    for what, done in (("capture", whole), ("increment of 16 blocks", again), ("diff", difference),
                       ("restore and verify", back)):
        got = done.json()
        wrote = f"{got['nodes_written']} nodes, {got['node_bytes_written']} bytes" if "nodes_written" in got else ""
        b.row(f"64 TiB sparse, {what}", f"{done.seconds:.2f} s, peak {done.peak_mib:.0f} MiB", "512 MiB",
              done.peak_mib <= 512, done.command, wrote)
    b.drop(store)


def peak_rows(b):
    floor = run("true").peak_mib
    b.row("peak memory, floor of the method (`true`)", f"{floor:.0f} MiB", "-", None, "true")
    for verb, peak in sorted(b.peaks.items()):
        b.row(f"peak memory, {verb}", f"{peak:.0f} MiB", "512 MiB", peak <= 512, f"ashlar {verb} (largest above)")


def markdown(b):
    word = {True: "yes", False: "**no**", None: ""}
    lines = ["| what | measured | limit | met | beside |", "|---|---|---|---|---|"]
    lines += [f"| {r['what']} | {r['measured']} | {r['limit']} | {word[r['met']]} | {r['beside']} |" for r in b.rows]
    lines += ["", "Commands:", ""]
    lines += [f"- {r['what']}: `{r['command']}`" for r in b.rows]
    return "\n".join(lines).replace(b.work, "$WORK").replace(b.corpus, "$CORPUS").replace(ROOT + "/", "") + "\n"


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpus", default="/var/tmp/corpus", help="where bench/make-corpus put the images")
    p.add_argument("--work", default="/var/tmp", help="where stores and copies are made")
    p.add_argument("--ashlar", default=ROOT + "/build/release/tools/ashlar")
    p.add_argument("--parts", default=ROOT + "/build/bench/bench/parts")
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--only", default=",".join(SECTIONS), help="some of " + ",".join(SECTIONS))
    p.add_argument("--json", help="raw figures go here")
    args = p.parse_args()
    args.corpus = os.path.abspath(args.corpus)
    return args


def main():
    args = arguments()
    b = Bench(args)
    try:
        for name in args.only.split(","):
            print(f"{name}: {globals()[name].__doc__}", file=sys.stderr, flush=True)
            globals()[name](b)
        peak_rows(b)
    finally:
        shutil.rmtree(b.work, ignore_errors=True)
        if args.json:
            with open(args.json, "w", encoding="utf-8") as out:
                json.dump(b.raw, out, indent=1)
        print(markdown(b))


if __name__ == "__main__":
    sys.exit(main())
