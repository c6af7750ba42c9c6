"""Batteries over system calls: runs each flow in worlds of its own, on all processors, and prints a line of JSON a
flow."""

import collections
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import tempfile
import time
import traceback

import call_flows
import host
from call_world import World, Wrong

SEED = int(os.environ.get("SEED", "0")) or 20261130
ONLY = os.environ.get("FLOW", "")  # a name, to look into a finding
SECONDS = 14000 if host.LONG else 1500  # below the TIMEOUT in CMakeLists.txt
FAULTS = ("lost", "wrong", "undetected")


class Tally(collections.Counter):
    """Counts of a flow, and its findings as text."""

    def __init__(self):
        super().__init__()
        self.findings = []

    def found(self, kind, text):
        self[kind] += 1
        self.findings.append(f"{kind}: {text}")


def checked(tally, what, check):
    """Runs the check of a try; a finding is counted with what was done."""
    try:
        check()
    except Wrong as error:
        tally.found(error.kind, f"{what}: {error}")
    except Exception:  # noqa: BLE001: a check that can't be made is a finding, too
        tally.found("wrong", f"{what}: {traceback.format_exc()}")


def work(job):
    battery, flow_class, part, parts, folder = job
    began, tally, world = time.monotonic(), Tally(), World(folder)
    try:
        battery(flow_class(world), tally, random.Random(f"{SEED} {flow_class.name} {part}"), part, parts)
    except Exception:  # noqa: BLE001
        tally.found("wrong", f"{flow_class.name}: {traceback.format_exc()}")
    finally:
        world.close()
    return flow_class.name, dict(tally), tally.findings, time.monotonic() - began


def scratch_folder(test):
    """Returns a folder for the worlds: in memory where there is room. It is removed at the end of the test."""
    memory = pathlib.Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-calls-", dir=memory if roomy else None))
    test.addCleanup(shutil.rmtree, folder, ignore_errors=True)
    return folder


def run(test, name, battery, parts, counts):
    """Runs battery(flow, tally, random, part, parts) for each flow and part, and prints what was counted."""
    flows = [flow for flow in call_flows.ALL if ONLY in ("", flow.name)]
    print(flush=True)  # the name of the test stands in this line
    folder = scratch_folder(test)
    jobs = [(battery, flow, part, parts, folder) for part in range(parts) for flow in flows]
    sums, findings = {flow.name: Tally() for flow in flows}, []
    left = {flow.name: parts for flow in flows}
    # A worker ends at once with SIGTERM, and what it traces with it.
    with multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0)), signal.signal,
                                                  (signal.SIGTERM, signal.SIG_DFL)) as pool:
        for flow, tally, texts, seconds in pool.imap_unordered(work, jobs):
            sums[flow].update(tally)
            sums[flow]["seconds"] += seconds
            for text in texts:
                findings.append(f"{flow}: {text}")
                print(findings[-1], flush=True)
            left[flow] -= 1
            if not left[flow]:
                counted = {key: sums[flow][key] for key in (*counts, *FAULTS)}
                print(json.dumps({"battery": name, "flow": flow, "seed": SEED, **counted,
                                  "seconds": round(sums[flow]["seconds"], 1)}, separators=(",", ":")), flush=True)
    test.assertEqual(len(findings), 0, "findings, named above")
    return sums

