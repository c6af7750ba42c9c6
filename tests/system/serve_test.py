#!/usr/bin/env python3
"""Shows the server's life: TLS by certificates and by keys, metrics, sockets from systemd, restarts while
clients are connected, and command lines that make no sense."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import host
import program
import tls_material
import volumes
from program import noise

MIB = 1 << 20
COMMAND = ("-c", "read -P 7 0 1M", "-c", "write -P 8 2M 64k", "-c", "flush", "-c", "read -P 8 2M 64k")


class ServeTest(volumes.VolumeTest):
    def setUp(self):
        super().setUp()
        self.disk = self.file("disk.raw", bytes([7]) * MIB + noise(7 * MIB, 1))
        self.snapshot = self.capture(self.disk)
        self.volume = self.create(self.snapshot)

    def ready(self, running):
        """Waits until clients can connect, and returns the server's line about it."""
        line = running.stdout.readline()
        if not line:
            self.fail(f"serve: {running.communicate(timeout=20)[1].decode()}")
        return json.loads(line)

    def ended(self, running, says=""):
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=30)
        self.assertEqual((running.returncode, err.decode()), (0, says))

    @contextlib.contextmanager
    def listening(self, *words, says=""):
        running = self.start("--json", "serve", "--volume", self.volume, *words)
        yield self.ready(running)
        self.ended(running, says)

    def program(self, *words):
        done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def refused(self, *words):
        """Checks that the program fails, but not by a timeout or a missing export, and returns what it
        printed."""
        status, text = self.program(*words)
        self.assertNotEqual(status, 0, text)
        self.assertNotRegex(text, "no export|timed out")
        return text


class Tls(ServeTest):
    def setUp(self):
        super().setUp()
        self.need("nbdinfo", "nbdcopy", "certtool", "psktool")
        self.files = tls_material.TlsMaterial(self.scratch / "tls")

    def nbds(self, line, words):
        """Returns the URI for libnbd. Certificates are issued for localhost, keys for alice."""
        return line["address"].replace("127.0.0.1", "alice@localhost") + f"/{self.volume}?{words}"

    def qemu(self, line, credentials, tls=True):
        port = line["address"].rpartition(":")[2]
        target = f"driver=nbd,server.type=inet,server.host=localhost,server.port={port},export={self.volume}"
        return ("--object", f"{credentials},id=t,endpoint=client", "--image-opts", target + (",tls-creds=t" if tls else ""))

    def x509(self, folder):
        return f"tls-creds-x509,dir={self.files / folder}"

    def psk(self, folder, name="alice"):
        return f"tls-creds-psk,dir={self.files / folder},username={name}"

    def works(self, line, libnbd, qemu):
        """Checks that both libraries can read and write."""
        uri = self.nbds(line, libnbd)
        about = json.loads(self.do("nbdinfo", "--json", uri))
        self.assertTrue(about["TLS"])
        self.assertEqual(about["exports"][0]["export-size"], 8 * MIB)
        copy = self.scratch / "there.raw"
        self.do("nbdcopy", uri, copy)
        self.same(self.disk, copy)
        self.do("nbdcopy", "--flush", "--connections=4", self.scratch / "other.raw", uri)
        self.do("nbdcopy", uri, copy)
        self.same(self.scratch / "other.raw", copy)
        self.do("nbdcopy", "--flush", self.disk, uri)
        self.do("qemu-io", *COMMAND, *self.qemu(line, qemu))
        self.do("qemu-img", "info", *self.qemu(line, qemu))

    def test_certificates(self):
        self.file("other.raw", noise(8 * MIB, 2))
        with self.listening("--listen", "127.0.0.1:0", "--tls-certificates", self.files / "server") as line:
            self.assertRegex(line["address"], r"\Anbds://127\.0\.0\.1:\d+\Z")
            self.works(line, f"tls-certificates={self.files / 'client'}", self.x509("client"))
            for folder in ("other", "nobody", "distrustful"):
                self.refused("nbdinfo", self.nbds(line, f"tls-certificates={self.files / folder}"))
                self.refused("qemu-io", "-c", "read 0 4k", *self.qemu(line, self.x509(folder)))
            self.refused("nbdinfo", self.nbds(line, f"tls-psk-file={self.files / 'keys.psk'}"))
            plain = line["address"].replace("nbds", "nbd")
            self.assertIn("TLS", self.refused("nbdinfo", f"{plain}/{self.volume}"))
            self.refused("nbdinfo", "--list", plain)
            self.assertIn("TLS", self.refused("qemu-io", "-c", "read 0 4k", *self.qemu(line, self.x509("client"), False)))
            self.do("nbdinfo", self.nbds(line, f"tls-certificates={self.files / 'client'}"))

    def test_anybody_where_no_authority_is_named(self):
        (self.files / "server" / "ca-cert.pem").unlink()
        with self.listening("--listen", "127.0.0.1:0", "--tls-certificates", self.files / "server") as line:
            self.do("nbdinfo", self.nbds(line, f"tls-certificates={self.files / 'nobody'}"))
            self.refused("nbdinfo", self.nbds(line, f"tls-certificates={self.files / 'distrustful'}"))

    def test_keys(self):
        self.file("other.raw", noise(8 * MIB, 2))
        with self.listening("--listen", "127.0.0.1:0", "--tls-psk", self.files / "keys.psk") as line:
            self.works(line, f"tls-psk-file={self.files / 'keys.psk'}", self.psk("psk"))
            wrong = f"tls-psk-file={self.files / 'wrong.psk'}"
            self.refused("nbdinfo", self.nbds(line, wrong))
            self.refused("nbdinfo", self.nbds(line, f"tls-certificates={self.files / 'client'}"))
            (self.files / "wrong").mkdir()
            self.files.copy("wrong.psk", "wrong/keys.psk")
            for credentials in (self.psk("wrong"), self.x509("client")):
                self.refused("qemu-io", "-c", "read 0 4k", *self.qemu(line, credentials))
            self.refused("qemu-io", "-c", "read 0 4k", *self.qemu(line, self.psk("psk"), False))
            self.refused("nbdinfo", line["address"].replace("nbds", "nbd") + f"/{self.volume}")

    def test_a_key_that_others_may_read(self):
        key = self.files / "server" / "server-key.pem"
        for mode in (0o644, 0o604, 0o660):
            for file, words in ((key, ("--tls-certificates", key.parent)),
                                (self.files / "keys.psk", ("--tls-psk", self.files / "keys.psk"))):
                file.chmod(mode)
                self.fails(1, "serve", "--all", "--socket", self.socket, *words, says=(str(file), f"{mode:04o}", "chmod"),
                           code="invalid")
                self.assertFalse(self.socket.exists())
                file.chmod(0o600)

    def test_files_that_are_no_use(self):
        serve = ("serve", "--all", "--socket", self.socket)
        self.fails(1, *serve, "--tls-certificates", self.scratch / "nowhere", says="server-cert.pem")
        self.fails(1, *serve, "--tls-psk", self.scratch / "nowhere", says="nowhere")
        short = self.file("short.psk", b"alice:0011\n")
        short.chmod(0o600)
        self.fails(1, *serve, "--tls-psk", short, says="line 1")
        self.copy_of_key("wrong-key.pem")
        self.fails(1, *serve, "--tls-certificates", self.files / "server", says="server-key.pem")

    def copy_of_key(self, name):
        self.files.copy(name, "server/server-key.pem")


def parsed(text):
    """Parses a page of metrics strictly into {family: {labels: value}} and the types; each family is
    announced once, before its samples."""
    families, types, name = {}, {}, None
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    lines = iter(text[:-1].split("\n"))
    for line in lines:
        if announced := re.fullmatch(r"# HELP ([a-z_]+) ([^\n]+)", line):
            name = announced[1]
            kind = re.fullmatch(rf"# TYPE {name} (counter|gauge)", next(lines))
            if not kind or name in families or (kind[1] == "counter") != name.endswith("_total"):
                raise ValueError(line)
            families[name], types[name] = {}, kind[1]
            continue
        sample = re.fullmatch(rf'{name}(?:\{{([a-z]+="[^"\\]*"(?:,[a-z]+="[^"\\]*")*)\}})? (\d+)', line)
        if not sample or sample[1] in families[name]:
            raise ValueError(line)
        families[name][sample[1]] = int(sample[2])
    return families, types


class Metrics(ServeTest):
    def get(self, address, target="/metrics"):
        """Returns status, content type and body."""
        if address.startswith("http://"):
            connection = http.client.HTTPConnection(address.split("/")[2], timeout=10)
        else:
            connection = http.client.HTTPConnection("localhost", timeout=10)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(10)
            connection.sock.connect(address)
        with contextlib.closing(connection):
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type"), answer.read().decode()

    def page(self, address):
        status, kind, text = self.get(address)
        self.assertEqual((status, kind.split(";")[0]), (200, "text/plain"))
        return parsed(text)[0]

    def test_figures_move(self):
        for where in ("127.0.0.1:0", "[::1]:0", self.scratch / "metrics"):
            with self.subTest(where=where), self.listening("--socket", self.socket, "--metrics", where) as line:
                address = line["metrics"]
                mine = f'volume="{self.volume}"'
                before = self.page(address)
                for family in ("nbd_connections", "nbd_read_bytes_total", "volume_missed_reads_total"):
                    self.assertIn(f"ashlar_{family}", before)
                self.assertEqual(before["ashlar_nbd_requests_total"]['kind="read"'], 0)
                self.assertEqual(before["ashlar_volume_size_bytes"], {mine: 8 * MIB})
                self.io_ok(self.volume, "read -P 7 0 1M", "write -P 7 0 64k", "flush")
                self.io_fails(self.volume, "read 8M 4k", "")
                # The server notices a little later that a client has left.
                self.wait_until(lambda: self.page(address)["ashlar_nbd_connections"][None] == 0, "the clients have left")
                after = self.page(address)
                self.assertEqual(set(after), set(before))
                for kind in ("read", "write", "flush"):
                    self.assertGreater(after["ashlar_nbd_requests_total"][f'kind="{kind}"'], 0, kind)
                self.assertGreaterEqual(after["ashlar_nbd_read_bytes_total"][None], MIB)
                self.assertEqual(after["ashlar_nbd_written_bytes_total"][None], 65536)
                self.assertEqual(after["ashlar_nbd_connections"][None], 0)
                self.assertEqual(after["ashlar_nbd_connections_accepted_total"][None], 2)
                self.assertEqual(after["ashlar_volume_dirty_bytes"][mine], 65536)
                self.assertGreater(after["ashlar_volume_reads_total"][mine], 0)
                self.assertEqual(self.get(address, "/")[0], 404)
        self.assertFalse((self.scratch / "metrics").exists(), "the socket is taken away again")

    def test_not_for_the_network(self):
        for where in ("0.0.0.0:0", "[::]:0"):
            self.fails(1, "serve", "--all", "--socket", self.socket, "--metrics", where, says=("--metrics", "loopback"))

    def test_the_servers_of_a_volume_that_goes(self):
        other = self.create(self.snapshot)
        running = self.start("--json", "serve", "--all", "--socket", self.socket, "--metrics", "127.0.0.1:0")
        address = self.ready(running)["metrics"]
        self.assertEqual(len(self.page(address)["ashlar_volume_size_bytes"]), 2)
        self.ok("volume", "delete", other)
        self.assertEqual(set(self.page(address)["ashlar_volume_size_bytes"]), {f'volume="{self.volume}"'})
        self.ended(running)


class Session:
    """A qemu-io at its prompt, which tries to reconnect for 20 s."""

    def __init__(self, options):
        self.process = subprocess.Popen(["qemu-io", "--image-opts", options], bufsize=0, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.answer()

    def ask(self, command):
        self.process.stdin.write(f"{command}\n".encode())

    def answer(self):
        """Returns what it prints until it asks for the next command."""
        text = b""
        while not text.endswith(b"qemu-io> "):
            part = self.process.stdout.read(4096)
            if not part:
                raise AssertionError(f"qemu-io ended: {text}")
            text += part
        return text.decode().removesuffix("qemu-io> ")

    def end(self):
        self.process.communicate(b"quit\n", timeout=60)
        return self.process.returncode


class Restarts:
    """Tests with servers that follow each other on one socket; start_server() starts the next one."""

    def options(self):
        return f"driver=nbd,server.type=unix,server.path={self.socket},export={self.volume},reconnect-delay=20"

    def well(self, answer):
        self.assertNotRegex(answer, "failed|rror")
        return answer

    def asked(self, session, *commands):
        for command in commands:
            session.ask(command)
            self.well(session.answer())

    def test_one_session_over_three_servers(self):
        server = self.start_server()
        session = Session(self.options())
        self.addCleanup(self.stop, session.process, signal.SIGKILL)
        self.asked(session, "write -P 5 1M 1M", "flush")
        self.ended(server)
        server = self.start_server()
        self.asked(session, "read -P 5 1M 1M", "read -P 7 0 1M", "write -P 6 3M 64k", "flush")
        self.ended(server)
        # The client asks while no server runs.
        session.ask("read -P 6 3M 64k")
        time.sleep(0.5)
        server = self.start_server()
        self.assertIn("read 65536/65536", self.well(session.answer()))
        self.assertEqual(session.end(), 0)
        self.ended(server)

    def test_terminated_under_a_client_that_reads(self):
        server = self.start_server()
        client = subprocess.Popen(["qemu-img", "bench", "-c", "150000", "-d", "16", "-s", "4096", "--image-opts",
                                   self.options()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(self.stop, client, signal.SIGKILL)
        for _ in range(2):
            self.wait_until(lambda: self.state(self.volume)["reads"] > 1000, "it does not read")
            self.assertIsNone(client.poll(), "it still reads")
            self.ended(server)
            server = self.start_server()
        text, _ = client.communicate(timeout=120)
        self.assertEqual(client.returncode, 0, text)
        self.ended(server)


class OwnSocket(Restarts, ServeTest):
    def start_server(self):
        running = self.start("--json", "serve", "--volume", self.volume, "--socket", self.socket)
        self.ready(running)
        return running


# Becomes ashlar, with the socket as descriptor 3. argv holds a descriptor, LISTEN_FDS, LISTEN_PID or "", and
# the program.
HAND_OVER = """import os, sys
fd, count, pid, *words = sys.argv[1:]
if int(fd) >= 0:
    os.dup2(int(fd), 3)
else:
    os.closerange(3, 4)
os.environ.update(LISTEN_FDS=count, LISTEN_PID=pid or str(os.getpid()))
os.execv(words[0], words)
"""


class Activation(Restarts, ServeTest):
    """A socket that another process made, and that stays when a server ends."""

    def setUp(self):
        super().setUp()
        self.listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listening.close)
        self.listening.bind(str(self.socket))
        self.listening.listen()

    def activated(self, fd, *words, count="1", pid=""):
        running = subprocess.Popen(
            [sys.executable, "-c", HAND_OVER, str(fd), count, pid, program.PROGRAM, "--json", "--store", self.store,
             "serve", "--volume", self.volume, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[fd] if fd >= 0 else [])
        self.addCleanup(self.stop, running, signal.SIGKILL)
        return running

    def start_server(self):
        running = self.activated(self.listening.fileno())
        self.assertEqual(self.ready(running)["address"], f"nbd+unix:///?socket={self.socket}")
        return running

    def ended(self, running, says=""):
        super().ended(running, says)
        self.assertTrue(self.socket.exists(), "it is not the server's to remove")

    def test_tcp(self):
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        running = self.activated(listening.fileno())
        address = self.ready(running)["address"]
        self.assertEqual(address, f"nbd://127.0.0.1:{listening.getsockname()[1]}")
        self.do("qemu-io", "-f", "raw", *COMMAND, f"{address}/{self.volume}")
        self.ended(running)

    def ends(self, status, says, running):
        _, err = running.communicate(timeout=30)
        self.assertEqual(running.returncode, status, err)
        self.assertRegex(err.decode(), r"\Aashlar: [^\n]+\n\Z")
        self.assertIn(says, err.decode())

    def test_what_is_no_socket(self):
        with open(self.disk, "rb") as file:
            self.ends(1, "inherited", self.activated(file.fileno()))
        self.ends(1, "inherited", self.activated(-1))
        silent = socket.socket(socket.AF_UNIX)
        self.addCleanup(silent.close)
        self.ends(1, "listen", self.activated(silent.fileno()))
        self.ends(1, "LISTEN_FDS", self.activated(self.listening.fileno(), count="2"))
        self.ends(1, "LISTEN_FDS", self.activated(self.listening.fileno(), count="x"))
        # This socket is meant for another process.
        self.ends(2, "--socket", self.activated(self.listening.fileno(), pid="1"))

    def test_systemd_s_own_activator(self):
        activator = shutil.which("systemd-socket-activate")
        if not activator:
            self.skipTest("needs systemd-socket-activate")
        self.socket.unlink()
        environment = {**os.environ, "ASHLAR_STORE": str(self.store)}
        running = subprocess.Popen([activator, "-E", "ASHLAR_STORE", "-l", self.socket, program.PROGRAM, "serve", "--all"],
                                   env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(self.stop, running, signal.SIGKILL)
        self.wait_until(self.socket.exists, "it does not listen")
        self.io_ok(self.volume, "read -P 7 0 1M")
        running.send_signal(signal.SIGTERM)
        self.assertEqual(running.wait(timeout=30), 0)


class Units(host.HostTest):
    def test_systemd_takes_the_units(self):
        self.need("systemd-analyze", "cmake")
        self.do("cmake", "--install", program.BUILD, "--prefix", self.scratch / "root")
        folder = self.scratch / "root/lib/systemd/system"
        units = [folder / f"ashlar-{name}" for name in ("serve.service", "serve.socket", "lifecycle.service", "lifecycle.timer", "collect.service", "collect.timer")]
        self.assertRegex(units[0].read_text(), r"\nExecStart=/\S+/ashlar serve --all\n")
        self.assertRegex(units[2].read_text(), r"\nExecStart=/\S+/ashlar lifecycle run --all-accounts\n")
        for unit in units:  # they name the place of the program after installation, where it is not yet
            there = str(self.scratch / "root/bin/ashlar")
            unit.write_text(re.sub(r"(?<=\nExecStart=)\S+", there, unit.read_text()))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)
        if "Failed to initialize manager" in done.stderr:
            self.skipTest(done.stderr.strip())
        self.assertEqual((done.returncode, [line for line in done.stderr.splitlines() if "ashlar" in line]), (0, []))


class CommandLine(ServeTest):
    def wrong(self, *words, says):
        self.fails(2, "serve", *words, says=says, code="usage")
        self.assertFalse(self.socket.exists())

    def test_what_can_t_be_meant(self):
        at = ("--socket", self.socket)
        self.wrong(*at, says="--volume")
        self.wrong("--all", says=("--socket", "--listen"))
        self.wrong("--all", *at, "--listen", "127.0.0.1:0", says=("--socket", "--listen"))
        self.wrong("--all", "--volume", self.volume, *at, says="--all")
        self.wrong(self.snapshot, "--all", *at, says="--all")
        self.wrong(self.snapshot, *at, "--hydrate", says="--hydrate")
        self.wrong("--all", *at, "--rate", "1M", says="--hydrate")
        self.wrong("--all", *at, "--tls-psk", "a", "--tls-certificates", "b", says=("--tls-psk", "--tls-certificates"))
        for word in ("localhost", ":1", "localhost:", "localhost:65536", "localhost:x", "1:2:3:-1"):
            self.wrong("--all", "--listen", word, says=("--listen", "ADDRESS:PORT"))
            self.wrong("--all", *at, "--metrics", word, says=("--metrics", "ADDRESS:PORT"))
        self.wrong("--all", "--socket", "", says="--socket")
        self.wrong("--volume", self.snapshot, *at, says="volume id")
        self.wrong("--all", *at, "--cache", "1K", says="--cache")

    def test_a_socket_that_is_taken(self):
        with self.listening("--socket", self.socket):
            other = self.create(self.snapshot)
            self.fails(1, "serve", "--volume", other, "--socket", self.socket, says="another server", code="busy")
        self.socket.write_text("not to be removed")
        self.fails(1, "serve", "--volume", self.volume, "--socket", self.socket, says="not a socket", code="busy")
        self.assertEqual(self.socket.read_text(), "not to be removed")
        self.fails(1, "serve", "--volume", self.volume, "--socket", self.scratch / ("x" * 120), says="socket")
        none = self.scratch / "none" / "s.sock"
        self.fails(1, "serve", "--volume", self.volume, "--socket", none, says=f"can't listen on {none}: No such file")

    def test_open_to_the_network(self):
        with self.listening("--listen", "0.0.0.0:0", says=None) as line:
            self.assertRegex(line["address"], r"\Anbd://0\.0\.0\.0:\d+\Z")

    def ended(self, running, says=""):
        if says is not None:
            return super().ended(running, says)
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=30)
        self.assertEqual(running.returncode, 0)
        self.assertRegex(err.decode(), r"\A[^\n]*without TLS[^\n]*\n\Z")
        return None


if __name__ == "__main__":
    host.main()
