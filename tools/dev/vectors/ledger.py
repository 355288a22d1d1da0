#!/usr/bin/env python3
"""Writes specs/vectors/ledger.json: a small issuance ledger of specs/ledger.md, with hashlib, hmac, json and libsodium (ctypes) alone.

Written from the page and shares no code with the SDK. The nonces and the ephemeral keys of the sealed boxes come from a seed, so the file is always the same.

Usage: ledger.py [--check] [FILE]
"""
import base64
import ctypes
import ctypes.util
import hashlib
import hmac
import json
import pathlib
import sys

DEFAULT = pathlib.Path(__file__).resolve().parents[3] / "specs" / "vectors" / "ledger.json"
sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
LEDGER = "0011223344556677"
ORIGIN = f"heirmark.dev/ledger/{LEDGER}"


def drawn(name, size=32):
    """Bytes that stand for random ones."""
    return hashlib.shake_128(b"ledger vectors/" + name.encode()).digest(size)


def expand(key, info):
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def number(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def line_of(record):
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n"


# ---- Keys

def box_public(secret):
    out = ctypes.create_string_buffer(32)
    assert sodium.crypto_scalarmult_base(out, secret) == 0
    return out.raw


def sealed_box(public, plaintext, ephemeral):
    """crypto_box_seal with a known ephemeral key: epk || box(m, BLAKE2b-192(epk || pk), pk, esk)."""
    epk = box_public(ephemeral)
    nonce = hashlib.blake2b(epk + public, digest_size=24).digest()
    out = ctypes.create_string_buffer(len(plaintext) + 16)
    assert sodium.crypto_box_easy(out, plaintext, ctypes.c_ulonglong(len(plaintext)), nonce, public, ephemeral) == 0
    return epk + out.raw


def aead(key, nonce, associated, plaintext):
    out = ctypes.create_string_buffer(len(plaintext) + 16)
    assert sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(out, None, plaintext, ctypes.c_ulonglong(len(plaintext)), associated, ctypes.c_ulonglong(len(associated)), None, nonce, key) == 0
    return out.raw


def signing_key(seed):
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    assert sodium.crypto_sign_seed_keypair(public, secret, seed) == 0
    return public.raw, secret.raw


def sign(secret, message):
    out = ctypes.create_string_buffer(64)
    assert sodium.crypto_sign_detached(out, None, message, ctypes.c_ulonglong(len(message)), secret) == 0
    return out.raw


# ---- The tree, as RFC 9162 defines it

def root_of(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0].encode()).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + root_of(leaves[:k]) + root_of(leaves[k:])).digest()


def peaks_of(leaves):
    """The roots of the full subtrees, largest first."""
    out, at = b"", 0
    for bit in reversed(range(len(leaves).bit_length())):
        if len(leaves) >> bit & 1:
            out += root_of(leaves[at:at + (1 << bit)])
            at += 1 << bit
    return out


# ---- The ledger

def responses():
    """(account, prompt, positions, session, time, keyId, configDigest); a position is [token, status, [[token, p], ..]]."""
    halves = [[7, 2**31], [9, 2**30], [2**20 - 1, 5]]
    yield "acme", [300, 5], [[7, 0, halves], [200000, 2, []], [9, 1, [[3, 2**32 - 1]]]], 1, "2026-11-25T12:00:00Z", "0123456789abcdef", ""
    yield "a" * 64, [], [[0, 1, [[i, 1000 - i] for i in range(16)]]], 1, "2026-11-25T12:00:01Z", "0123456789abcdef", hashlib.sha256(b"config").hexdigest()
    yield "birch", list(range(130)), [[127, 2, [[127, 128], [128, 128], [16384, 127]]], [128, 4, [[1, 1]]]], 2, "2026-11-25T14:00:00Z", "", ""


def vectors():
    seal_secret, log_seed = drawn("seal"), drawn("log")
    seal_public = box_public(seal_secret)
    log_public, log_secret = signing_key(log_seed)
    header = {"type": "heirmark/issuance-ledger/v1", "ledgerId": LEDGER, "created": "2026-11-25T11:59:59Z", "sealKey": seal_public.hex(), "logKey": log_public.hex()}
    sessions = {n: drawn(f"session {n}") for n in (1, 2)}
    leaves, records = [], []

    def add(record, **more):
        leaves.append(line_of(record))
        records.append({"line": leaves[-1], "root": root_of(leaves).hex(), "peaks": peaks_of(leaves).hex(), **more})

    for index, (account, prompt, positions, session, time, key_id, config) in enumerate(responses()):
        if index == 2:
            add({"type": "lost", "seq": len(leaves), "time": time, "responses": 3})
        seq, salt, request = len(leaves), drawn(f"salt {index}"), drawn(f"request {index}", 12)
        packed = b""
        for token, status, likeliest in positions:
            packed += number(token) + bytes([status]) + number(len(likeliest))
            before = 0
            for at, (candidate, p) in enumerate(likeliest):
                packed += number(candidate) + number(p if at == 0 else before - p)
                before = p
        tokens = [position[0] for position in positions]
        parts = {"account": account.encode(), "request": request, "prompt": b"".join(t.to_bytes(4, "big") for t in prompt), "tokens": b"".join(t.to_bytes(4, "big") for t in tokens),
                 "positions": packed}
        plaintext = (b"\x01" + salt + request + number(len(account)) + account.encode() + number(len(prompt)) + b"".join(map(number, prompt)) + number(len(tokens)) + packed)
        nonce = drawn(f"nonce {index}", 24)
        sealed = session.to_bytes(8, "big") + nonce + aead(sessions[session], nonce, f"heirmark/v1/ledger/{LEDGER}/{seq}".encode(), plaintext)
        record = {"type": "response", "seq": seq, "time": time, "keyId": key_id, "model": "vectors", "configDigest": config, "tokens": len(tokens),
                  "markedTokens": sum(status in (0, 1) for _, status, _ in positions), "sealedDigest": hashlib.sha256(sealed).hexdigest()}
        for name, data in parts.items():
            record[f"{name}Digest"] = hmac.new(expand(salt, f"heirmark/v1/ledger/{name}".encode()), data, hashlib.sha256).hexdigest()
        add(record, sealed=sealed.hex(), response={"account": account, "requestId": request.hex(), "prompt": prompt, "positions": positions, "salt": salt.hex(), "plaintext": plaintext.hex()})
        if index == 1:
            first = len(leaves)
    # The first response goes, and a purge says so.
    records[0]["purged"] = len(leaves)
    add({"type": "purge", "seq": len(leaves), "time": "2026-11-25T15:30:00Z", "before": "2026-11-25T12:00:01Z", "responses": 1, "seqsDigest": hashlib.sha256((0).to_bytes(8, "big")).hexdigest()})

    def checkpoint(size, time):
        body = f"{ORIGIN}\n{size}\n{base64.b64encode(root_of(leaves[:size])).decode()}\ntime {time}\n"
        key_hash = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + log_public).digest()[:4]
        return {"size": size, "note": f"{body}\n\u2014 {ORIGIN} {base64.b64encode(key_hash + sign(log_secret, body.encode())).decode()}\n"}

    return {
        "about": "Written by tools/dev/vectors/ledger.py (hashlib, hmac, json, libsodium). A ledger as its database holds it: fill the four tables and it must verify.",
        "header": header,
        "sealSecret": seal_secret.hex(),
        "sessions": [{"id": n, "key": key.hex(), "sealed": sealed_box(seal_public, key, drawn(f"ephemeral {n}")).hex()} for n, key in sessions.items()],
        "records": records,
        "checkpoints": [checkpoint(first, "2026-11-25T13:00:00Z"), checkpoint(len(leaves), "2026-11-25T16:00:00Z")],
    }


def main(arguments):
    assert sodium.sodium_init() >= 0
    paths = [a for a in arguments if a != "--check"]
    path = pathlib.Path(paths[0]) if paths else DEFAULT
    result = json.dumps(vectors(), indent=1) + "\n"
    if "--check" in arguments:
        if path.read_text() != result:
            sys.exit(f"{path}: differs from what {pathlib.Path(__file__).name} gives")
        return
    path.write_text(result)


if __name__ == "__main__":
    main(sys.argv[1:])
