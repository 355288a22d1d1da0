"""Keys, logits and other ways to the same tokens, for the tests of the Python package."""
import ctypes
import json
import os
import pathlib
import subprocess

import numpy as np

import heirmark

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEIRMARK = os.environ.get("HEIRMARK", "heirmark")
VOCAB = 1003  # no multiple of anything


def subkeys_bytes(profile="standard-2026-11", accounts=("default", "birch"), seed=1):
    """A subkeys file with secrets for all to see."""
    def secret(i):
        return bytes((seed * 37 + i * 11 + j) % 256 for j in range(32)).hex()
    value = {"type": "heirmark/subkeys/v1", "path": "test/2026-11", "keyId": f"{seed:016x}", "profile": profile, "accounts": list(accounts), "coin": secret(100),
             "window": [secret(i) for i in range(16)], "issuance": [secret(200 + i) for i in range(len(accounts))]}
    return (json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n").encode()


def make_sampler(profile="standard-2026-11", vocab_size=VOCAB, device="cpu", **options):
    accounts = options.pop("accounts", ("default", "birch"))
    return heirmark.Sampler(heirmark.Subkeys.from_bytes(subkeys_bytes(profile, accounts, options.pop("seed", 1))), vocab_size=vocab_size, device=device, **options)


def request(number):
    return b"request" + number.to_bytes(5, "big")


def logits_of(rows, seed, columns=VOCAB, spread=3.0):
    return (np.random.default_rng(seed).standard_normal((rows, columns)) * spread).astype(np.float32)


class Library:
    """libheirmark by ctypes: the C ABI, with no line in common with the extension."""

    class Options(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint32) for name in ("size", "vocab_size", "max_rows", "truncation", "log_probs", "backend", "device", "threads")]

    class Logits(ctypes.Structure):
        _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_uint32), ("rows", ctypes.c_uint32), ("row_stride", ctypes.c_uint64)]

    class Params(ctypes.Structure):
        _fields_ = [("temperature", ctypes.c_float), ("min_p", ctypes.c_float), ("top_p", ctypes.c_float), ("top_k", ctypes.c_uint32), ("mode", ctypes.c_uint32)]

    DTYPES = {"float32": 0, "bfloat16": 1, "float16": 2}

    def __init__(self, keys, vocab_size, log_probs=False):
        self.c = ctypes.CDLL(os.environ["HEIRMARK_LIBRARY"])
        self.c.heirmark_last_error.restype = ctypes.c_char_p
        self.keys, self.sampler = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("heirmark_keys_parse", keys, ctypes.c_size_t(len(keys)), ctypes.byref(self.keys))
        options = self.Options()
        self.c.heirmark_sampler_options_init(ctypes.byref(options))
        options.vocab_size, options.backend, options.log_probs = vocab_size, 1, int(log_probs)
        self.call("heirmark_sampler_create", self.keys, ctypes.byref(options), ctypes.byref(self.sampler))

    def call(self, name, *arguments):
        status = getattr(self.c, name)(*arguments)
        assert status == 0, f"{name}: {self.c.heirmark_last_error().decode()}"

    def begin(self, request_id, prompt, slot=0):
        sequence = ctypes.c_void_p()
        tokens = (ctypes.c_uint32 * max(1, len(prompt)))(*prompt)
        self.call("heirmark_sequence_begin", self.sampler, request_id, tokens, ctypes.c_size_t(len(prompt)), ctypes.c_uint32(slot), ctypes.byref(sequence))
        return sequence

    def accept(self, sequence, token):
        self.call("heirmark_sequence_accept", sequence, ctypes.c_uint32(token))

    def sample(self, logits, sequences, params, dtype=None):
        """logits: a C-contiguous array; params: one tuple (temperature, min_p, top_p, top_k, mode) for each row."""
        rows = len(sequences)
        view = self.Logits(logits.ctypes.data, self.DTYPES[dtype or logits.dtype.name], rows, logits.shape[1])
        asked = (self.Params * rows)(*(self.Params(*p) for p in params))
        out = np.zeros(rows, heirmark.layout.SAMPLED)
        self.call("heirmark_sample_sequences", self.sampler, ctypes.byref(view), (ctypes.c_void_p * rows)(*(s.value for s in sequences)), asked, out.ctypes.data_as(ctypes.c_void_p))
        return out


def command(*arguments, passphrase=None, **options):
    """Runs `heirmark`; returns what it printed."""
    words, fds = [HEIRMARK, *map(str, arguments)], ()
    if passphrase is not None:
        read, write = os.pipe()
        os.write(write, passphrase.encode() + b"\n")
        os.close(write)
        words[2:2], fds = [], (read,)
        words += ["--passphrase-fd", str(read)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, pass_fds=fds, timeout=120, check=False, **options)
    finally:
        for fd in fds:
            os.close(fd)
    assert done.returncode == 0, f"{words}: exit {done.returncode}: {done.stderr}"
    return done.stdout
