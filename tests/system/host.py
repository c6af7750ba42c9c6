"""HostTest: parts of a real host for tests of the ashlar program: loop devices, mounts, servers. Each is
taken down again in reverse order, by its own name or pid, also when a test fails or runs out of time."""

import filecmp
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import program  # noqa: E402

LONG = os.environ.get("ASHLAR_LONG_TESTS", "") not in ("", "0")
SECONDS = 1500 if LONG else 200  # below the TIMEOUT in CMakeLists.txt, so that there is time to clean up
SKIPPED = 77
BLOCK = 4096


class OutOfTime(Exception):
    pass


class HostTest(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)

    def tearDown(self):
        pass  # everything is cleaned up by addCleanup, in reverse order

    def do(self, *words, **how):
        """Runs a tool of the host, which must succeed, and returns its output."""
        done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=120, **how)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def tried(self, *words):
        return subprocess.run([*map(str, words)], capture_output=True, timeout=120).returncode == 0

    def need(self, *programs):
        missing = [name for name in programs if not shutil.which(name)]
        if missing:
            self.skipTest(f"this host has no {', '.join(missing)}")

    def image(self, name, size):
        path = self.scratch / name
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def sparse_folder(self):
        """Returns a folder in which a file may have a size of 64 TiB: on tmpfs, or on XFS over a loop device
        (ext4 has a limit of 16 TiB)."""
        shm = pathlib.Path("/dev/shm")
        if shm.is_dir() and os.statvfs(shm).f_bavail * os.statvfs(shm).f_frsize > 1 << 30:
            folder = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-sparse-", dir=shm))
            self.addCleanup(self.do, "rm", "-r", folder)
            return folder
        self.need("mkfs.xfs")
        backing = self.image("xfs.img", 4 << 30)
        self.do("mkfs.xfs", "-q", backing)
        return self.mount_on("-o", "loop", backing)

    def loop(self, file, *options):
        """Attaches a loop device to `file` and returns it; skips the test where the host allows none."""
        self.need_root()
        self.need("losetup")
        done = subprocess.run(["losetup", "-f", "--show", *options, file], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"no loop devices here: {done.stderr.strip()}")
        device = pathlib.Path(done.stdout.strip())
        self.addCleanup(self.detach, device, file)
        return device

    def detach(self, device, file):
        """Detaches the device, unless it has been detached already and may have another user by this time."""
        backing = pathlib.Path("/sys/block", device.name, "loop/backing_file")
        if backing.exists() and backing.read_text().strip() == os.path.realpath(file):
            subprocess.run(["losetup", "-d", device], capture_output=True)

    def mount_on(self, *words):
        """Mounts WORDS... on a new folder and returns it; skips the test where the host cannot mount."""
        self.need_root()
        folder = pathlib.Path(tempfile.mkdtemp(prefix="mount-", dir=self.scratch))
        done = subprocess.run(["mount", *map(str, words), folder], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"mount {words}: {done.stderr.strip()}")
        self.addCleanup(self.unmount, folder)
        return folder

    def unmount(self, folder):
        if os.path.ismount(folder):
            device = pathlib.Path(self.do("findmnt", "-n", "-o", "SOURCE", folder).strip())
            loop = pathlib.Path("/sys/block", device.name, "loop")
            file = read_or_nothing(loop / "backing_file") if read_or_nothing(loop / "autoclear") == "1" else ""
            subprocess.run(["fsfreeze", "-u", folder], capture_output=True)
            done = subprocess.run(["umount", folder], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            # After mount -o loop the device releases its file only when no process, such as a passing
            # losetup, has it open.
            if file:
                self.wait_until(lambda: read_or_nothing(loop / "backing_file") != file, f"{device} keeps its file")

    def serve(self, *words, socket):
        """Starts a server and waits for its socket."""
        running = subprocess.Popen([*map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(self.stop, running)
        deadline = time.monotonic() + 20
        while not socket.exists():
            if running.poll() is not None or time.monotonic() > deadline:
                running.kill()
                self.fail(f"{words}: {running.communicate()[1].decode()}")
            time.sleep(0.02)
        return running

    def stop(self, running, sent=signal.SIGTERM):
        """Ends a child with the signal `sent`, or with SIGKILL when it takes longer than 20 s, and returns
        its output."""
        if running.poll() is None:
            running.send_signal(sent)
            try:
                running.wait(timeout=20)
            except subprocess.TimeoutExpired:
                running.kill()
        return running.communicate()

    def start(self, *words, path=None, **how):
        """Starts ashlar WORDS... in the background; `path` replaces its PATH."""
        environment = {**os.environ, "ASHLAR_STORE": str(self.store), **({"PATH": path} if path else {})}
        running = subprocess.Popen([program.PROGRAM, *map(str, words)], env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)
        self.addCleanup(self.stop, running, signal.SIGKILL)
        return running

    def wait_until(self, condition, what, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.005)

    def snapshots(self):
        return [s["id"] for s in self.ok_json("snapshots")["snapshots"]]

    def same(self, one, other):
        self.assertTrue(filecmp.cmp(one, other, shallow=False), f"{one} and {other} differ")

    def restored(self, snapshot, name="restored.raw", *words):
        target = self.scratch / name
        target.unlink(missing_ok=True)
        self.ok("restore", snapshot, target, *words)
        return target


def read_or_nothing(path):
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def copy_some_files(folder, limit_bytes):
    """Copies real files of this host, text and programs, into the folder, in the same order each time."""
    copied = 0
    for root in ("/usr/share/doc", "/usr/lib/python3", "/usr/lib/x86_64-linux-gnu"):
        share = copied + (limit_bytes - copied) // 2
        for path in sorted(pathlib.Path(root).rglob("*")):
            if copied >= share:
                break
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 4 << 20:
                copied += path.stat().st_size
                target = folder / "/".join(path.parts[-3:])
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def seeded():
    """Returns the random generator of a test that differs from run to run; SEED=N repeats a run."""
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"SEED={seed}", flush=True)
    return random.Random(seed)


def main(seconds=SECONDS):
    """Runs the tests of a file; ends them in order after so many seconds."""
    def out_of_time(number, _frame):
        raise OutOfTime(f"stopped by signal {number}")

    for sent in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(sent, out_of_time)
    signal.alarm(seconds)
    done = unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2, exit=False, failfast=True).result
    if not done.wasSuccessful():
        sys.exit(1)
    if done.testsRun and len(done.skipped) == done.testsRun:
        print("skipped:", "; ".join(sorted({reason for _, reason in done.skipped})))
        sys.exit(SKIPPED)
