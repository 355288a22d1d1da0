#!/usr/bin/env python3
"""Writes specs/vectors/prf.json: streams, contexts, classes, coins and scores of specs/prf.md.

Written from the page, with libsodium (through ctypes) as the only source of key stream and Python's decimal for logarithms. Shares no code
with the SDK.

Usage: prf.py [--check] [FILE]
"""
import ctypes
import ctypes.util
import decimal
import json
import pathlib
import random
import sys

VECTORS = pathlib.Path(__file__).resolve().parents[3] / "specs" / "vectors"
DOMAINS = ["hm-bins1", "hm-bins2", "hm-inner", "hm-coin1", "hm-class", "hm-rest1"]
BINS = 2048
PAD = 0xFFFFFFFF
_sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")


def stream(subkey, context, domain, length):
    """The first bytes of stream(subkey, context, domain)."""
    assert len(subkey) == 32 and len(context) == 16 and len(domain) == 8
    out = ctypes.create_string_buffer(length)
    _sodium.crypto_stream_xchacha20(out, ctypes.c_ulonglong(length), context + domain.encode(), bytes(subkey))
    return out.raw


def u32(data, i):
    return int.from_bytes(data[i:i + 4], "little")


def u64(data, i):
    return int.from_bytes(data[i:i + 8], "little")


def window_context(tokens, h):
    last = list(tokens)[-h:]
    return b"".join(t.to_bytes(4, "little") for t in [PAD] * (4 - len(last)) + last)


def issuance_context(request_id, position):
    return request_id + position.to_bytes(4, "little")


def window_class(context):
    return stream(bytes(32), context, "hm-class", 1)[0] % 16


def coin(subkey, context):
    return u32(stream(subkey, context, "hm-coin1", 4), 0)


def score(c):
    """floor(2^24 * -ln((c + 1) / 2^32)) at 60 digits; the decimal logarithm is correctly rounded."""
    with decimal.localcontext() as ctx:
        ctx.prec = 60
        value = -(decimal.Decimal(c + 1) / decimal.Decimal(2 ** 32)).ln() * 2 ** 24
        whole = value.to_integral_value(rounding=decimal.ROUND_FLOOR)
        assert c == 2 ** 32 - 1 or min(value - whole, whole + 1 - value) > decimal.Decimal(10) ** -40
        return int(whole)


def stream_vectors(rng):
    cases = [(bytes(range(32)), window_context([5, 9], 2), domain) for domain in DOMAINS]
    cases += [(rng.randbytes(32), rng.randbytes(16), rng.choice(DOMAINS)) for _ in range(12)]
    for i, (subkey, context, domain) in enumerate(cases, 1):
        data = stream(subkey, context, domain, 4 * BINS)
        words = [0, 1, 2, 3, 15, 16, 17, 1024, 2046, 2047]
        yield {"id": f"stream-{i}", "subkey": subkey.hex(), "context": context.hex(), "domain": domain, "first": data[:64].hex(),
               "u32": [[k, u32(data, 4 * k)] for k in words], "u64": [[k, u64(data, 8 * k)] for k in (0, 1, 7, 8, 511, 1023)]}


def window_vectors(rng):
    lists = [[], [7], [5, 9], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5], [PAD - 1, 0], [128255, 50256, 3]] + [[rng.randrange(262144) for _ in range(6)] for _ in range(8)]
    key = bytes(range(100, 132))
    number = 0
    for tokens in lists:
        for h in (1, 2, 3, 4):
            number += 1
            context = window_context(tokens, h)
            yield {"id": f"window-{number}", "tokens": tokens, "h": h, "context": context.hex(), "class": window_class(context), "coinSubkey": key.hex(),
                   "coin": coin(key, context)}


def issuance_vectors(rng):
    for i, (request, position) in enumerate([(bytes(12), 0), (bytes(range(1, 13)), 0x01020304), (rng.randbytes(12), 17), (b"\xff" * 12, 2 ** 32 - 2)], 1):
        yield {"id": f"issuance-{i}", "requestId": request.hex(), "position": position, "context": issuance_context(request, position).hex()}


def score_vectors(rng):
    words = [0, 1, 2, 3, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1, 3037000498, 3037000499, 3037000500]
    words += [rng.getrandbits(rng.randrange(1, 33)) for _ in range(60)]
    return [[c, score(c)] for c in words]


def vectors():
    rng = random.Random(20261101)
    return {"about": "Written by tools/dev/vectors/prf.py (libsodium's crypto_stream_xchacha20 and Python's decimal). u32 entries are [index, word at byte 4 * index], u64 "
                     "entries [index, word at byte 8 * index], scores [coarse word, score].",
            "streams": list(stream_vectors(rng)), "windows": list(window_vectors(rng)), "issuance": list(issuance_vectors(rng)), "scores": score_vectors(rng)}


def write(default, made, format_=lambda made: json.dumps(made, indent=1) + "\n"):
    """Writes, or with --check compares, the file of the command line or the default one."""
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    path = pathlib.Path(arguments[0]) if arguments else default
    text = format_(made)
    if "--check" in sys.argv:
        if path.read_text() != text:
            sys.exit(f"{path} differs from what {sys.argv[0]} makes")
        return
    path.write_text(text)


if __name__ == "__main__":
    write(VECTORS / "prf.json", vectors())
