"""Flow: how a store is prepared, the verb that a battery disturbs, and what has to hold afterwards."""

import fcntl
import json

import calls
import host  # noqa: F401: it finds the module program
from call_world import KIB, expect
from program import noise


class Flow:
    """A verb over a prepared store. `again_after` are codes with which the verb may be refused when it is run again,
    because it was done already; `done` then says whether that is so."""

    name = ""
    again_after = ()
    verify_status = 0
    names = calls.CHANGING
    beside = noise(40 * KIB, 33)  # what other verbs capture meanwhile
    may_go = ()  # snapshots that the verb removes

    def __init__(self, world):
        self.world = world
        self.work_store = world.store  # the store that the verb is run with
        world.clear()
        self.new = None  # the bytes of a snapshot that the verb makes
        self.prepare()
        world.save()

    def prepare(self):
        raise NotImplementedError

    def words(self):
        raise NotImplementedError

    def start(self, at_stop, names=None, timeout=300, stacks=False):
        """Runs the verb under the tracer."""
        return self.world.traced(self.words(), names or self.names, at_stop, self.work_store, timeout, stacks)

    def acknowledged(self, run):
        """Notes what a run that was disturbed has acknowledged on its standard output."""

    def visible(self):
        """Returns the ids of all snapshots, available images and volumes."""
        found = set()
        for store in self.stores():
            if (store / "ashlar.json").exists():
                images = self.world.json("image", "list", store=store)["Images"]
                found |= self.world.snapshots(store) | {one["ImageId"] for one in images if one["State"] == "available"}
                found |= {one["id"] for one in self.world.json("volume", "list", store=store)["volumes"]}
        return found

    def again(self):
        """Runs the verb again: it is done then."""
        done = self.world.run(*self.words(), store=self.work_store)
        code = ""
        if done.status and self.again_after:
            shown = self.world.run(*self.words(), "--json", store=self.work_store)
            code = json.loads(shown.out or "{}").get("error", {}).get("code", "")
        expect(done.status == 0 or (code in self.again_after and self.is_done()), lambda: f"run again: {done}")

    def is_done(self):
        return False

    def stores(self):
        return self.world.stores

    def sound(self):
        """All that was acknowledged is there; what is listed is whole; verify finds nothing."""
        world = self.world
        for store in self.stores():
            checked = world.run("verify", "--all", store=store)
            listed = world.snapshots(store)
            kept = {snapshot: data for (of, snapshot), data in world.kept.items() if of == store}
            for snapshot, data in kept.items():
                expect(snapshot in listed or snapshot in self.may_go, f"{snapshot} is missing", "lost")
            for snapshot in listed:
                data = kept.get(snapshot, self.new)
                expect(data is not None, f"{snapshot} should not be there")
                read = world.restored(snapshot, store)
                expect(read == data, f"{snapshot} has other bytes", "undetected" if checked.status == 0 else "wrong")
            expect(checked.status == (self.verify_status if store == self.work_store else 0), checked)

    def more(self):
        """Looks at what is special in this flow, once the verb is done."""

    def quiet(self):
        """After two collections nothing is left that no root needs, and no temporary file."""
        world = self.world
        for store in self.stores():
            for _ in range(2):
                done = world.run("collect", store=store)
                expect(done.status == (3 if self.verify_status and store == self.work_store else 0), done)
            if not self.verify_status:
                plan = world.json("collect", "--dry-run", store=store)
                expect({pack["verdict"] for pack in plan["packs"]} <= {"keep"}, lambda: f"not collected: {plan}")
            left = [str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()]
            made = [name for name in left if name.startswith("incoming/") and not name.endswith("changes.lock")
                    or name.startswith("sessions/") or name.startswith("collect/") and name != "collect/state"
                    or "/scratch/" in name or name.endswith((".new", ".dbtmp"))]
            expect(not made, f"left: {made}")
        # An export that was killed leaves its directory for the user to remove.
        partial = [path.name for path in world.folder.iterdir() if path.name.endswith("partial")]
        expect(not partial, f"left: {partial}")

    def whole(self):
        """All checks after a disturbed run, in order."""
        self.again()
        self.sound()
        self.more()
        self.quiet()
        self.sound()

    def is_locked(self):
        """Returns whether a process is in the lock of changes of a store, or writes the index."""
        for store in self.stores():
            for path in [store / "incoming" / "changes.lock", *store.glob("host/*/index/ashlar.lock")]:
                if path.exists():
                    with open(path, "rb") as file:
                        try:
                            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                        except BlockingIOError:
                            return True
        return False


def two_disks():
    first = noise(700 * KIB, 1) + bytes(300 * KIB) + noise(200 * KIB, 2)
    return first, first[: 400 * KIB] + noise(300 * KIB, 3) + first[700 * KIB :]
