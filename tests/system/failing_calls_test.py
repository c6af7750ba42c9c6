#!/usr/bin/env python3
"""Shows what the program does when a system call fails or moves fewer bytes than it was asked to, at every place in
the program that makes one on a file of the test: it ends soon with a documented status and one clear line, nothing
acknowledged is lost, and the same verb succeeds afterwards."""

import errno
import os
import re
import subprocess

import host  # first: it finds the other modules
import call_battery
import calls
import program
from call_world import expect

EVERY = int(os.environ.get("EVERY", "0")) or (1 if host.LONG else 37)  # of the tries, so many apart
PARTS = 16 if host.LONG else 1
UNDISTURBED = 3  # runs that name the sites; one that is not in all of them is unsteady, and may stay unmet
TRIES_TO_MEET = 4
ERRORS = ("EIO", "ENOSPC", "EDQUOT")
# POSIX lets these be interrupted.
CAN_BE_INTERRUPTED = ("openat", "read", "pread64", "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate", "flock")
CAN_BE_SHORT = ("read", "pread64", "write", "pwrite64")
IN_A_ROW = 5  # interruptions, where they are more than one


def can_fail(stop):
    """RocksDB asks sync_file_range, with no flag, only whether the kernel has it; such a call does no I/O. What a
    ring of io_uring carries is not seen as calls."""
    return stop.call != "io_uring_enter" and not (stop.call == "sync_file_range" and stop.registers.r10 == 0)


class Sites:
    """Notes the places of an undisturbed run, each with its call, stack and the first path."""

    def __init__(self, flow):
        self.flow, self.found = flow, {}

    def __call__(self, stop):
        if stop.path.startswith(str(self.flow.world.folder)) and can_fail(stop):
            self.found.setdefault((stop.call, stop.stack()), (stop.path, stop.makes_or_changes()))


class Fault:
    """Lets the call of a site fail, once or for good."""

    def __init__(self, flow, site, kind, for_good):
        self.folder, (self.call, self.stack), self.kind, self.for_good = str(flow.world.folder), site, kind, for_good
        self.hits, self.path = 0, ""

    def __call__(self, stop):
        if stop.call != self.call or not stop.path.startswith(self.folder) or not can_fail(stop):
            return
        if not (self.hits and self.for_good):
            if self.hits or stop.stack() != self.stack:
                return
        if self.kind == "short":
            self.hits += stop.shorten()
        elif self.kind != "EINTR" or self.hits < IN_A_ROW:
            stop.fail(getattr(errno, self.kind))
            self.hits += 1
        self.path = self.path or stop.path


def kinds(call, changes):
    yield from ERRORS if changes else ("EIO",)
    if call in CAN_BE_INTERRUPTED:
        yield "EINTR"
    if call in CAN_BE_SHORT:
        yield "short"


def judged(flow, run, fault):
    """The end of a disturbed run: in time, with a documented status and a clear line."""
    good = flow.verify_status
    expect(not run.late, "it does not end in time")
    expect(run.status in (0, 1, good), "not a documented status")
    lines = [line for line in run.err.splitlines() if line.startswith("ashlar: ") and not line.startswith("ashlar: warning: ")]
    # RocksDB passes an interruption on. Its files are a cache, so only reindex may have to end for that.
    in_index = "/index" in fault.path and run.status == 1
    if fault.kind in ("EINTR", "short") and not (in_index and flow.name == "reindex"):
        expect(run.status == good, "it should not be noticed")
    if run.status == 0:
        expect(not lines, "an error, but status 0")
    elif run.status == 1:
        expect(len(lines) == 1, "not one line")
        text = os.strerror(getattr(errno, fault.kind, errno.EIO))
        told = run.out + lines[0] if "named above" in lines[0] else lines[0]
        expect(text in told or "is full" in told, f"the line does not say '{text}'")
        expect(re.search(r"/|\b(snap|vol|ami)-", told), "the line names nothing")


def afterwards(flow, run, fault, before):
    judged(flow, run, fault)
    # A failed verb made nothing, unless the line names it. What fails for good may keep the program from undoing it.
    if run.status == 1 and not fault.for_good:
        made = {one for one in flow.visible() - before if one not in run.err and one not in flow.may_go}
        expect(not made, f"it failed, but made {made}")
    # After a success the verb is not run again: what it says it has done must be there.
    if run.status != flow.verify_status or flow.verify_status:
        flow.again()
    flow.sound()
    flow.more()


def battery(flow, tally, random, part, parts):
    world = flow.world
    world.load()
    sites, steady, seconds = Sites(flow), None, 0
    for _ in range(UNDISTURBED):
        seen = Sites(flow)
        run = flow.start(seen, sorted({*calls.CHANGING, *calls.READING}), stacks=True)
        call_battery.checked(tally, f"undisturbed: {run.done}", lambda run=run: expect(run.status == flow.verify_status, "status"))
        sites.found = {**seen.found, **sites.found}
        steady = seen.found.keys() & (steady or seen.found.keys())
        seconds = max(seconds, run.seconds)
        world.load()
    before = flow.visible()
    tries = [(site, path, kind, for_good) for site, (path, changes) in sites.found.items()
             for kind in kinds(site[0], changes) for for_good in (False, True)]
    if not part:
        tally["sites"] = len(sites.found)
        tally["unsteady"] = len(sites.found) - len(steady)
    for site, path, kind, for_good in tries[random.randrange(EVERY) if EVERY > 1 else 0 :: EVERY][part::parts]:
        for _ in range(TRIES_TO_MEET):
            world.load()
            fault = Fault(flow, site, kind, for_good)
            run = flow.start(fault, [site[0]], seconds + 5, stacks=True)
            if fault.hits and not run.late:  # late again and again is a finding, late once a busy host
                break
        what = f"{kind}{' for good' if for_good else ''} of {site[0]} {path}: {run.done}"
        if not fault.hits:
            tally["missed" if site in steady else "unmet"] += 1
            continue
        tally["points"] += 1
        flow.acknowledged(run)
        tally["acked"] += len(world.kept)
        findings = len(tally.findings)
        call_battery.checked(tally, what, lambda: afterwards(flow, run, fault, before))
        if len(tally.findings) > findings:
            tally.findings[-1] += "\n" + named(site[1])


def named(stack):
    """Returns the functions of the program in a stack, for a finding."""
    inside = [hex(address - 1 - calls.BEGIN) for address in stack if calls.BEGIN < address < calls.BEGIN + (1 << 32)]
    done = subprocess.run(["addr2line", "-Cfse", program.PROGRAM, *inside], capture_output=True, text=True, check=False)
    names = [name.split("(")[0].rpartition("::")[2] for name in done.stdout.splitlines()[::2]]
    places = done.stdout.splitlines()[1::2]
    return "    at " + " < ".join(f"{name} ({place})" for name, place in zip(names, places))


class FailingCalls(host.HostTest):
    def test_failing_calls(self):
        if not host.LONG and "EVERY" not in os.environ:
            self.skipTest("it measures how long a program takes to end: with --long, or EVERY=37 on a host without other work")
        why = calls.can_trace(self.scratch)
        if why:
            self.skipTest(why)
        sums = call_battery.run(self, "failing calls", battery, PARTS, ("sites", "unsteady", "points", "missed", "unmet", "acked"))
        self.assertEqual({name: tally["missed"] for name, tally in sums.items() if tally["missed"]}, {}, "each site is hit")


if __name__ == "__main__":
    host.main(call_battery.SECONDS)
