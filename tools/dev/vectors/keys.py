#!/usr/bin/env python3
"""Writes specs/vectors/keys.json: every value of specs/keys.md, with Python's hashlib and hmac alone.

Written from the page and shares no code with the SDK. The opening's and commitment's bytes come from json.dumps, whose sorted,
compact, ASCII output is the canonical form for the ASCII strings and integers that these objects hold.

Usage: keys.py [--check] [FILE]
"""
import hashlib
import hmac
import json
import pathlib
import sys

DEFAULT = pathlib.Path(__file__).resolve().parents[3] / "specs" / "vectors" / "keys.json"
ROOT = bytes(range(32))
SCHEMES = {"standard-2026-11": "gumbel", "window-only-2026-11": "gumbel", "greenlist-2026-11": "greenlist", "tournament-2026-11": "tournament"}


def expand(key, info):
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def u32be(i):
    return i.to_bytes(4, "big")


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n"


def epoch_secret(root, family, epoch):
    return expand(expand(root, b"heirmark/v1/family/" + family.encode()), b"heirmark/v1/epoch/" + epoch.encode())


def key_id(f):
    return expand(f, b"heirmark/v1/keyid")[:8].hex()


def member(f, i, accounts):
    m = expand(f, b"heirmark/v1/member/" + u32be(i))
    return {"index": i, "secret": m.hex(), "window": [expand(m, b"heirmark/v1/window/" + bytes([c])).hex() for c in range(16)],
            "issuance": {a: expand(m, b"heirmark/v1/issuance/" + a.encode()).hex() for a in accounts}}


def derivations():
    longest = "z" + "9" * 63
    for root, family, epoch, members, accounts in (
            (ROOT, "acme-70b", "2026-11", (0, 1, 255, 256, 65535, 65536, (1 << 20) - 1, (1 << 24) - 1), ("default", "a", longest)),
            (ROOT, "acme-70b", "2026-12", (0, 3), ("default",)),
            (ROOT, "0", "0001-01", (7,), ("0._-",)),
            (ROOT, longest, "9999-12", (7,), ("default",)),
            (bytes(32), "acme-70b", "2026-11", (0,), ("default",)),
            (b"\xff" * 32, "acme-70b", "2026-11", (0,), ("default",))):
        f = epoch_secret(root, family, epoch)
        yield {"root": root.hex(), "family": family, "epoch": epoch, "familyKey": expand(root, b"heirmark/v1/family/" + family.encode()).hex(),
               "familySecret": f.hex(), "coin": expand(f, b"heirmark/v1/coin").hex(), "keyId": key_id(f),
               "members": [member(f, i, accounts) for i in members]}


def opening(**changes):
    f = epoch_secret(ROOT, "acme-70b", "2026-11")
    value = {"type": "heirmark/opening/v1", "path": "acme-70b/2026-11", "keyId": key_id(f), "familySecret": f.hex(), "familySize": 1 << 20,
             "liveIndex": 123456, "profile": "standard-2026-11", "nonce": hashlib.sha256(b"nonce").hexdigest()}
    value.update(changes)
    return {k: v for k, v in value.items() if v is not None}


def commitment(of, **changes):
    value = {"type": "heirmark/commitment/v1", "path": of["path"], "keyId": of["keyId"], "familySize": of["familySize"], "profile": of["profile"],
             "scheme": SCHEMES[of["profile"]], "prf": "xchacha20-bins2048-v1", "notBefore": "2026-11-01", "notAfter": "2026-11-30",
             "purpose": "training provenance", "digest": hashlib.sha256(canonical(of).encode()).hexdigest()}
    value.update(changes)
    return {k: v for k, v in value.items() if v is not None}


def valid_pairs():
    for changes in ({}, {"familySize": 2, "liveIndex": 1}, {"familySize": 1 << 24, "liveIndex": (1 << 24) - 1}, {"liveIndex": 0},
                    {"profile": "greenlist-2026-11"}, {"profile": "tournament-2026-11"}, {"profile": "window-only-2026-11"}):
        o = opening(**changes)
        yield {"opening": canonical(o), "digest": hashlib.sha256(canonical(o).encode()).hexdigest(), "commitment": canonical(commitment(o))}
    o = opening()
    for changes in ({"purpose": " ~" * 2048}, {"notBefore": "0001-01-01", "notAfter": "9999-12-31"}):
        yield {"opening": canonical(o), "digest": hashlib.sha256(canonical(o).encode()).hexdigest(), "commitment": canonical(commitment(o, **changes))}


def invalid_openings():
    good = opening()
    text = canonical(good)
    table = (
        ("another key id", {"keyId": "0" * 16}), ("key id in upper case", {"keyId": good["keyId"].upper()}), ("key id too short", {"keyId": good["keyId"][:15]}),
        ("key id of another secret", {"familySecret": "00" * 32}), ("secret too short", {"familySecret": good["familySecret"][:62]}),
        ("secret in upper case", {"familySecret": good["familySecret"].upper()}), ("secret is no hex", {"familySecret": "g" * 64}),
        ("live index is the family size", {"liveIndex": 1 << 20}), ("live index is negative", {"liveIndex": -1}), ("live index is a string", {"liveIndex": "5"}),
        ("family size 1", {"familySize": 1, "liveIndex": 0}), ("family size 0", {"familySize": 0, "liveIndex": 0}),
        ("family size is no power of two", {"familySize": 1000000}), ("family size over 2^24", {"familySize": 1 << 25}),
        ("family size is a string", {"familySize": "1048576"}), ("family size is negative", {"familySize": -(1 << 20)}),
        ("another type", {"type": "heirmark/opening/v2"}), ("a commitment's type", {"type": "heirmark/commitment/v1"}),
        ("unknown profile", {"profile": "standard-2025-11"}), ("profile with a space", {"profile": "standard-2026-11 "}),
        ("path without an epoch", {"path": "acme-70b"}), ("path with a thirteenth month", {"path": "acme-70b/2026-13"}),
        ("path with month zero", {"path": "acme-70b/2026-00"}), ("path with three parts", {"path": "acme-70b/2026-11/x"}),
        ("path with an empty family", {"path": "/2026-11"}), ("path in upper case", {"path": "Acme-70b/2026-11"}),
        ("path that climbs", {"path": "../2026-11"}), ("family too long", {"path": "a" * 65 + "/2026-11"}), ("path with a line feed", {"path": "acme-70b/2026-11\n"}),
        ("nonce too short", {"nonce": good["nonce"][:62]}), ("nonce too long", {"nonce": good["nonce"] + "00"}), ("nonce is a number", {"nonce": 1}),
        ("another member", {"extra": 1}), ("an empty name", {"": 1}),
    )
    for reason, changes in table:
        yield {"reason": reason, "bytes": canonical({**good, **changes})}
    for name in sorted(good):
        yield {"reason": f"{name} is missing", "bytes": canonical({k: v for k, v in good.items() if k != name})}
        yield {"reason": f"{name} is null", "bytes": canonical({**good, name: None})}
    first = '{"familySecret"'
    for reason, changed in (("no line feed", text[:-1]), ("two line feeds", text + "\n"), ("a space", text.replace(",", ", ", 1)), ("byte order mark", "\ufeff" + text),
                            ("members not sorted", "{" + text[1:-2].split(",", 1)[1] + "," + text[1:-2].split(",", 1)[0] + "}\n"),
                            ("a member twice", '{"familySecret":"' + "00" * 32 + '",' + text[1:]), ("an escape", text.replace(first, '{"\\u0066amilySecret"')),
                            ("a list", "[" + text[:-1] + "]\n"), ("empty", ""), ("a fraction", text.replace("1048576", "1048576.0"))):
        yield {"reason": reason, "bytes": changed}


def invalid_commitments():
    of = opening()
    good = commitment(of)
    table = (
        ("another scheme than the profile's", {"scheme": "greenlist"}), ("unknown prf", {"prf": "xchacha20-bins2048-v2"}), ("another type", {"type": "heirmark/opening/v1"}),
        ("ends before it begins", {"notAfter": "2026-10-31"}), ("a day that is not", {"notBefore": "2026-11-31"}), ("29 February of a common year", {"notBefore": "2026-02-29"}),
        ("29 February 1900", {"notBefore": "1900-02-29"}), ("a time for a date", {"notAfter": "2026-11-30T00:00:00Z"}), ("an empty date", {"notBefore": ""}),
        ("purpose is not ASCII", {"purpose": "tr\u00e4ining"}), ("purpose has a line feed", {"purpose": "a\nb"}), ("digest too short", {"digest": good["digest"][:63]}),
        ("digest in upper case", {"digest": good["digest"].upper()}), ("family size is no power of two", {"familySize": 3}), ("unknown profile", {"profile": "x"}),
        ("path is no path", {"path": "acme"}), ("another member", {"liveIndex": 5}),
    )
    for reason, changes in table:
        text = json.dumps({**good, **changes}, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
        yield {"reason": reason, "bytes": text}
    for name in sorted(good):
        yield {"reason": f"{name} is missing", "bytes": canonical({k: v for k, v in good.items() if k != name})}
    for reason, changes in (("an empty purpose", {"purpose": ""}), ("purpose of 4,097 characters", {"purpose": "x" * 4097}), ("a day of the year 0000", {"notBefore": "0000-01-01"})):
        yield {"reason": reason, "bytes": canonical({**good, **changes})}


SECTIONS = {"derivation": derivations, "valid": valid_pairs, "invalidOpening": invalid_openings, "invalidCommitment": invalid_commitments}


def main(arguments):
    check = "--check" in arguments
    paths = [a for a in arguments if a != "--check"]
    path = pathlib.Path(paths[0]) if paths else DEFAULT
    lines = ["{", '"about": "Written by tools/dev/vectors/keys.py (hashlib and hmac)."']
    for name, cases in SECTIONS.items():
        rows = [{"id": f"{name}-{j + 1}", **case} for j, case in enumerate(cases())]
        lines[-1] += ","
        lines.append(f'"{name}": [')
        lines += ["  " + json.dumps(row) + ("," if j + 1 < len(rows) else "") for j, row in enumerate(rows)]
        lines.append("]")
        print(f"{name}: {len(rows)} cases", file=sys.stderr)
    result = "\n".join(lines) + "\n}\n"
    json.loads(result)
    if check:
        if path.read_text() != result:
            sys.exit(f"{path}: differs from what {pathlib.Path(__file__).name} gives")
        return
    path.write_text(result)


if __name__ == "__main__":
    main(sys.argv[1:])
