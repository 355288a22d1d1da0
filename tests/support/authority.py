"""A time-stamping authority (RFC 3161) for tests, with the command openssl: a root, an issuing certificate, and replies of any time. `with Served(authority) as server` answers at server.url."""
import hashlib
import http.server
import pathlib
import subprocess
import threading


def der(tag, *values):
    data = b"".join(values)
    size = bytes([len(data)]) if len(data) < 128 else bytes([0x80 + (len(data).bit_length() + 7) // 8]) + len(data).to_bytes((len(data).bit_length() + 7) // 8, "big")
    return bytes([tag]) + size + data


def split(data):
    """(tag, value, rest) of the first DER value."""
    size, at = data[1], 2
    if size >= 128:
        at += size - 128
        size = int.from_bytes(data[2:at], "big")
    return data[0], data[at:at + size], data[at + size:]


def parts(data):
    out = []
    while data:
        whole = data
        tag, value, data = split(data)
        out.append((tag, value, whole[:len(whole) - len(data)]))
    return out


SHA256 = bytes.fromhex("300d06096086480165030402010500")
CONFIG = """
[req]
distinguished_name = dn
[dn]
[ca]
default_ca = here
[here]
dir = .
database = index
new_certs_dir = .
default_md = sha256
rand_serial = yes
policy = any
unique_subject = no
[any]
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[own]
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
authorityKeyIdentifier = keyid
"""


class Authority:
    """Certificates of 2020 to 2049, keys of P-256."""

    def __init__(self, folder, name="Test Authority"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "config").write_text(CONFIG)
        (self.folder / "index").write_text("")
        for key, subject, signer in (("root", f"Root of {name}", ("-selfsign", "-keyfile", "root.key")), ("own", name, ("-cert", "root.pem", "-keyfile", "root.key"))):
            self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{key}.key")
            self._openssl("req", "-new", "-key", f"{key}.key", "-config", "config", "-subj", f"/CN={subject}", "-out", f"{key}.csr")
            self._openssl("ca", "-batch", "-config", "config", *signer, "-extensions", key, "-notext", "-startdate", "20200101000000Z", "-enddate", "20491231235959Z",
                          "-in", f"{key}.csr", "-out", f"{key}.pem")
        self.root = self.folder / "root.pem"

    def _openssl(self, *words, data=None):
        return subprocess.run(["openssl", *words], cwd=self.folder, input=data, check=True, capture_output=True).stdout

    def stamp(self, imprint, time, nonce=b""):
        """The reply about a MessageImprint (DER), at a time such as "20261101120000Z"; `nonce` is an INTEGER (DER)."""
        info = der(0x30, b"\x02\x01\x01", bytes.fromhex("06042a030401"), imprint, b"\x02\x01\x07", der(0x18, time.encode()), nonce)
        # -cades adds the attribute that names the certificate (RFC 5816).
        token = self._openssl("cms", "-sign", "-cades", "-binary", "-nodetach", "-econtent_type", "1.2.840.113549.1.9.16.1.4", "-md", "sha256", "-signer", "own.pem", "-inkey", "own.key",
                              "-outform", "DER", data=info)
        return der(0x30, b"\x30\x03\x02\x01\x00", token)

    def stamp_bytes(self, message, time):
        return self.stamp(der(0x30, SHA256, der(0x04, hashlib.sha256(message).digest())), time)

    def answer(self, request, time):
        """The reply to a TimeStampReq (DER)."""
        fields = parts(split(request)[1])
        nonce = [whole for tag, _, whole in fields[2:] if tag == 0x02]
        return self.stamp(fields[1][2], time, *nonce)


class Served:
    """Answers POSTs by `answer(request bytes)` -> (status, body); `requests` are (path, header fields, body)."""

    def __init__(self, answer):
        outer, self.requests = self, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), body))
                status, data = answer(body)
                self.send_response(status)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()
