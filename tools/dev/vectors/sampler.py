#!/usr/bin/env python3
"""Writes specs/vectors/sampler.json: logits, parameters and mode to bin, token and status, for every scheme (specs/marks.md).

Written from the page: every bin summed, every word asked for. Subkeys are those of specs/keys.md for the root 00 .. 1f, acme-70b/2026-11, member 0,
accounts "default" and "a". Words come from libsodium. Every near tie, where another libm could give another token, is refused.

Usage: sampler.py [--check] [FILE]
"""
import json
import math
import struct

from keys import ROOT, epoch_secret, expand, member
from prf import BINS, VECTORS, coin, issuance_context, stream, u32, u64, window_class, window_context, write

PROFILES = {
    "standard-2026-11": ("gumbel", 2, 2 ** 31),
    "window-only-2026-11": ("gumbel", 2, 2 ** 32),
    "issuance-only-2026-11": ("gumbel", 2, 0),
    "greenlist-2026-11": ("greenlist", 2, 2 ** 32),
    "tournament-2026-11": ("tournament", 4, 2 ** 32),
}
GAMMA, DELTA, LAYERS = 2 ** 30, 2.0, 30
ACCOUNTS = ["default", "a"]
NO_TOKEN = 0xFFFFFFFF
SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def logits_of(spec):
    """See `logits` in the file's own text."""
    row = []
    for v in range(spec["vocab"]):
        row.append(((spec["a"] * v * v + spec["b"] * v) % spec["m"] - spec["c"]) / 2 ** spec["s"])
    modulus, residues = spec["mask"]
    row = [x if v % modulus in residues else -math.inf for v, x in enumerate(row)]
    for v, value in spec["set"]:
        row[v] = SPECIAL[value] if isinstance(value, str) else value
    assert all(math.isnan(x) or f32(x) == x for x in row)
    return row


LOGITS = {
    # near a language model's row: a wide crowd and a few tokens far above
    "peaked-5000": dict(vocab=5000, a=7, b=1103, m=4099, c=4099, s=9, mask=[1, [0]], set=[[3235, 6.5], [17, 5.75], [1187, 5.25], [4999, 5.0], [2065, 4.75], [4113, 4.5]]),
    "broad-5000": dict(vocab=5000, a=13, b=577, m=1021, c=510, s=8, mask=[1, [0]], set=[]),
    "equal-5000": dict(vocab=5000, a=0, b=0, m=1, c=0, s=0, mask=[1, [0]], set=[]),
    "steps-4097": dict(vocab=4097, a=0, b=1, m=7, c=0, s=1, mask=[1, [0]], set=[]),
    "one-bin-4096": dict(vocab=4096, a=0, b=0, m=1, c=800, s=0, mask=[1, [0]], set=[[5, 1.0], [2053, 2.0]]),
    "one-3000": dict(vocab=3000, a=0, b=0, m=1, c=0, s=0, mask=[3000, [2222]], set=[]),
    "masked-2049": dict(vocab=2049, a=3, b=5, m=101, c=50, s=4, mask=[64, [0, 9]], set=[]),
    "nan-2048": dict(vocab=2048, a=11, b=3, m=257, c=128, s=5, mask=[1, [0]], set=[[0, "nan"], [7, "nan"], [2047, "nan"], [100, 6.0]]),
    "huge-100": dict(vocab=100, a=0, b=1, m=101, c=0, s=0, mask=[1, [0]], set=[[0, f32(-3.4028234663852886e38)], [1, f32(3.4028234663852886e38)], [2, f32(3.4028232635611926e38)]]),
    "tiny-7": dict(vocab=7, a=0, b=0, m=1, c=0, s=0, mask=[1, [0]], set=[[1, f32(1e-40)], [2, f32(1e-45)], [3, -0.0]]),
    "single-1": dict(vocab=1, a=0, b=0, m=1, c=3, s=0, mask=[1, [0]], set=[]),
    "none-64": dict(vocab=64, a=0, b=0, m=1, c=0, s=0, mask=[1, []], set=[[v, "nan"] for v in range(1, 64, 2)]),
    "infinite-2100": dict(vocab=2100, a=5, b=9, m=63, c=31, s=3, mask=[1, [0]], set=[[2050, "inf"], [2070, "inf"], [3, "nan"]]),
    "flat-2047": dict(vocab=2047, a=17, b=29, m=509, c=254, s=10, mask=[1, [0]], set=[]),
}


class NearTie(Exception):
    pass


def first_of(entries):
    """The id of the least time; ids ascend, so the first of equals. Refuses near ties."""
    entries = sorted(entries)
    if len(entries) > 1 and entries[1][0] < entries[0][0] * (1 + 1e-9):
        raise NearTie
    return entries[0][1]


def time_of(word):
    u = (2 * word + 1) / 2 ** 65 if word < 2 ** 63 else None
    return -math.log1p(-u) if u is not None else -math.log((2 * (2 ** 64 - 1 - word) + 1) / 2 ** 65)


def kept_tokens(logits, t, min_p, top_k, top_p):
    """e_v of the tokens that take part, by id."""
    x = {v: z / t for v, z in enumerate(logits) if not math.isnan(z) and z != -math.inf}
    top = max(x.values())
    e = {v: math.exp(value - top) for v, value in x.items()}
    order = []
    for v in x:
        if min_p > 0 and x[v] != top and abs(e[v] - min_p) < 1e-12:
            raise NearTie
        if e[v] >= min_p:
            order.append(v)
    order.sort(key=lambda v: (-logits[v], v))
    if top_k:
        order = order[:top_k]
    if top_p < 1:
        mass = {v: math.floor(2 ** 40 * e[v]) for v in order}
        limit = math.floor(2 ** 32 * top_p) * sum(mass.values())
        before, kept = 0, []
        for v in order:
            # With another libm a mass may be off by one, unless it is that of the greatest logit, e_v = 1.
            if kept and abs(2 ** 32 * before - limit) < 2 ** 33 * sum(e[u] != 1 for u in order):
                raise NearTie
            if kept and not 2 ** 32 * before < limit:
                break
            kept.append(v)
            before += mass[v]
        order = kept
    return {v: e[v] for v in sorted(order)}


def bins_words(key, context, domain="hm-bins1"):
    data = stream(key, context, domain, 4 * BINS)
    return [u32(data, 4 * b) for b in range(BINS)]


def halving_sum(values):
    s = list(values)
    half = BINS // 2
    while half:
        for i in range(half):
            s[i] += s[i + half]
        half //= 2
    return s[0]


def race(masses, kept, key, context):
    coarse, fine = bins_words(key, context), bins_words(key, context, "hm-bins2")
    winner = first_of((time_of(coarse[b] << 32 | fine[b]) / s, b) for b, s in enumerate(masses) if s > 0)
    inner = stream(key, context, "hm-inner", 8 * 8)
    return first_of((time_of(u64(inner, 8 * (v // BINS))) / e, v) for v, e in kept.items() if v % BINS == winner and e > 0)


def tournament(masses, words):
    total = halving_sum(masses)
    p = [s / total for s in masses]
    for layer in range(1, LAYERS + 1):
        g = [w >> (32 - layer) & 1 for w in words]
        green = halving_sum(a * b for a, b in zip(p, g))
        p = [a * (1 + b - green) for a, b in zip(p, g)]
    return p


class Response:
    """A request as the provider sees it."""

    def __init__(self, profile, request_id, account, prompt, keys):
        self.scheme, self.h, self.share = PROFILES[profile]
        self.request_id, self.account, self.tokens, self.keys = request_id, account, list(prompt), keys
        self.position, self.history = 0, set()

    def accept(self, token):
        self.tokens.append(token)
        self.position += 1

    def sample(self, logits, t, min_p, top_k, top_p, mode):
        def good(x, low, high):
            return not math.isnan(x) and low <= x <= high
        if not ((t == 0 or good(t, f32(1e-3), 1e3)) and good(min_p, 0, 1) and good(top_p, 0, 1) and top_p > 0 and self.account < len(ACCOUNTS)):
            return NO_TOKEN, "bad-parameter"
        for v, z in enumerate(logits):
            if z == math.inf:
                self.accept(v)
                return v, "infinite-logit"
        if all(math.isnan(z) or z == -math.inf for z in logits):
            return NO_TOKEN, "no-finite-logit"
        w = window_context(self.tokens, self.h)
        greedy = t == 0 or mode == "greedy"
        window = mode in ("marked", "greedy") and coin(self.keys["coin"], w) < self.share and w not in self.history
        window = window and (not greedy or self.scheme == "greenlist")
        window_key = self.keys["window"][window_class(w)]
        words = bins_words(window_key, w)
        green = [word < GAMMA for word in words]
        if greedy:
            value = [-math.inf if math.isnan(z) else z + (DELTA if window and green[v % BINS] else 0) for v, z in enumerate(logits)]
            token = value.index(max(value))
        else:
            kept = kept_tokens(logits, t, min_p, top_k, top_p)
            masses = [0.0] * BINS
            for v, e in kept.items():
                masses[v % BINS] += e
            if window and self.scheme == "gumbel":
                noise = (window_key, w)
            else:
                noise = (self.keys["issuance"][self.account], issuance_context(self.request_id, self.position))
            if window and self.scheme == "greenlist":
                masses = [s * math.exp(DELTA) if g else s for s, g in zip(masses, green)]
            if window and self.scheme == "tournament":
                masses = tournament(masses, words)
            token = race(masses, kept, *noise)
        if window:
            self.history.add(w)
        self.accept(token)
        return token, "marked" if window else "unmarked" if greedy else "issued"


def step(logits, t=1.0, min_p=0.0, top_k=0, top_p=1.0, mode="marked"):
    return {"logits": logits, "temperature": t, "minP": min_p, "topK": top_k, "topP": top_p, "mode": mode}


def requests():
    """profile, account, prompt, steps. A step that is a number is a token that the engine chose itself."""
    names = list(PROFILES)
    yield "standard-2026-11", 0, [5, 9], [step("peaked-5000")] * 12
    for profile in names:
        for row in ("peaked-5000", "broad-5000", "equal-5000"):
            yield profile, 0, [1, 2, 3], [step(row)] * 3 + [step(row, t=f32(0.7)), step(row, t=2.5)]
        yield profile, 1, [1, 2, 3, 4, 5], [step("broad-5000", mode="issuance"), step("peaked-5000", mode="issuance"), step("equal-5000", top_k=40, mode="issuance")]
        yield profile, 0, [], [step("peaked-5000", top_k=k) for k in (1, 2, 5, 50, 4999, 5000, 9000)]
        yield profile, 0, [77], [step("broad-5000", top_p=f32(p)) for p in (1e-12, 0.1, 0.5, 0.9, 0.99)] + [step("peaked-5000", top_p=f32(p)) for p in (0.3, 0.95)]
        yield profile, 0, [77, 78], [step("broad-5000", min_p=f32(p)) for p in (0.01, 0.3, 1.0)] + [step("peaked-5000", min_p=f32(0.05))]
        yield profile, 0, [8, 9], [step("broad-5000", t=f32(1.3), min_p=f32(0.02), top_k=300, top_p=f32(0.8)), step("steps-4097", top_k=1000, top_p=f32(0.6)),
                                   step("steps-4097", min_p=0.25, top_k=700), step("equal-5000", top_k=10), step("equal-5000", top_k=3000, top_p=0.5)]
        yield profile, 0, [3], [step("one-bin-4096"), step("one-3000"), step("masked-2049"), step("nan-2048"), step("huge-100"), step("tiny-7"), step("single-1"), step("flat-2047")]
        yield profile, 0, [3, 4], [step("huge-100", t=f32(1e-3)), step("tiny-7", t=1000.0), step("peaked-5000", t=f32(0.1)), step("broad-5000", t=f32(1e-3)), step("broad-5000", t=1000.0)]
        yield profile, 0, [10, 11], [step(row, t=0.0) for row in ("peaked-5000", "equal-5000", "broad-5000", "tiny-7", "huge-100", "nan-2048")] + \
            [step("broad-5000", mode="greedy"), step("peaked-5000", t=0.0, mode="issuance"), step("peaked-5000", t=0.0, mode="off")]
        # A repeated window: the second time it is issuance. Tokens of the engine's own enter no history.
        yield profile, 0, [20, 21, 22, 23], [step("peaked-5000"), 20, 21, 22, 23, step("peaked-5000"), step("broad-5000"), 4, 20, 21, 22, 23, step("broad-5000"), step("broad-5000")]
        yield profile, 0, [6, 6, 6, 6], [step("one-3000")] * 8
        yield profile, 0, [1], [step("none-64"), step("infinite-2100"), step("peaked-5000"), step("none-64", t=0.0), step("infinite-2100", t=0.0, mode="off")]
    yield "standard-2026-11", 2, [1], [step("peaked-5000")]
    yield "standard-2026-11", 0, [1], [step("none-64", t=-1.0), step("infinite-2100", t=f32(0.0009)), step("peaked-5000", t="nan"), step("peaked-5000", t="inf"), step("peaked-5000", t=1001.0),
                                       step("peaked-5000", min_p=-0.5), step("peaked-5000", min_p=1.5), step("peaked-5000", min_p="nan"), step("peaked-5000", top_p=0.0),
                                       step("peaked-5000", top_p=-1.0), step("peaked-5000", top_p=1.5), step("peaked-5000", top_p="nan"), step("peaked-5000", t=0.0, top_p=0.0),
                                       step("peaked-5000", t=2.0, mode="greedy"), step("peaked-5000")]


def vectors():
    f = epoch_secret(ROOT, "acme-70b", "2026-11")
    made = member(f, 0, ACCOUNTS)
    keys = {"coin": expand(f, b"heirmark/v1/coin"), "window": [bytes.fromhex(w) for w in made["window"]], "issuance": [bytes.fromhex(made["issuance"][a]) for a in ACCOUNTS]}
    rows = {name: logits_of(spec) for name, spec in LOGITS.items()}
    cases, number = [], 0
    for i, (profile, account, prompt, steps) in enumerate(requests(), 1):
        request_id = bytes([i]) + b"heirmark-rq"
        response = Response(profile, request_id, account, prompt, keys)
        out = []
        for s in steps:
            if isinstance(s, int):
                response.accept(s)
                out.append({"accept": s})
                continue
            number += 1
            p = {k: SPECIAL.get(s[k], s[k]) for k in ("temperature", "minP", "topP")}
            try:
                token, status = response.sample(rows[s["logits"]], p["temperature"], p["minP"], s["topK"], p["topP"], s["mode"])
            except NearTie:
                raise SystemExit(f"case {i}, row {number}: a near tie; choose other logits: {s}") from None
            if s["mode"] == "off" and status == "issued":
                raise SystemExit("mode off draws with a key that nobody keeps: it has no vector")
            out.append({"row": number, **s, "status": status, "token": None if token == NO_TOKEN else token, "bin": None if token == NO_TOKEN else token % BINS})
        cases.append({"id": f"case-{i}", "profile": profile, "requestId": request_id.hex(), "account": account, "prompt": prompt, "steps": out})
    return {"about": "Written by tools/dev/vectors/sampler.py (libsodium and Python's math). Each case is one response; its steps follow one another. A step either samples a row or "
                     "accepts a token that the engine chose itself. Parameters are float32 values. Without a token, token and bin are null.",
            "logitsRule": "logit_v = ((a v^2 + b v) mod m - c) / 2^s for 0 <= v < vocab, exact in float32; with mask = [n, residues], -inf where v mod n is not among the residues; then each pair of `set` gives one token's logit, a number or nan, inf, -inf",
            "subkeys": {"coin": keys["coin"].hex(), "window": [w.hex() for w in keys["window"]], "issuance": [a.hex() for a in keys["issuance"]]},
            "logits": LOGITS, "cases": cases}


def compact(made):
    """One line for each step and each row of logits, so that a difference can be read."""
    lines = ["{"]
    for name in ("about", "logitsRule", "subkeys"):
        lines.append(f" {json.dumps(name)}: {json.dumps(made[name])},")
    lines.append(' "logits": {')
    lines.append(",\n".join(f"  {json.dumps(name)}: {json.dumps(spec)}" for name, spec in made["logits"].items()))
    lines.append(' },\n "cases": [')
    cases = []
    for case in made["cases"]:
        head = json.dumps({k: v for k, v in case.items() if k != "steps"})[:-1]
        cases.append(f"  {head}, \"steps\": [\n" + ",\n".join("   " + json.dumps(s) for s in case["steps"]) + "]}")
    lines.append(",\n".join(cases))
    lines.append(" ]\n}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write(VECTORS / "sampler.json", vectors(), compact)
