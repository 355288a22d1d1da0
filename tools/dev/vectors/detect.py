#!/usr/bin/env python3
"""Writes specs/vectors/detect.json: token files, openings and ledgers with the integers, p and e that specs/scoring.md and
specs/statistics.md give for them.

Written from the pages alone: maps for tables, libsodium (through ctypes) for the key stream, hmac for the subkeys, mpmath at 60 digits for
logarithms, tails and bets. Shares no code with the SDK.

Usage: detect.py [--check] [FILE]     (needs mpmath)
"""
import ctypes
import ctypes.util
import hashlib
import hmac
import json
import pathlib
import random
import sys

import mpmath
from mpmath import mp, mpf

mp.dps = 60
DEFAULT = pathlib.Path(__file__).resolve().parents[3] / "specs" / "vectors" / "detect.json"
PROFILES = {"standard-2026-11": ("gumbel", 2, 2 ** 31), "window-only-2026-11": ("gumbel", 2, 2 ** 32), "issuance-only-2026-11": ("gumbel", 2, 0),
            "greenlist-2026-11": ("greenlist", 2, 2 ** 32), "tournament-2026-11": ("tournament", 4, 2 ** 32)}
GAMMA, LAYERS, PAD = 2 ** 30, 30, 0xFFFFFFFF
_sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")


# ---- prf.md and keys.md

def stream(subkey, context, domain, start, length):
    """Bytes start .. start + length of stream(subkey, context, domain)."""
    out = ctypes.create_string_buffer(start + length)
    _sodium.crypto_stream_xchacha20(out, ctypes.c_ulonglong(start + length), context + domain.encode(), subkey)
    return out.raw[start:]


def word(subkey, context, domain, index, size=4):
    return int.from_bytes(stream(subkey, context, domain, size * index, size), "little")


def expand(key, info):
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def window_of(tokens, t, h):
    last = tokens[max(0, t - h):t]
    return b"".join(x.to_bytes(4, "little") for x in [PAD] * (4 - len(last)) + last)


def class_of(window):
    return stream(bytes(32), window, "hm-class", 0, 1)[0] % 16


class Family:
    def __init__(self, secret, size, live, profile):
        self.secret, self.size, self.live, self.profile = secret, size, live, profile
        self.scheme, self.h, self.share = PROFILES[profile]
        self.coin = expand(secret, b"heirmark/v1/coin")
        self.known = {}

    def opening(self):
        return json.dumps({"type": "heirmark/opening/v1", "path": "acme-70b/2026-11", "keyId": expand(self.secret, b"heirmark/v1/keyid")[:8].hex(),
                           "familySecret": self.secret.hex(), "familySize": self.size, "liveIndex": self.live, "profile": self.profile,
                           "nonce": hashlib.sha256(self.secret).hexdigest()}, sort_keys=True, separators=(",", ":")) + "\n"

    def member(self, i):
        return expand(self.secret, b"heirmark/v1/member/" + i.to_bytes(4, "big"))

    def window_key(self, i, c):
        if (i, c) not in self.known:
            self.known[i, c] = expand(self.member(i), b"heirmark/v1/window/" + bytes([c]))
        return self.known[i, c]

    def issuance_key(self, i, account):
        return expand(self.member(i), b"heirmark/v1/issuance/" + account.encode())

    def is_window(self, window):
        return word(self.coin, window, "hm-coin1", 0) < self.share

    def coarse(self, i, window, b):
        return word(self.window_key(i, class_of(window)), window, "hm-bins1", b)


def floor(x):
    whole = int(mpmath.floor(x))
    assert x == whole or mpf(10) ** -30 < x - whole < 1 - mpf(10) ** -30
    return whole


def score(c):
    return floor(2 ** 24 * -mpmath.log(mpf(c + 1) / 2 ** 32))


def score_up(c):
    return 2 ** 30 if c == 0 else int(mpmath.ceil(2 ** 24 * -mpmath.log(mpf(c) / 2 ** 32)))


# ---- scoring.md

def collect(family, texts, rule):
    tainted = {window_of(x["tokens"], t, family.h) for x in texts for t in range(x.get("prompt_tokens", 0))}
    counts, seen = {}, {"positions": 0, "tainted": 0, "off_coin": 0, "repeats": 0}
    for x in texts:
        for t in range(x.get("prompt_tokens", 0), len(x["tokens"])):
            seen["positions"] += 1
            w = window_of(x["tokens"], t, family.h)
            if w in tainted:
                seen["tainted"] += 1
            elif not family.is_window(w):
                seen["off_coin"] += 1
            else:
                pair = (w, x["tokens"][t] % 2048)
                seen["repeats"] += pair in counts
                counts[pair] = counts.get(pair, 0) + 1
    if rule == "distinct":
        return {pair: 1 for pair in counts}, seen
    weigh = {"sqrt2": lambda n: floor(2 ** 8 * mpmath.sqrt(n)), "log2": lambda n: floor(2 ** 8 * mpmath.log(1 + n))}[rule]
    return {pair: weigh(n) for pair, n in counts.items() if n >= 2}, seen


def collect_reading(family, texts):
    tainted = {window_of(x["tokens"], t, family.h) for x in texts for t in range(x.get("prompt_tokens", 0))}
    sums, meetings, seen = {}, {}, {"positions": 0, "tainted": 0, "off_coin": 0, "repeats": 0}
    for x in texts:
        first = x.get("prompt_tokens", 0)
        met = set()
        for t in range(first, len(x["tokens"])):
            seen["positions"] += 1
            w = window_of(x["tokens"], t, family.h)
            if w in tainted:
                seen["tainted"] += 1
            elif not family.is_window(w):
                seen["off_coin"] += 1
            elif w in met:
                seen["repeats"] += 1
            else:
                met.add(w)
                meetings[w] = meetings.get(w, 0) + 1
                for name, sign in (("top", 1), ("base", -1)):
                    for v, q in x[name][t - first] if name in x else []:
                        sums[w, v % 2048] = sums.get((w, v % 2048), 0) + sign * q
    weights = {}
    for (w, b), s in sums.items():
        a = abs(s) // (2 ** 16 * meetings[w]) * (1 if s > 0 else -1)
        if a:
            weights[w, b] = a
    return weights, seen


def integer(family, i, w, b, a):
    c = family.coarse(i, w, b)
    if family.scheme == "gumbel":
        return score(c) if a > 0 else score_up(c)
    if family.scheme == "greenlist":
        return int(c < GAMMA)
    return bin(c >> (32 - LAYERS)).count("1")


def statistic(family, i, weights):
    by_class = [0] * 16
    for (w, b), a in weights.items():
        by_class[class_of(w)] += a * integer(family, i, w, b, a)
    return by_class


# ---- statistics.md

def binomial_tail(n, q, k):
    return mpmath.fsum(mpmath.binomial(n, j) * q ** j * (1 - q) ** (n - j) for j in range(k, n + 1))


def cumulants(scheme):
    """K(l) and K'(l) of one term of weight a."""
    if scheme == "gumbel":
        return lambda l, a: -mpmath.log(1 - l * a), lambda l, a: a / (1 - l * a)
    if scheme == "greenlist":
        g = mpf(GAMMA) / 2 ** 32
        return lambda l, a: mpmath.log(1 - g + g * mpmath.exp(l * a)), lambda l, a: g * a * mpmath.exp(l * a) / (1 - g + g * mpmath.exp(l * a))
    return lambda l, a: LAYERS * mpmath.log((1 + mpmath.exp(l * a)) / 2), lambda l, a: LAYERS * a / (1 + mpmath.exp(-l * a))


def chernoff(scheme, groups, x):
    """min over l >= 0 of K(l) - l x, by bisection on K'."""
    one, slope = cumulants(scheme)
    total = lambda f, l: mpmath.fsum(n * f(l, a) for a, n in groups)
    if total(slope, mpf(0)) >= x:
        return mpf(0)
    high = 1 / max(a for a, _ in groups) if scheme == "gumbel" and any(a > 0 for a, _ in groups) else mpf(1)
    if scheme != "gumbel":
        while total(slope, high) < x:
            high *= 2
            assert high < 2 ** 20
    low = mpf(0)
    for _ in range(180):
        middle = (low + high) / 2
        low, high = (middle, high) if total(slope, middle) < x else (low, middle)
    return total(one, low) - low * x


def log_mean(logs):
    top = max(logs)
    return top + mpmath.log(mpmath.fsum(mpmath.exp(v - top) for v in logs) / len(logs))


EFFECTS = [mpmath.exp(mpmath.log(mpf("1e-4")) + (mpmath.log(mpf("0.6")) - mpmath.log(mpf("1e-4"))) * k / 39) for k in range(40)]


def evidence(scheme, weights, x, unit, weighted):
    """ln p and ln e of the statistic x over weights, an iterable of integers in units of `unit`."""
    weights = list(weights)
    n = len(weights)
    if n == 0:
        return mpf(0), mpf(0)
    if weighted:
        groups = sorted({a: (a * unit, weights.count(a)) for a in set(weights)}.values())
        value = x * unit / (2 ** 24 if scheme == "gumbel" else 1)
        one = cumulants(scheme)[0]
        factor = {"gumbel": 1, "greenlist": 4, "tournament": 2}[scheme] / max(abs(a) for a, _ in groups)
        return chernoff(scheme, groups, value), log_mean([d * factor * value - mpmath.fsum(c * one(d * factor, a) for a, c in groups) for d in EFFECTS])
    if scheme == "gumbel":
        t = mpf(x) / 2 ** 24
        return mpmath.log(mpmath.gammainc(n, t, regularized=True)), log_mean([n * mpmath.log(1 - d) + d * t for d in EFFECTS])
    if scheme == "greenlist":
        g = mpf(GAMMA) / 2 ** 32
        bet = lambda h: x * mpmath.log(h / g) + (n - x) * mpmath.log((1 - h) / (1 - g))
        return mpmath.log(binomial_tail(n, g, x)), log_mean([bet(g + d * (1 - g)) for d in EFFECTS])
    bits = n * LAYERS
    return mpmath.log(binomial_tail(bits, mpf(1) / 2, x)), log_mean([x * mpmath.log(1 + d) + (bits - x) * mpmath.log(1 - d) for d in EFFECTS])


def rank(classes, decoys):
    top, bottom = mpf(0), 0
    for c in classes:
        p = mpf(1 + c["ge"]) / (decoys + 1)
        if p == 1:
            return mpf(0)
        top += mpmath.sqrt(c["pairs"]) * mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * p)
        bottom += c["pairs"]
    return mpmath.log(mpmath.erfc(top / mpmath.sqrt(bottom) / mpmath.sqrt(2)) / 2) if bottom else mpf(0)


def text_of(v):
    return mpmath.nstr(v, 20, min_fixed=-6, max_fixed=20)


# ---- cases

def detection(family, weights, unit, weighted, decoys, points):
    pairs = list(weights.items())
    live = statistic(family, family.live, weights)
    x = sum(live)
    log_p, log_e = evidence(family.scheme, weights.values(), x, unit, weighted)
    out = {"n": len(pairs), "statistic": str(x), "log_p_prf": text_of(log_p), "log_e": text_of(log_e),
           "pairs": [{"window": [int.from_bytes(w[4 * k:4 * k + 4], "little") for k in range(4)], "bin": b, "class": class_of(w), "weight": a,
                      "x": integer(family, family.live, w, b, a)} for (w, b), a in pairs]}
    out["growth"] = []
    for i in range(1, min(points, len(pairs)) + 1):
        part = pairs[:len(pairs) * i // min(points, len(pairs))]
        p, e = evidence(family.scheme, [a for _, a in part], sum(statistic(family, family.live, dict(part))), unit, weighted)
        out["growth"].append({"n": len(part), "log_p": text_of(p), "log_e": text_of(e)})
    out["decoys"] = decoys
    if decoys:
        others = [statistic(family, (family.live + j) % family.size, weights) for j in range(1, decoys + 1)]
        out["classes"] = [{"class": c, "pairs": n, "ge": sum(o[c] >= live[c] for o in others), "statistic": str(live[c])}
                          for c in range(16) for n in [sum(class_of(w) == c for w, _ in weights)] if n]
        log_rank = rank(out["classes"], decoys)
        totals = [sum(o) for o in others]
        low = min(totals + [x])
        width = (max(totals + [x]) - low) // 64 + 1
        out["histogram"] = {"low": str(low), "width": str(width), "counts": [sum(low + k * width <= v < low + (k + 1) * width for v in totals) for k in range(64)]}
        out["log_p_rank"] = text_of(log_rank)
        log_p = max(log_p, log_rank)
    out["log_p"] = text_of(log_p)
    return out


def marked_text(family, rng, prompt, length, vocab, choices):
    """Each token is the best of a few by the live member's words: what a provider's own text looks like to its key."""
    tokens = list(prompt)
    for t in range(len(prompt), len(prompt) + length):
        w = window_of(tokens, t, family.h)
        options = [rng.randrange(vocab) for _ in range(choices)]
        better = max if family.scheme == "tournament" else min  # the score falls with c, and green means a small c
        tokens.append(better(options, key=lambda v: family.coarse(family.live, w, v % 2048)))
    return tokens


def text_case(name, family, texts, rule, decoys, points):
    weights, seen = collect(family, texts, rule)
    return {"id": name, "opening": family.opening(), "lines": [json.dumps(x) for x in texts], "count_rule": rule, **seen,
            **detection(family, weights, mpf(1) if rule == "distinct" else mpf(1) / 2 ** 8, rule != "distinct", decoys, points)}


def text_cases(rng):
    for profile in PROFILES:
        family = Family(rng.randbytes(32), 32, 29, profile)
        hand = [{"tokens": [5, 9, 2050, 9, 5, 9, 2]}, {"tokens": [5, 9, 2, 5, 9], "prompt_tokens": 2}, {"tokens": [7, 7, 7, 7, 7, 7]}, {"tokens": [], "prompt_tokens": 0},
                {"tokens": [8, 8, 8, 5], "prompt_tokens": 4}]
        yield text_case(f"hand-{profile}", family, hand, "distinct", 3, 4)
    for scheme in ("standard-2026-11", "greenlist-2026-11", "tournament-2026-11"):
        for rule, vocab in (("distinct", 300), ("sqrt2", 5), ("log2", 5)):
            family = Family(rng.randbytes(32), 64, rng.randrange(64), scheme)
            vocab = 3 if scheme.startswith("tournament") and rule != "distinct" else vocab
            texts = [{"tokens": marked_text(family, rng, [rng.randrange(vocab) for _ in range(k % 3)], 26, vocab, 2), "prompt_tokens": k % 3} for k in range(5)]
            yield text_case(f"{rule}-{scheme}", family, texts, rule, 20, 5)


def reading_cases(rng):
    for profile in ("standard-2026-11", "greenlist-2026-11", "tournament-2026-11"):
        family = Family(rng.randbytes(32), 32, 3, profile)
        texts = []
        for k in range(4):
            tokens = [rng.randrange(4) for _ in range(10)]
            lists = {name: [] for name in (("top", "base") if k % 2 else ("top",))}
            for name in lists:
                for _ in range(len(tokens) - k):
                    options = rng.sample([0, 1, 2, 3, 2048, 2051, 4000], rng.randrange(5))
                    lists[name].append([[v, rng.choice([1, 70000, rng.randrange(2 ** 30), rng.randrange(2 ** 29)])] for v in options])
            texts.append({"tokens": tokens, "prompt_tokens": k, **lists})
        texts.append({"tokens": [1], "prompt_tokens": 0, "top": [[[9, 2 ** 32 - 1]]]})
        weights, seen = collect_reading(family, texts)
        yield {"id": f"reading-{profile}", "opening": family.opening(), "lines": [json.dumps(x) for x in texts], **seen,
               **detection(family, weights, mpf(1) / 2 ** 16, True, 5, 3)}


def exponential(word64):
    return -mpmath.log(1 - (mpf(word64) + mpf(1) / 2) / 2 ** 64)


def race(row_key, context, phat):
    """The outcome, and the relative gap to the runner-up of the two races."""
    masses = {}
    for v, p in phat:
        masses[v % 2048] = masses.get(v % 2048, 0) + p
    rest = 2 ** 32 - sum(masses.values())
    times = [(exponential(word(row_key, context, "hm-bins1", b) * 2 ** 32 + word(row_key, context, "hm-bins2", b)) / m, b) for b, m in sorted(masses.items())]
    if rest:
        times.append((exponential(word(row_key, context, "hm-rest1", 0, 8)) / rest, 2 ** 20))
    times.sort()
    gap = times[1][0] / times[0][0] - 1 if len(times) > 1 else 1
    if times[0][1] == 2 ** 20:
        return -1, gap
    inner = sorted((exponential(word(row_key, context, "hm-inner", v // 2048, 8)) / p, k) for k, (v, p) in enumerate(phat) if v % 2048 == times[0][1])
    return inner[0][1], min(gap, inner[1][0] / inner[0][0] - 1 if len(inner) > 1 else 1)


def issued(family, i, ledger):
    met = set()
    for d, response in enumerate(ledger):
        history, tokens = set(), response["prompt"] + response["tokens"]
        for t, phat in enumerate(response["phat"]):
            w = window_of(tokens, len(response["prompt"]) + t, family.h)
            if family.is_window(w) and w not in history:
                history.add(w)
                if w in met:
                    continue
                met.add(w)
                choice, gap = race(family.window_key(i, class_of(w)), w, phat)
                kind = 1
            else:
                context = bytes.fromhex(response["request_id"]) + t.to_bytes(4, "little")
                choice, gap = race(family.issuance_key(i, response["account"]), context, phat)
                kind = 0
            assert gap > 1e-12
            yield [d, t, kind, choice]


def distribution(rng):
    left, out = 2 ** 32, {}
    for _ in range(rng.randrange(1, 9)):
        p = min(rng.randrange(1, left // 2 + 1), 2 ** 32 - 1)
        out[rng.choice([rng.randrange(6), 2048 + rng.randrange(6), 4096 * rng.randrange(6), rng.randrange(2 ** 20)])] = p
        left = 2 ** 32 - sum(out.values())
    if rng.randrange(5) == 0:
        out = {v: p for v, p in list(out.items())[:-1]} or {1: 2 ** 32 - 1}
    return sorted(out.items(), key=lambda e: (-e[1], e[0]))


def issued_cases(rng):
    for profile in ("standard-2026-11", "window-only-2026-11", "issuance-only-2026-11"):
        family = Family(rng.randbytes(32), 16, 9, profile)
        ledger = []
        for d in range(6):
            tokens = [rng.randrange(5) for _ in range(12)]
            ledger.append({"account": ["default", "a", "team-7.x_y"][d % 3], "prompt": [rng.randrange(5) for _ in range(d % 3)], "request_id": rng.randbytes(12).hex(),
                           "seq": d, "time": "2026-11-02T10:00:00Z", "tokens": tokens, "phat": [distribution(rng) for _ in tokens]})
        for member in (9, 4):
            yield {"id": f"issued-{profile}-{member}", "opening": family.opening(), "member": member,
                   "ledger": [json.dumps(x, sort_keys=True, separators=(",", ":")) for x in ledger], "choices": list(issued(family, member, ledger))}


def vectors():
    rng = random.Random(20261103)
    words = [1, 2, 3, 2 ** 31, 2 ** 32 - 1] + [rng.getrandbits(rng.randrange(1, 33)) for _ in range(20)]
    counts = [2, 3, 4, 5, 15, 16, 17, 99, 1000, 65535, 65536, 10 ** 8]
    return {"about": "Written by tools/dev/vectors/detect.py (libsodium, hmac, mpmath). x is the live member's integer of a pair, score_up entries are [c, score'(c)], weights entries "
                     "[count, sqrt2, log2], choices entries [response, position, 1 for window or 0 for issuance, index into phat or -1 for the rest]. Logarithms are natural.",
            "score_up": [[0, 2 ** 30]] + [[c, score_up(c)] for c in words],
            "weights": [[n, floor(2 ** 8 * mpmath.sqrt(n)), floor(2 ** 8 * mpmath.log(1 + n))] for n in counts],
            "text": list(text_cases(rng)), "reading": list(reading_cases(rng)), "issued": list(issued_cases(rng))}


def pretty(made):
    """One line for each small thing."""
    parts = []
    for name, value in made.items():
        if isinstance(value, list):
            value = "[\n" + ",\n".join("  " + json.dumps(v) for v in value) + "\n ]"
            parts.append(f' "{name}": {value}')
        else:
            parts.append(f' "{name}": {json.dumps(value)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    path = pathlib.Path(arguments[0]) if arguments else DEFAULT
    made = pretty(vectors())
    if "--check" in sys.argv:
        if path.read_text() != made:
            sys.exit(f"{path} differs from what {sys.argv[0]} makes")
    else:
        path.write_text(made)
