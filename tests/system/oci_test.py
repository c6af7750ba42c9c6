#!/usr/bin/env python3
"""Shows images in OCI layouts: copied by skopeo from layout to layout, to a real registry and back."""

import hashlib
import json
import pathlib
import shutil
import signal
import socket
import urllib.request

import host
from program import noise

MIB = 1 << 20
REGISTRY = """version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Layouts(host.HostTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.there = self.scratch / "there"
        self.ok("init", self.there, store=False)
        self.disk = bytearray(noise(40 * MIB, 1))
        self.snapshot = self.capture(self.file("disk.raw", self.disk))
        self.image = self.create("web-1.4", self.snapshot)

    def create(self, name, snapshot):
        return self.ok("image", "create", "--name", name, "--map", f"/dev/sda={snapshot}").strip()

    def second_version(self):
        self.disk[MIB:MIB + 65536] = noise(65536, 2)
        changed = self.capture(self.file("disk.raw", self.disk), "--parent", self.snapshot)
        return self.create("web-1.5", changed)

    def export(self, image, layout, tag, *words):
        return self.ok("image", "export", image, f"{layout}:{tag}", "--format", "oci", *words).strip()

    def skopeo(self, *words):
        self.need("skopeo")
        return self.do("skopeo", "--insecure-policy", *words)

    def refused(self, status, name, says, code):
        self.fails(status, "--store", self.there, "image", "import", name, "--format", "oci", says=says, code=code, store=False)
        self.assertEqual(self.ok_json("--store", self.there, "image", "list", store=False)["Images"], [])
        self.assertEqual(self.ok_json("--store", self.there, "snapshots", store=False)["snapshots"], [])

    def imported(self, name, image, content, *words):
        """Imports the image, and checks its content and its origin."""
        arrived = self.ok("--store", self.there, "image", "import", name, "--format", "oci", *words, store=False).strip()
        shown = self.ok_json("--store", self.there, "image", "describe", arrived, store=False)["Images"][0]
        original = self.ok_json("image", "describe", image)["Images"][0]
        self.assertEqual((shown["ContentDigest"], shown["SourceImageId"]), (original["ContentDigest"], image))
        self.ok("--store", self.there, "image", "verify", arrived, store=False)
        out = self.scratch / f"{arrived}.raw"
        self.ok("--store", self.there, "restore", shown["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"], out, store=False)
        self.assertTrue(out.read_bytes() == content)
        out.unlink()

    def registry(self):
        self.need("docker-registry", "skopeo")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        folder = self.scratch / "registry"
        config = self.file("registry.yml", REGISTRY.format(folder=folder, port=port).encode())
        log = self.file("registry.log", b"")
        with open(log, "wb") as out:
            running = host.subprocess.Popen(["docker-registry", "serve", config], stdout=out, stderr=out)
        self.addCleanup(self.stop, running)

        def answers():
            self.assertIsNone(running.poll(), log.read_text())
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5).status == 200
            except OSError:
                return False

        self.wait_until(answers, "the registry does not answer")
        return f"docker://127.0.0.1:{port}/images/web", folder

    def test_from_layout_to_layout(self):
        here, copied = self.scratch / "here", self.scratch / "copied"
        digest = self.export(self.image, here, "1.4")
        raw = self.skopeo("inspect", "--raw", f"oci:{here}:1.4")
        self.assertEqual("sha256:" + hashlib.sha256(raw.encode()).hexdigest(), digest)
        manifest = json.loads(raw)
        self.assertEqual((manifest["artifactType"], manifest["annotations"]["vnd.ashlar.image"]),
                         ("application/vnd.ashlar.bundle.v1", self.image))
        bundle = self.run_ashlar("image", "export", self.image, "-").stdout
        parts = [here / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]
        self.assertGreater(len(parts), 2)
        self.assertTrue(b"".join(part.read_bytes() for part in parts) == bundle, "the parts are the bundle")
        self.skopeo("copy", f"oci:{here}:1.4", f"oci:{copied}:other")
        self.assertEqual(tree(here / "blobs"), tree(copied / "blobs"))
        self.imported(f"{copied}:other", self.image, self.disk)
        self.imported(copied, self.image, self.disk, "--name", "again")  # the only image needs no tag
        self.assertEqual(self.export(self.image, self.scratch / "again", "x"), digest, "the same bytes each time")

        second = self.second_version()
        self.export(second, copied, "1.5")
        self.skopeo("copy", f"oci:{copied}:1.5", f"oci:{here}:1.5")
        self.imported(f"{here}:1.5", second, self.disk)
        self.fails(1, "image", "export", second, f"{here}:1.5", "--format", "oci", says="1.5", code="invalid")
        self.export(second, here, "difference", "--since", self.image)
        self.imported(f"{here}:difference", second, self.disk, "--name", "from-1.4")

    def test_not_into_the_store(self):
        before = tree(self.store)
        for place in (self.store, self.store / "packs", self.store / "packs" / "layout"):
            self.fails(1, "image", "export", self.image, f"{place}:1.4", "--format", "oci", says="lies in the store", code="invalid")
        self.fails(1, "image", "export", self.image, self.store / "packs" / "bundle", says="lies in the store", code="invalid")
        self.assertEqual(tree(self.store).keys(), before.keys())

    def test_through_a_registry(self):
        remote, stored = self.registry()
        here, back = self.scratch / "here", self.scratch / "back"
        digest = self.export(self.image, here, "1.4")
        self.skopeo("copy", "--dest-tls-verify=false", f"oci:{here}:1.4", f"{remote}:1.4")
        self.skopeo("copy", "--src-tls-verify=false", f"{remote}:1.4", f"oci:{back}:1.4")
        self.assertEqual(json.loads((back / "index.json").read_text())["manifests"][0]["digest"], digest)
        self.imported(f"{back}:1.4", self.image, self.disk)

        def held():
            return sum(path.stat().st_size for path in stored.rglob("data"))

        before = held()
        second = self.second_version()
        digest = self.export(second, here, "1.5")
        self.skopeo("copy", "--dest-tls-verify=false", f"oci:{here}:1.5", f"{remote}:1.5")
        self.assertGreater(before, 40 * MIB)
        self.assertLess(held() - before, MIB, "the registry had the rest")
        by_digest = f"{remote}@{digest}"
        self.skopeo("copy", "--src-tls-verify=false", by_digest, f"oci:{self.scratch / 'pinned'}:x")
        self.imported(f"{self.scratch / 'pinned'}:x", second, self.disk)
        shutil.rmtree(here)
        self.skopeo("copy", "--src-tls-verify=false", f"{remote}:1.4", f"oci:{here}:1.4")
        self.ok("image", "import", f"{here}:1.4", "--format", "oci", "--name", "pulled")

    def test_layouts_that_are_damaged_or_something_else(self):
        made, layout = self.scratch / "made", self.scratch / "layout"
        self.export(self.image, made, "1.4")
        for path in tree(made):
            whole = (made / path).read_bytes()
            middle = len(whole) // 2
            flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:]
            for damage in (None, b"", whole[:-1], flipped):
                shutil.rmtree(layout, ignore_errors=True)
                shutil.copytree(made, layout)
                (layout / path).unlink()
                if damage is not None:
                    (layout / path).write_bytes(damage)
                self.refused(3, f"{layout}:1.4", () if damage == flipped else "OCI layout", "corrupt")
            shutil.rmtree(layout)
            shutil.copytree(made, layout)
            (layout / path).unlink()
            (layout / path).symlink_to(made / path)
            self.refused(3, f"{layout}:1.4", "link", "corrupt")
        self.refused(1, f"{made}:1.5", "tag", "not_found")
        self.refused(1, self.scratch / "none", "none", "not_found")
        self.assertEqual(list((self.there / "incoming").glob("import-*")), [])

        # All digests of this layout are right, but two parts of the bundle have changed places.
        index = json.loads((made / "index.json").read_text())
        entry = index["manifests"][0]
        manifest = json.loads((made / "blobs" / "sha256" / entry["digest"][7:]).read_text())
        manifest["layers"][0], manifest["layers"][1] = manifest["layers"][1], manifest["layers"][0]
        text = json.dumps(manifest).encode()
        entry.update(digest="sha256:" + hashlib.sha256(text).hexdigest(), size=len(text))
        (made / "blobs" / "sha256" / entry["digest"][7:]).write_bytes(text)
        (made / "index.json").write_text(json.dumps(index))
        self.refused(3, f"{made}:1.4", "bundle", "corrupt")

    def test_a_container_image_is_named_as_such(self):
        made, layout = self.scratch / "made", self.scratch / "layout"
        for folder in (made, layout):
            (folder / "blobs" / "sha256").mkdir(parents=True)
        blobs = {}
        for name, content in (("config", b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'),
                              ("layer", bytes(1024))):
            blobs[name] = {"mediaType": "application/vnd.oci.image.config.v1+json" if name == "config" else
                           "application/vnd.oci.image.layer.v1.tar",
                           "digest": "sha256:" + hashlib.sha256(content).hexdigest(), "size": len(content)}
            (made / "blobs" / "sha256" / blobs[name]["digest"][7:]).write_bytes(content)
        manifest = json.dumps({"schemaVersion": 2, "config": blobs["config"], "layers": [blobs["layer"]]}).encode()
        digest = hashlib.sha256(manifest).hexdigest()
        (made / "blobs" / "sha256" / digest).write_bytes(manifest)
        (made / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (made / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
            {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + digest, "size": len(manifest),
             "annotations": {"org.opencontainers.image.ref.name": "c"}}]}))
        shutil.rmtree(layout)
        self.skopeo("copy", f"oci:{made}:c", f"oci:{layout}:c")
        self.refused(1, f"{layout}:c", "container image", "invalid")
        self.export(self.image, layout, "web")  # next to the container image
        self.skopeo("inspect", f"oci:{layout}:c")
        self.imported(f"{layout}:web", self.image, self.disk)

    def test_exports_that_do_not_end(self):
        big = self.capture(self.file("big.raw", noise(200 * MIB, 3)))
        image = self.create("big", big)
        layout = self.scratch / "layout"
        blobs = layout / "blobs" / "sha256"
        for sent in (signal.SIGTERM, signal.SIGKILL):
            running = self.start("image", "export", image, f"{layout}:big", "--format", "oci")
            self.wait_until(lambda: len(list(blobs.glob(".ashlar-*"))) > 2 or running.poll() is not None, "no part is made")
            if sent == signal.SIGTERM:
                self.fails(1, "image", "export", self.image, f"{layout}:small", "--format", "oci", says="another export",
                           code="busy")
            running.send_signal(sent)
            running.communicate()
            self.assertNotEqual(running.returncode, 0)
            self.assertFalse((layout / "index.json").exists())
            self.assertEqual(layout.exists(), sent == signal.SIGKILL)
        self.export(image, layout, "big")
        self.assertEqual(list(layout.rglob(".ashlar-*")), [])
        before = tree(layout)
        running = self.start("image", "export", self.image, f"{layout}:small", "--format", "oci", "--since", image)
        running.communicate()
        self.assertEqual(running.returncode, 0)
        self.assertLess(before.keys(), tree(layout).keys())

    def test_what_is_no_name(self):
        for name in (":tag", "-", "-:a", f"{self.scratch}/x:", f"{self.scratch}/x:a/b", f"{self.scratch}/x:a b", f"{self.scratch}/x:-a"):
            self.fails(2, "image", "export", self.image, name, "--format", "oci", code="usage")
        self.fails(2, "image", "export", self.image, self.scratch / "x", "--format", "qcow", says="--format", code="usage")
        self.fails(1, "image", "import", self.store, says="--format oci", code="invalid")
        self.fails(2, "image", "import", ":x", "--format", "oci", code="usage")
        self.fails(1, "image", "export", "ami-00000000000000001", f"{self.scratch}/x:a", "--format", "oci", says="ami-",
                   code="not_found")
        self.fails(1, "image", "export", self.image, f"{self.scratch}:a", "--format", "oci", says="not an OCI image layout",
                   code="invalid")
        self.assertFalse(pathlib.Path(self.scratch, "x").exists())
        self.ok("image", "export", self.image, self.scratch / "x", "--format", "oci")
        self.imported(f"{self.scratch / 'x'}:{self.image}", self.image, self.disk)


if __name__ == "__main__":
    host.main()
