"""MachineTest: machines for tests. All launched machines, and the server of their volumes, are ended by pid
when the test ends."""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import host

CACHE = pathlib.Path(os.environ.get("ASHLAR_TEST_CACHE", "/var/tmp/ashlar-test-cache"))

# Process 1 of the guest. It counts its starts on the disk, records a note that the kernel's command line
# brings, and switches off when the power button is pressed.
INIT = """#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -o remount,rw /
exec >/dev/ttyS0 2>&1 </dev/null
modprobe -a button evdev
count=$(( $(cat /var/starts 2>/dev/null || echo 0) + 1 ))
echo "BOOTED count=$count note=$(cat /var/note 2>/dev/null || echo none)"
echo $count >/var/starts
for disk in /sys/block/vd*; do
  name=${disk##*/}
  echo "DISK $name $(( $(cat $disk/size) * 512 )) $(head -c 4096 /dev/$name | sha256sum | head -c 16)"
done
for word in $(cat /proc/cmdline); do
  case $word in note=*) echo ${word#note=} >/var/note ;; esac
done
sync
for event in /sys/class/input/event*; do
  [ "$(cat $event/device/name)" = "Power Button" ] && button=/dev/input/${event##*/}
done
echo "SYNCED count=$count"
head -c 24 $button >/dev/null
sync
mount -o remount,ro /
echo "POWEROFF count=$count"
exec busybox poweroff -f
"""

# Builds root/, disk.raw, kernel and initrd in the working directory. Only the few drivers that are needed go
# into the initial RAM disk: a guest with an emulated processor has to unpack it.
BUILD = """set -eu
mmdebstrap --quiet --mode=root --variant=minbase --include=linux-image-cloud-amd64,busybox \
  --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"' \
  --essential-hook='printf "MODULES=list\\nCOMPRESS=gzip\\n" >"$1/etc/initramfs-tools/conf.d/small"' \
  --essential-hook='printf "virtio_pci\\nvirtio_blk\\next4\\n" >"$1/usr/share/initramfs-tools/modules.d/small"' \
  bookworm root
install -m 755 init root/sbin/counting-init
cp root/boot/vmlinuz-* kernel
cp root/boot/initrd.img-* initrd
mke2fs -q -t ext4 -d root disk.raw 600M
rm -r root
"""


def debian():
    """Returns the folder of a built image, which is made once for each content of the scripts above."""
    key = hashlib.sha256((BUILD + INIT).encode()).hexdigest()[:16]
    folder = CACHE / f"debian-{key}"
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    building = pathlib.Path(tempfile.mkdtemp(prefix="building-", dir=CACHE))
    try:
        (building / "init").write_text(INIT)
        done = subprocess.run(["sh", "-c", BUILD], cwd=building, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise RuntimeError((done.stderr.strip().splitlines() or ["without a word"])[-1])
        if not folder.is_dir():
            building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def is_alive(pid):
    """Returns whether a thread of the process runs. A zombie whose exit status was not collected does not."""
    states = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            stat = pathlib.Path(f"/proc/{pid}/task/{thread}/stat").read_text()
            states.append(stat.rpartition(")")[2].split()[0])
    except OSError:
        pass  # the process, or one of its threads, ended
    return any(state not in "ZX" for state in states)


class MachineTest(host.HostTest):
    def setUp(self):
        super().setUp()
        self.need("qemu-system-x86_64")
        self.init()
        self.addCleanup(self.end_all)

    def end_all(self):
        listed = self.run_ashlar("instances", "list", "--json")
        machines = json.loads(listed.stdout)["instances"] if listed.stdout else []
        for pid in [m["pid"] for m in machines if m.get("pid")] + [self.server_pid()]:
            self.end(pid)

    def end(self, pid):
        if not pid or not is_alive(pid):
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        while is_alive(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def connect(self):
        folder = os.open(self.host_folder / "overlays", os.O_PATH)
        control = socket.socket(socket.AF_UNIX)
        try:
            control.connect(f"/proc/self/fd/{folder}/control")
        except OSError:
            control.close()
            raise
        finally:
            os.close(folder)
        return control

    def server_pid(self):
        """Returns the pid of the server that was started for the machines; 0 when there is none."""
        try:
            with self.connect() as control:
                peer = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                return struct.unpack("3i", peer)[0]
        except OSError:
            return 0

    def ask_server(self, **request):
        with self.connect() as control, control.makefile("rw") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            return json.loads(stream.readline())

    def launch(self, snapshot, *words):
        return self.ok("launch", snapshot, "--accel", "tcg", *words).split()

    def machine(self, instance):
        return self.ok_json("instances", "describe", instance)["instances"][0]

    def state(self, instance):
        return self.machine(instance)["state"]

    def volume_of(self, instance):
        return self.machine(instance)["devices"][0]["volume"]

    def console(self, instance):
        return pathlib.Path(self.machine(instance)["console"]).read_text(errors="replace")

    def volumes(self):
        return [v["id"] for v in self.ok_json("volume", "list")["volumes"]]

    def wait_for(self, instance, marker):
        """Waits until the guest has written `marker` to its console."""
        def seen():
            if marker in self.console(instance):
                return True
            self.assertEqual(self.state(instance), "running", self.console(instance))
            return False
        self.wait_until(seen, f"{instance} does not say {marker}", seconds=120)

    def need_debian(self):
        """Returns the folder of disk.raw, kernel and initrd; skips the test where they cannot be built."""
        self.need_root()
        self.need("mmdebstrap", "mke2fs")
        try:
            return debian()
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            return self.skipTest(f"no Debian image can be built here: {error}")

    def folders(self):
        folder = self.host_folder / "instances"
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
