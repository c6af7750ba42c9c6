#!/usr/bin/env python3
"""Shows that the program may be killed in front of any of its system calls, or sleep there while other verbs run:
everything acknowledged is there, nothing is half there, and nothing is left after two collections."""

import os

import host  # first: it finds the other modules
import call_battery
import calls
from call_world import expect

EVERY = int(os.environ.get("EVERY", "0")) or (1 if host.LONG else 20)  # calls are so many apart, in flows with few calls fewer
SLEEP_EVERY = 10 if host.LONG else 60
PARTS = 8 if host.LONG else 1


class At:
    """Does something in front of the n-th call that changes the world, counted over all threads."""

    def __init__(self, flow, number, act):
        self.flow, self.number, self.act, self.seen, self.call = flow, number, act, 0, None

    def __call__(self, stop):
        if stop.path.startswith(str(self.flow.world.folder)) and stop.makes_or_changes():
            self.seen += 1
            if self.seen == self.number:
                self.call = f"{stop.call} {stop.path}"
                self.act(stop)


def beside(flow):
    """Uses the store while a writer sleeps: reads, and changes it where that one holds no lock."""
    for store in flow.stores():
        if not (store / "ashlar.json").exists():
            continue
        listed = flow.world.snapshots(store)
        for of, snapshot in flow.world.kept:
            if of == store:
                expect(snapshot in listed or snapshot in flow.may_go, f"{snapshot} is missing", "lost")
        if not flow.is_locked():
            other = flow.world.scratch / "beside.raw"
            other.write_bytes(flow.beside)
            snapshot = flow.world.ok("capture", other, store=store)
            flow.world.kept[(store, snapshot)] = flow.beside


def battery(flow, tally, random, part, parts):
    world = flow.world
    world.load()
    whole = At(flow, 0, None)
    run = flow.start(whole)
    flow.acknowledged(run)
    call_battery.checked(tally, f"undisturbed: {run.done}", lambda: undisturbed(flow, run))
    tries = []
    for how, apart, least in (("killed", EVERY, 5), ("slept", SLEEP_EVERY, 1)):
        apart = max(1, min(apart, whole.seen // least))
        tries += [(number, how) for number in range(1 + random.randrange(apart), whole.seen + 1, apart)]
    for number, how in tries[part::parts]:
        world.load()

        def sleep(_stop):
            call_battery.checked(tally, f"beside call {number}", lambda: beside(flow))

        at = At(flow, number, (lambda stop: stop.run.kill()) if how == "killed" else sleep)
        run = flow.start(at)
        if not at.call:  # threads have met in another order, and made fewer calls
            continue
        flow.acknowledged(run)
        tally["points"] += 1
        tally["acked"] += len(world.kept)
        call_battery.checked(tally, f"{how} at call {number}, {at.call}: {run.done}", lambda: afterwards(flow, run, how))


def undisturbed(flow, run):
    expect(run.status == flow.verify_status, "it should succeed")
    flow.whole()


def afterwards(flow, run, how):
    expect(not run.late, "it does not end")
    if how == "slept":
        expect(run.status in (0, flow.verify_status) or run.status == 1 and "run again" in run.err, "it woke with an error")
    flow.whole()


class KilledCalls(host.HostTest):
    def test_killed_at_any_call(self):
        why = calls.can_trace(self.scratch)
        if why:
            self.skipTest(why)
        sums = call_battery.run(self, "killed calls", battery, PARTS, ("points", "acked"))
        self.assertGreater(sum(tally["points"] for tally in sums.values()), 0 if call_battery.ONLY else 80)


if __name__ == "__main__":
    host.main(call_battery.SECONDS)
