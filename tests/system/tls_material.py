"""TlsMaterial: certificates and keys for tests, made by certtool and psktool."""

import pathlib
import subprocess


class TlsMaterial:
    """Folders as `serve --tls-certificates`, libnbd and QEMU read them: `server` and `client` have
    certificates of one authority, `other` one for a client by another authority, `nobody` only the
    authority's, and `distrustful` those of a client that trusts the other authority. `keys.psk` has the key
    of alice, and so has `psk/keys.psk`; `wrong.psk` has another key under her name."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.authority("right")
        self.authority("wrong")
        self.issue("server", "right", "server", "tls_www_server\ndns_name = localhost\nip_address = 127.0.0.1\n")
        self.issue("client", "right", "client", "tls_www_client\n")
        self.issue("other", "wrong", "client", "tls_www_client\n")
        (self.folder / "nobody").mkdir()
        self.copy("client/ca-cert.pem", "nobody/ca-cert.pem")
        # This client trusts the other authority.
        (self.folder / "distrustful").mkdir()
        for name in ("client-cert.pem", "client-key.pem"):
            self.copy(f"client/{name}", f"distrustful/{name}")
        self.copy("wrong-cert.pem", "distrustful/ca-cert.pem")
        self.keys()

    def __truediv__(self, name):
        return self.folder / name

    def run(self, *words):
        subprocess.run([*map(str, words)], check=True, capture_output=True, cwd=self.folder, timeout=60)

    def copy(self, name, to):
        (self.folder / to).write_bytes((self.folder / name).read_bytes())
        (self.folder / to).chmod(0o600)

    def key(self, name):
        self.run("certtool", "--generate-privkey", "--key-type", "ecdsa", "--outfile", name)

    def authority(self, name):
        (self.folder / f"{name}.info").write_text(f'cn = "{name}"\nca\ncert_signing_key\n')
        self.key(f"{name}-key.pem")
        self.run("certtool", "--generate-self-signed", "--load-privkey", f"{name}-key.pem", "--template",
                 f"{name}.info", "--outfile", f"{name}-cert.pem")

    def issue(self, into, authority, name, use):
        (self.folder / into).mkdir()
        (self.folder / f"{into}.info").write_text(f'cn = "{into}"\nsigning_key\n{use}')
        self.key(f"{into}/{name}-key.pem")
        self.run("certtool", "--generate-certificate", "--load-privkey", f"{into}/{name}-key.pem", "--load-ca-privkey",
                 f"{authority}-key.pem", "--load-ca-certificate", f"{authority}-cert.pem", "--template",
                 f"{into}.info", "--outfile", f"{into}/{name}-cert.pem")
        # A client with a certificate of the wrong authority still has to trust the right one.
        self.copy("right-cert.pem", f"{into}/ca-cert.pem")

    def keys(self):
        (self.folder / "psk").mkdir()
        for name in ("keys", "wrong"):
            self.run("psktool", "-u", "alice", "-p", f"{name}.psk", "-s", "32")
            (self.folder / f"{name}.psk").chmod(0o600)
        self.copy("keys.psk", "psk/keys.psk")
