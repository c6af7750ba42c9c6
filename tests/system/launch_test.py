#!/usr/bin/env python3
"""Shows machines as users see them: launched on fresh volumes in a moment, stopped, started, snapshotted,
killed, terminated; and a Debian that boots from a lazy volume and finds in the next machine what it wrote in
the first."""

import concurrent.futures
import fcntl
import json
import os
import pathlib
import signal
import subprocess

import host
import machines
import program
from program import noise

MIB = 1 << 20
COUNT = 10 if host.LONG else 2


class Life(machines.MachineTest):
    """Machines with a disk without a system: the firmware finds nothing to boot and waits."""

    def setUp(self):
        super().setUp()
        self.snapshot = self.capture(self.file("disk.raw", noise(2 * MIB, 1)))

    def test_from_launch_to_termination(self):
        first, second = self.launch(self.snapshot, "--count", "2", "--name", "web", "--memory", "64M", "--size", "8M")
        listed = self.ok_json("instances", "list")["instances"]
        self.assertEqual([(m["id"], m["name"], m["state"]) for m in listed],
                         [(first, "web-1", "running"), (second, "web-2", "running")])
        server = self.server_pid()
        self.assertTrue(server, "a server was started")
        self.assertEqual(len(set(map(self.volume_of, (first, second)))), 2)
        pids = [m["pid"] for m in listed]
        self.assertTrue(all(map(machines.is_alive, pids)))
        self.assertEqual(oct((self.host_folder / "instances" / first).stat().st_mode & 0o777), "0o700")
        self.fails(1, "volume", "delete", self.volume_of(first), says=first, code="busy")
        self.fails(1, "volume", "attach", self.volume_of(first), "--run", says=first, code="busy")

        self.ok("instances", "stop", "--force", first)
        self.assertEqual((self.state(first), self.state(second)), ("stopped", "running"))
        self.assertFalse(machines.is_alive(pids[0]))
        again = self.run_ashlar("instances", "stop", "--force", first)
        self.assertEqual((again.returncode, again.stderr.decode()),
                         (0, f"{first} is stopped already: nothing was changed\n"))
        self.ok("instances", "start", first, second)
        self.assertEqual(self.state(first), "running")
        self.assertTrue(machines.is_alive(pids[1]), "one that runs is left alone")

        os.kill(self.machine(first)["pid"], signal.SIGKILL)
        self.wait_until(lambda: self.state(first) == "stopped", "a dead QEMU is shown as stopped")
        self.ok("instances", "start", first)
        self.assertEqual(self.server_pid(), server, "one server for all")

        pids = [self.machine(i)["pid"] for i in (first, second)]
        self.ok("instances", "terminate", first, second)
        self.assertFalse(any(map(machines.is_alive, pids)))
        self.assertEqual((self.volumes(), self.folders()), ([], []))
        self.assertFalse([p for p in (self.host_folder / "overlays").iterdir() if p.name.startswith("vol-")])
        self.fails(1, "instances", "describe", first, says=first, code="not_found")
        self.fails(1, "instances", "start", first, says=first, code="not_found")

    def test_what_does_not_start_leaves_nothing(self):
        self.ok("instances", "terminate", *self.launch(self.snapshot, "--memory", "64M"))  # starts a server
        no_kernel = self.file("no-kernel", b"this is no kernel\n" * 1000)
        self.fails(1, "launch", self.snapshot, "--accel", "tcg", "--kernel", no_kernel, says=("QEMU", "kernel"))
        self.fails(1, "launch", self.snapshot, "--kernel", self.scratch / "none", says="none", code="not_found")
        self.fails(1, "launch", self.snapshot, "--size", "1M", says="size", code="invalid")
        self.fails(1, "launch", "snap-00000000000000000", says="snap-0", code="not_found")
        for words in (["--memory", "1M"], ["--cpus", "0"], ["--accel", "fast"], ["--network", "tap"],
                      ["--append", "x"], ["--count", "0"]):
            self.fails(2, "launch", self.snapshot, *words, code="usage")
        self.fails(2, "instances", "stop", "vol-00000000000000000", says="instance", code="usage")
        self.assertEqual((self.volumes(), self.folders()), ([], []))

    def test_without_a_word_it_runs_whatever_kvm_is_worth(self):
        said = os.environ.pop("ASHLAR_ACCEL", None)
        if said:
            self.addCleanup(os.environ.__setitem__, "ASHLAR_ACCEL", said)
        instance = self.ok("launch", self.snapshot, "--memory", "64M").strip()
        self.assertEqual((self.state(instance), self.machine(instance)["accelerator"]), ("running", "auto"))

    def test_volumes_that_are_kept(self):
        instance = self.launch(self.snapshot, "--keep-volumes", "--memory", "64M")[0]
        volume = self.volume_of(instance)
        self.ok("instances", "terminate", instance)
        self.assertEqual((self.volumes(), self.folders()), ([volume], []))
        self.ok("volume", "delete", volume)

    def test_a_termination_that_fails_keeps_what_is_to_be_kept(self):
        instance = self.launch(self.snapshot, "--keep-volumes", "--memory", "64M")[0]
        volume = self.volume_of(instance)
        folder = self.host_folder / "instances" / instance
        self.assertFalse((folder / "launching").exists())
        (folder / "core").write_bytes(b"dumped")
        for _ in range(2):
            self.fails(1, "instances", "terminate", instance, says=str(folder / "core"), code="busy")
            self.assertEqual((self.volumes(), self.state(instance)), ([volume], "shutting-down"))
        (folder / "instance.json").unlink()
        self.fails(1, "instances", "terminate", instance, says=str(folder / "core"), code="busy")
        (folder / "core").unlink()
        self.ok("instances", "terminate", instance)
        self.assertEqual((self.volumes(), self.folders()), ([volume], []), "not even without a record")

    def test_a_machine_outlives_its_server_and_starts_without_one(self):
        instance = self.launch(self.snapshot, "--memory", "64M")[0]
        self.end(self.server_pid())
        self.assertEqual(self.state(instance), "running")
        self.ok("instances", "stop", "--force", instance)
        self.assertEqual(self.server_pid(), 0)
        self.ok("instances", "start", instance)
        self.assertTrue(self.server_pid(), "a server was started again")
        self.end(self.server_pid())
        self.ok("instances", "terminate", instance)
        self.assertEqual((self.volumes(), self.folders()), ([], []))

    def test_a_store_whose_path_is_longer_than_a_sockets(self):
        self.store = self.scratch / ("long-" * 20) / ("path-" * 20)
        self.store.parent.mkdir()
        self.init()
        instance = self.launch(self.capture(self.scratch / "disk.raw"), "--memory", "64M", "--name", "a,b")[0]
        self.assertEqual(self.state(instance), "running")
        self.ok("instances", "terminate", instance)
        self.assertEqual((self.volumes(), self.folders()), ([], []))

    def test_damage_is_named_and_hides_no_other(self):
        good, bad = self.launch(self.snapshot, "--count", "2", "--memory", "64M")
        self.ok("instances", "stop", "--force", bad)
        record = self.host_folder / "instances" / bad / "instance.json"
        text = record.read_text()
        record.write_text(text.replace("stopped", "running"))
        done = self.run_ashlar("instances", "list")
        self.assertEqual(done.returncode, 3)
        self.assertIn(good, done.stdout.decode())
        self.assertIn(str(record), done.stderr.decode())
        self.fails(3, "instances", "start", bad, says=str(record), code="corrupt")
        free = self.ok("volume", "create", "--snapshot", self.snapshot).strip()
        self.fails(3, "volume", "attach", free, "--run", says=str(record), code="corrupt")
        self.fails(3, "volume", "delete", free, says=str(record), code="corrupt")
        record.write_text(text)
        self.ok("volume", "delete", free)
        self.ok("instances", "terminate", good, bad)

    def test_a_launch_that_was_cut_off_is_cleared_away(self):
        instance = "i-01234567890abcdef"
        (self.host_folder / "instances" / instance).mkdir(parents=True)
        (self.host_folder / "instances" / instance / "launching").write_text("0" * 32 + " 1 1\n")
        self.ok("volume", "create", "--snapshot", self.snapshot, "--tag", f"instance={instance}")
        self.ok("instances", "terminate", instance)
        self.assertEqual((self.volumes(), self.folders()), ([], []))


    def test_whoever_gives_a_volume_a_user_holds_it(self):
        instance = self.launch(self.snapshot, "--memory", "64M")[0]
        volume = self.volume_of(instance)
        self.ok("instances", "stop", "--force", instance)
        lock = self.host_folder / "attachments" / f"{volume}.lock"
        self.assertFalse(lock.exists(), "a start lets go of it")
        with open(lock, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.fails(1, "instances", "start", instance, says=volume, code="busy")
            self.fails(1, "volume", "attach", volume, "--run", says=volume, code="busy")
            self.fails(1, "volume", "release", volume, says=volume, code="busy")
        self.ok("instances", "start", instance)

    def test_a_start_and_an_attach_at_once(self):
        """Shows that at most one of a start and an attach at the same time gets the volume, whichever comes
        first."""
        instance = self.launch(self.snapshot, "--memory", "64M")[0]
        volume = self.volume_of(instance)
        self.addCleanup(self.run_ashlar, "volume", "release", volume)
        for _ in range(20 if host.LONG else 4):
            self.ok("instances", "stop", "--force", instance)
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                both = [pool.submit(self.run_ashlar, *words) for words in
                        (("instances", "start", instance), ("volume", "attach", volume, "--run"))]
                won = [done.result().returncode == 0 for done in both]
            self.assertFalse(all(won))
            self.assertEqual(self.state(instance), "running" if won[0] else "stopped")
            self.ok("volume", "release", volume)


class KernelNbd(machines.MachineTest):
    """The program's side of attaching volumes by nbd-client: in a mount namespace, files stand for the
    kernel's devices and a script for nbd-client."""

    CLIENT = """#!/bin/sh
case $1 in
  -d) rm /sys/block/${2#/dev/}/pid; echo "$2" >>DIR/ended ;;
  *) [ -e DIR/refuse ] && { echo refused; exit 1; }
     for last; do :; done; echo $$ >/sys/block/${last#/dev/}/pid ;;
esac
"""
    HOST = """set -eu
mount --make-rprivate /
mount --bind DIR/sys /sys
mount -t tmpfs none /dev
mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9; mknod -m 666 /dev/random c 1 8
touch /dev/nbd0 /dev/nbd1
export PATH=DIR/bin:$PATH
exec "$@"
"""

    def setUp(self):
        super().setUp()
        self.need_root()
        self.need("unshare")
        self.device = self.scratch / "sys/block"
        for folder in ("sys/module/nbd", "sys/block/nbd0", "sys/block/nbd1", "bin"):
            (self.scratch / folder).mkdir(parents=True)
        client = self.file("bin/nbd-client", self.CLIENT.replace("DIR", str(self.scratch)).encode())
        client.chmod(0o755)
        self.host = self.file("host.sh", self.HOST.replace("DIR", str(self.scratch)).encode())
        snapshot = self.capture(self.file("disk.raw", noise(MIB, 1)))
        self.first, self.second = (self.ok("volume", "create", "--snapshot", snapshot).strip() for _ in "12")
        if self.there("volume", "list").returncode != 0:
            self.skipTest("this host gives no mount namespaces")

    def there(self, *words):
        return subprocess.run(["unshare", "-m", "sh", self.host, program.PROGRAM, "--store", self.store, *words],
                              capture_output=True, text=True, timeout=120)

    def note(self, volume):
        return self.host_folder / "attachments" / volume / "attachment.json"

    def ended(self):
        told = self.scratch / "ended"
        return told.read_text().split() if told.exists() else []

    def attach(self, volume):
        done = self.there("volume", "attach", volume, "--run")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def release(self, volume):
        done = self.there("volume", "release", volume)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_device_that_is_anothers_by_now_is_left_alone(self):
        self.assertEqual((self.attach(self.first), self.attach(self.second)), ("/dev/nbd0", "/dev/nbd1"))
        self.assertEqual(self.attach(self.first), "/dev/nbd0", "the same again")
        (self.device / "nbd0/pid").write_text("1\n")  # as if another client had the device
        self.release(self.first)
        self.assertEqual(self.ended(), [])
        self.release(self.second)
        self.assertEqual(self.ended(), ["/dev/nbd1"])

    def test_a_client_that_fails_leaves_no_note(self):
        (self.scratch / "refuse").touch()
        done = self.there("volume", "attach", self.first, "--run")
        self.assertIn("refused", done.stderr)
        self.assertFalse(self.note(self.first).exists())
        (self.scratch / "refuse").unlink()
        self.assertEqual(self.attach(self.first), "/dev/nbd0")
        self.release(self.first)

    def test_notes_that_can_not_be_trusted(self):
        self.attach(self.first)
        note = json.loads(self.note(self.first).read_text())
        for pid, says in ((0, str(self.note(self.first))), (note["pid"] + (1 << 32), "not the note")):
            self.note(self.first).write_text(json.dumps(note | {"pid": pid}))
            done = self.there("volume", "release", self.first)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(says, done.stderr)
            self.assertEqual(self.ended(), [])
        self.note(self.first).write_text(json.dumps(note))
        self.release(self.first)
        self.assertEqual(self.ended(), ["/dev/nbd0"])


class Attached(machines.MachineTest):
    """A volume as a block device of this host."""

    def setUp(self):
        super().setUp()
        self.need_root()
        self.need("nbdfuse", "losetup")
        self.disk = self.file("disk.raw", noise(4 * MIB, 1))
        self.volume = self.ok("volume", "create", "--snapshot", self.capture(self.disk)).strip()
        self.addCleanup(self.run_ashlar, "volume", "release", self.volume)

    def attach(self):
        done = self.run_ashlar("volume", "attach", self.volume, "--run")
        if done.returncode != 0:
            self.skipTest(f"this host can't attach: {done.stderr.decode().strip()}")
        return pathlib.Path(done.stdout.decode().strip())

    def test_attached_twice_and_released_twice(self):
        printed = self.ok("volume", "attach", self.volume)
        self.assertIn("ashlar serve", printed)
        self.assertIn(self.volume, self.ok("volume", "attach", self.volume, "--qemu"))
        self.assertEqual(self.server_pid(), 0, "printing starts nothing")
        device = self.attach()
        self.assertEqual(self.attach(), device)
        self.assertNotIn("ashlar serve", self.ok("volume", "attach", self.volume))
        self.assertEqual(device.read_bytes(), self.disk.read_bytes())
        with open(device, "r+b") as file:
            file.seek(MIB)
            file.write(b"written through the device".ljust(4096, b"."))
        mounted = os.open(device, os.O_RDWR | os.O_EXCL)
        try:
            self.fails(1, "volume", "release", self.volume, says="in use", code="busy")
            self.fails(1, "volume", "delete", self.volume, says=("is attached", str(device), "release"), code="busy")
        finally:
            os.close(mounted)
        self.ok("volume", "release", self.volume)
        self.ok("volume", "release", self.volume)
        self.assertNotIn(str(self.store), self.do("losetup", "-a"))
        self.assertEqual(list((self.host_folder / "attachments").iterdir()), [])
        self.end(self.server_pid())
        with open(self.attach(), "rb") as file:
            file.seek(MIB)
            self.assertEqual(file.read(26), b"written through the device")

    def test_a_machine_is_not_half_terminated(self):
        instance = self.launch(self.capture(self.disk), "--memory", "64M")[0]
        self.ok("instances", "stop", "--force", instance)
        self.volume = self.volume_of(instance)
        device = self.attach()
        self.fails(1, "instances", "terminate", instance, says=("is attached", str(device), "release"), code="busy")
        self.fails(1, "instances", "start", instance, says="is attached", code="busy")
        self.assertEqual((self.state(instance), device.read_bytes()), ("stopped", self.disk.read_bytes()))
        self.ok("volume", "release", self.volume)
        self.ok("instances", "terminate", instance)
        self.assertNotIn(self.volume, self.volumes())

    def test_what_died_is_taken_down_by_the_next_call(self):
        device = self.attach()
        note = (self.host_folder / "attachments" / self.volume / "attachment.json").read_text()
        pid = int(note.split('"pid": ')[1].split(",")[0])
        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: not machines.is_alive(pid), "nbdfuse stays")
        again = self.attach()
        self.assertEqual(again.read_bytes(), self.disk.read_bytes())
        self.assertEqual(self.do("losetup", "-a").count(str(self.store)), 1, device)


class Debian(machines.MachineTest):
    def setUp(self):
        super().setUp()
        self.image = self.need_debian()
        self.snapshot = self.capture(self.image / "disk.raw")

    def boot(self, snapshot, note, *words):
        return self.launch(snapshot, "--memory", "384M", "--kernel", self.image / "kernel", "--initrd",
                           self.image / "initrd", "--append",
                           f"root=/dev/vda console=ttyS0 quiet init=/sbin/counting-init note={note}", *words)

    def test_what_one_machine_writes_the_next_one_finds(self):
        first, *others = self.boot(self.snapshot, "alpha", "--count", COUNT)
        for instance in (first, *others):
            self.wait_for(instance, "BOOTED count=1 note=none")
            self.wait_for(instance, "SYNCED count=1")
        self.frames_were_fetched_once([first, *others])
        pids = [self.machine(i)["pid"] for i in (first, *others)]
        self.ok("instances", "stop", first, *others, "--timeout", 90)
        self.assertFalse(any(map(machines.is_alive, pids)))
        for instance in (first, *others):
            self.assertIn("POWEROFF count=1", self.console(instance), "the guest switched itself off")
            self.assertEqual(self.state(instance), "stopped")

        taken = self.ok("volume", "snapshot", self.volume_of(first)).strip()
        child = self.boot(taken, "beta")[0]
        self.ok("instances", "start", others[0])
        self.wait_for(child, "BOOTED count=2 note=alpha")
        self.wait_for(others[0], "BOOTED count=2 note=alpha")
        self.assertEqual(self.console(first).count("BOOTED"), 1)

        pids = [self.machine(i)["pid"] for i in (child, others[0])]
        self.ok("instances", "terminate", first, *others, child)
        self.assertFalse(any(map(machines.is_alive, pids)))
        self.assertEqual((self.volumes(), self.folders()), ([], []))

    def frames_were_fetched_once(self, instances):
        """Checks that all volumes received what their machines read, while the store was asked for about one
        volume's share only."""
        read = [self.ok_json("volume", "describe", self.volume_of(i))["state"]["fetched_bytes"] for i in instances]
        frames = self.ask_server(verb="describe")["fetched_frames"]
        print(f"{len(read)} machines read {sum(read) / MIB:.1f} MiB, {frames} frames of 64 KiB came from the store")
        self.assertGreater(min(read), 8 * MIB)
        self.assertLess(frames * 65536, 1.4 * max(read))


if __name__ == "__main__":
    host.SECONDS = max(host.SECONDS, 900)  # the image may have to be built first
    host.main()
