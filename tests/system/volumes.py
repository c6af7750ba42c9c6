"""VolumeTest: volumes for tests, with a server of the real program, and QEMU's tools as its clients."""

import contextlib
import signal
import subprocess

import host


class VolumeTest(host.HostTest):
    def setUp(self):
        super().setUp()
        self.need("qemu-img", "qemu-io")
        self.init()
        self.socket = self.scratch / "nbd"

    def create(self, snapshot, *words):
        return self.ok("volume", "create", "--snapshot", snapshot, *words).strip()

    def server(self, *words):
        """Starts ashlar serve WORDS... and returns it once it listens."""
        running = self.start("serve", "--socket", self.socket, *words)
        if not running.stdout.readline():
            self.fail(f"serve {words}: {running.communicate(timeout=20)[1].decode()}")
        return running

    @contextlib.contextmanager
    def served(self, *words):
        """Keeps the server running while the body runs; then SIGTERM has to end it with status 0 and without
        a message."""
        running = self.server(*words)
        yield running
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=60)
        self.assertEqual((running.returncode, err.decode()), (0, ""))

    def uri(self, export):
        return f"nbd+unix:///{export}?socket={self.socket}"

    def io(self, export, *commands):
        """Runs qemu-io with COMMANDS in this order, and returns its exit status and its output."""
        words = [word for command in commands for word in ("-c", command)]
        done = subprocess.run(["qemu-io", "-f", "raw", *words, self.uri(export)], capture_output=True, text=True,
                              timeout=60)
        return done.returncode, done.stdout + done.stderr

    def io_ok(self, export, *commands):
        status, text = self.io(export, *commands)
        self.assertEqual(status, 0, text)
        self.assertNotIn("failed", text)

    def io_fails(self, export, command, says):
        status, text = self.io(export, command)
        self.assertIn(says, text)
        self.assertNotEqual(status, 0, text)

    def compare(self, image, export):
        self.do("qemu-img", "compare", "-f", "raw", "-F", "raw", image, self.uri(export))

    def copy_of(self, export):
        path = self.scratch / "copy.raw"
        path.unlink(missing_ok=True)
        self.do("qemu-img", "convert", "-f", "raw", "-O", "raw", self.uri(export), path)
        return path

    def state(self, volume):
        return self.ok_json("volume", "describe", volume)["state"]

    def overlay(self, volume):
        return self.host_folder / "overlays" / volume
