#!/usr/bin/env python3
"""A second verifier, written from specs/ alone: no line of it comes from the SDK, and it needs nothing but Python and, for signatures, `openssl`.

    second_verifier.py verify BAG [--trust KEY.pem ..]       what `heirmark verify BAG --json` must say, one JSON object
    second_verifier.py verdict BAG                           verdict.json, computed again, on standard output
    second_verifier.py detect TOKENS OPENING [--decoys M] [--count-rule RULE] [--vocab V] [--reading]
                                                             what `heirmark detect --json` must say

The section above each part names the page that it follows. Logarithms are natural unless a name says otherwise.
"""
import argparse
import base64
import binascii
import datetime
import functools
import hashlib
import hmac
import itertools
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from array import array
from collections import Counter
from decimal import MAX_EMAX, MIN_EMIN, Decimal, getcontext

assert sys.byteorder == "little", "array's machine words are taken for little-endian ones"
getcontext().prec, getcontext().Emax, getcontext().Emin = 50, MAX_EMAX, MIN_EMIN
NONE = 0xFFFFFFFF  # a missing token


class Bad(Exception):
    """Input that a reader must reject."""


def need(condition, what):
    if not condition:
        raise Bad(what)


# ---------------------------------------------------------------------------------------------------------------- prf.md, Stream
# One Python integer holds a word of many blocks, 64 bits for each: 32 of the word and 32 into which sums and rotations may run over.

BATCH = 256


def rounds(states):
    """The 20 rounds over 64-byte states, without the final addition: 64 bytes for each."""
    out = bytearray()
    for start in range(0, len(states), BATCH):
        some = states[start:start + BATCH]
        n = len(some)
        mask = int.from_bytes(b"\xff\xff\xff\xff\0\0\0\0" * n, "little")
        words = array("I", b"".join(some))
        x = [int.from_bytes(array("Q", words[j::16]).tobytes(), "little") for j in range(16)]
        for r in range(20):
            for i in range(4):
                a, b, c, d = (i, 4 + i, 8 + i, 12 + i) if r % 2 == 0 else (i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
                xa, xb, xc, xd = x[a], x[b], x[c], x[d]
                xa = xa + xb & mask
                xd ^= xa
                xd = (xd << 16 | xd >> 16) & mask
                xc = xc + xd & mask
                xb ^= xc
                xb = (xb << 12 | xb >> 20) & mask
                xa = xa + xb & mask
                xd ^= xa
                xd = (xd << 8 | xd >> 24) & mask
                xc = xc + xd & mask
                xb ^= xc
                x[a], x[b], x[c], x[d] = xa, (xb << 7 | xb >> 25) & mask, xc, xd
        for j in range(16):
            words[j::16] = array("I", list(array("Q", x[j].to_bytes(8 * n, "little"))))
        out += words.tobytes()
    return [bytes(out[i:i + 64]) for i in range(0, len(out), 64)]


SIGMA = b"expand 32-byte k"


def hchacha(requests):
    """HChaCha20 of each (key, 16 bytes): the row keys."""
    return [s[:16] + s[48:] for s in rounds([SIGMA + key + context for key, context in requests])]


def blocks(requests):
    """Block of the stream of each (row key, domain, block number)."""
    states = [SIGMA + key + number.to_bytes(8, "little") + domain for key, domain, number in requests]
    out = []
    for before, after in zip(states, rounds(states)):
        a, b = array("I", before), array("I", after)
        out.append(array("I", [u + v & 0xFFFFFFFF for u, v in zip(a, b)]).tobytes())
    return out


def u32(data, at):
    return int.from_bytes(data[at:at + 4], "little")


def u64(data, at):
    return int.from_bytes(data[at:at + 8], "little")


def stream(key, context, domain, length):
    row = hchacha([(key, context)])[0]
    return b"".join(blocks([(row, domain, i) for i in range(-(-length // 64))]))[:length]


def window(tokens, t, h):
    """Window context of position t."""
    last = tokens[max(0, t - h):t]
    return b"".join(v.to_bytes(4, "little") for v in [NONE] * (4 - len(last)) + list(last))


def first_words(key, contexts, domain):
    rows = hchacha([(key, context) for context in contexts])
    return [block[:4] for block in blocks([(row, domain, 0) for row in rows])]


def classes_of(contexts):
    return [word[0] % 16 for word in first_words(bytes(32), contexts, b"hm-class")]


def coins_of(coin_key, contexts):
    return [u32(word, 0) for word in first_words(coin_key, contexts, b"hm-coin1")]


def exact_floor(fast, exact):
    """floor of a real number, from a double (error below 1e-6) and, if that is too near to an integer, from 50 digits."""
    low = math.floor(fast)
    return low if 1e-6 < fast - low < 1 - 1e-6 else math.floor(exact())


def score(c):
    return exact_floor(-math.log((c + 1) / 2 ** 32) * 2 ** 24, lambda: (Decimal(2 ** 32) / (c + 1)).ln() * 2 ** 24)


def score_up(c):
    return 2 ** 30 if c == 0 else -exact_floor(math.log(c / 2 ** 32) * 2 ** 24, lambda: (Decimal(c) / 2 ** 32).ln() * 2 ** 24)


# ---------------------------------------------------------------------------------------------------------------- marks.md, Profiles

class Profile:
    def __init__(self, scheme, h, share, gamma=0, delta=0, layers=0):
        self.scheme, self.h, self.share, self.gamma, self.delta, self.layers = scheme, h, share, gamma, delta, layers


PROFILES = {"standard-2026-11": Profile("gumbel", 2, 2 ** 31), "window-only-2026-11": Profile("gumbel", 2, 2 ** 32),
            "issuance-only-2026-11": Profile("gumbel", 2, 0), "greenlist-2026-11": Profile("greenlist", 2, 2 ** 32, gamma=2 ** 30, delta=2),
            "tournament-2026-11": Profile("tournament", 4, 2 ** 32, layers=30)}


# ---------------------------------------------------------------------------------------------------------------- formats.md, Canonical JSON

def canonical(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def no_duplicates(pairs):
    names = [name for name, _ in pairs]
    need(len(set(names)) == len(names), "a member twice")
    need(all(name.isascii() for name in names), "a member's name is not ASCII")
    return dict(pairs)


def no_number(text):
    raise Bad(f"{text} is not an integer")


def depth_of(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


def parse_canonical(data):
    """The value of canonical bytes, one line feed at the end."""
    def integer(text):
        need(len(text) < 18 and abs(int(text)) < 2 ** 53, "an integer is too large")
        return int(text)
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=no_duplicates, parse_float=no_number, parse_constant=no_number, parse_int=integer)
        again = canonical(value)
    except (ValueError, RecursionError) as error:  # UnicodeError is a ValueError
        raise Bad(f"not JSON: {error}") from None
    need(depth_of(value) <= 32, "too deep")
    need(again == data, "not canonical")
    return value


def parse_lines(data):
    need(data == b"" or data.endswith(b"\n"), "the last line has no line feed")
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            yield parse_canonical(line + b"\n")
        except Bad as error:
            raise Bad(f"line {number}: {error}") from None


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def is_int(value, low, high):
    return type(value) is int and low <= value <= high


def check_int(value, low, high, name):
    need(is_int(value, low, high), f"{name} is not an integer from {low} to {high}")
    return value


def matches(pattern, value):
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


NAME, HEX64, KEY_ID = r"[a-z0-9][a-z0-9._-]{0,63}", r"[0-9a-f]{64}", r"[0-9a-f]{16}"
PATH = NAME + r"/[0-9]{4}-(0[1-9]|1[0-2])"
ASCII_TEXT = r"[\x20-\x7e]{1,4096}"


def date_of(text):
    need(matches(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text), "not a date")
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        raise Bad("a day that does not exist") from None
    return text


def time_of(text):
    need(matches(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z", text), "not a time")
    date_of(text[:10])
    return text


def members(value, names):
    need(isinstance(value, dict) and set(value) == set(names), "other members than " + ", ".join(sorted(names)))
    return value


def check_patterns(value, patterns):
    for name, pattern in patterns.items():
        need(matches(pattern, value[name]), f"{name} is malformed")


def check_tokens(value, vocab, name, low=0, high=2 ** 20):
    need(isinstance(value, list) and low <= len(value) <= high, f"{name} is not a list of {low} to {high} tokens")
    need(all(type(v) is int and 0 <= v < vocab for v in value), f"{name} has an entry that is no token")
    return value


# ---------------------------------------------------------------------------------------------------------------- keys.md

def expand(key, info):
    return hmac.digest(key, info + b"\x01", "sha256")


class Family:
    """An epoch's secret and what follows from it."""

    def __init__(self, secret):
        self.secret, self.coin = secret, expand(secret, b"heirmark/v1/coin")
        self.key_id = expand(secret, b"heirmark/v1/keyid")[:8].hex()

    @staticmethod
    def from_root(root, family, epoch):
        family_key = expand(root, b"heirmark/v1/family/" + family.encode())
        return family_key, Family(expand(family_key, b"heirmark/v1/epoch/" + epoch.encode()))

    def member(self, i):
        return expand(self.secret, b"heirmark/v1/member/" + i.to_bytes(4, "big"))

    def windows(self, i):
        member = self.member(i)
        return [expand(member, b"heirmark/v1/window/" + bytes([c])) for c in range(16)]

    def issuance(self, i, account):
        return expand(self.member(i), b"heirmark/v1/issuance/" + account.encode())


def check_family_size(n):
    need(is_int(n, 2, 2 ** 24) and n & n - 1 == 0, "familySize is no power of two from 2 to 2^24")


def read_opening(data):
    o = members(parse_canonical(data), ["type", "path", "keyId", "familySecret", "familySize", "liveIndex", "profile", "nonce"])
    check_patterns(o, {"type": "heirmark/opening/v1", "path": PATH, "keyId": KEY_ID, "familySecret": HEX64, "nonce": HEX64})
    check_family_size(o["familySize"])
    check_int(o["liveIndex"], 0, o["familySize"] - 1, "liveIndex")
    need(isinstance(o["profile"], str) and o["profile"] in PROFILES, "unknown profile")
    need(Family(bytes.fromhex(o["familySecret"])).key_id == o["keyId"], "keyId is another secret's")
    return o


def read_commitment(data):
    c = members(parse_canonical(data), ["type", "path", "keyId", "familySize", "profile", "scheme", "prf", "notBefore", "notAfter", "purpose", "digest"])
    check_patterns(c, {"type": "heirmark/commitment/v1", "path": PATH, "keyId": KEY_ID, "prf": "xchacha20-bins2048-v1", "purpose": ASCII_TEXT,
                       "digest": HEX64})
    check_family_size(c["familySize"])
    need(isinstance(c["profile"], str) and c["profile"] in PROFILES, "unknown profile")
    need(c["scheme"] == PROFILES[c["profile"]].scheme, "scheme is not the profile's")
    need(date_of(c["notBefore"]) <= date_of(c["notAfter"]), "ends before it begins")
    return c


class Key:
    """An opened epoch: the family, the live member and the profile."""

    def __init__(self, opening):
        self.family, self.live, self.size = Family(bytes.fromhex(opening["familySecret"])), opening["liveIndex"], opening["familySize"]
        self.profile = PROFILES[opening["profile"]]


# ---------------------------------------------------------------------------------------------------------------- statistics.md, tails

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
LN_SQRT_2PI = (2 * PI).ln() / 2
LN10 = Decimal(10).ln()
MINUS_INFINITY = Decimal("-Infinity")
BERNOULLI = [(1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510), (43867, 798), (-174611, 330)]


def ln_factorial(n):
    if n < 1500:
        return Decimal(math.factorial(n)).ln()
    x = Decimal(n + 1)
    series = sum(Decimal(a) / b / (2 * k * (2 * k - 1)) / x ** (2 * k - 1) for k, (a, b) in enumerate(BERNOULLI, 1))
    return (x - Decimal("0.5")) * x.ln() - x + LN_SQRT_2PI + series


def ln_complement(ln_q):
    """ln(1 - e^ln_q)."""
    q = ln_q.exp()
    return -q * (1 + q / 2 + q * q / 3) if q < Decimal("1e-18") else (1 - q).ln()


def falling_sum(ratios):
    """1 + r1 + r1 r2 + .. until nothing is added; every ratio from some point on is below 1."""
    total = term = Decimal(1)
    for ratio in ratios:
        term *= ratio
        total += term
        if term < total * Decimal("1e-48"):
            break
    return total


def gamma_tail(n, t):
    """ln Q(n, t)."""
    if n == 0 or t <= 0:
        return Decimal(0)
    t = Decimal(t)
    if t > n:
        return (n - 1) * t.ln() - t - ln_factorial(n - 1) + falling_sum((n - j) / t for j in range(1, n)).ln()
    return ln_complement(n * t.ln() - t - ln_factorial(n) + falling_sum(t / (n + j) for j in itertools.count(1)).ln())


def binomial_tail(n, q, k):
    """ln P(Bin(n, q) >= k)."""
    if k <= 0:
        return Decimal(0)
    if k > n:
        return MINUS_INFINITY
    q = Decimal(q)
    odds = q / (1 - q)

    def at(j):
        return ln_factorial(n) - ln_factorial(j) - ln_factorial(n - j) + j * q.ln() + (n - j) * (1 - q).ln()
    if k > n * q:
        return at(k) + falling_sum(odds * (n - j) / (j + 1) for j in range(k, n)).ln()
    return ln_complement(at(k - 1) + falling_sum(j / odds / (n - j + 1) for j in range(k - 1, 0, -1)).ln())


def ln_phi(z):
    return -z * z / 2 - LN_SQRT_2PI


def normal_tail(z):
    """ln(1 - Phi(z))."""
    z = Decimal(z)
    if z == MINUS_INFINITY:
        return Decimal(0)
    if z < 0:
        return ln_complement(normal_tail(-z))
    if z < 6:
        series = z * falling_sum(z * z / (2 * k + 1) for k in itertools.count(1)) if z else Decimal(0)
        return (Decimal("0.5") - ln_phi(z).exp() * series).ln()
    fraction = z
    for k in range(500, 0, -1):
        fraction = z + k / fraction
    return ln_phi(z) - fraction.ln()


def normal_quantile(p):
    """The z with 1 - Phi(z) = p, for 0 < p <= 1."""
    if p == 1:
        return MINUS_INFINITY
    if p > Decimal("0.5"):
        return -normal_quantile(1 - p)
    z = Decimal(-statistics.NormalDist().inv_cdf(float(p)))
    for _ in range(4):  # Newton on ln(1 - Phi)
        tail = normal_tail(z)
        z += (tail - p.ln()) * (tail - ln_phi(z)).exp()
    return z


class Term:
    """One term of a weighted sum: its cumulant function and derivatives at s = l a, and its greatest value."""

    def __init__(self, kind, q=None, bits=1):
        self.kind, self.q, self.bits = kind, Decimal(q) if q is not None else Decimal("0.5"), bits
        self.mean = 1 if kind == "exponential" else self.bits * self.q
        self.effect = {"exponential": 1, "bernoulli": 4, "fair_bits": 2}[kind]  # l = effect d / max abs(a)

    def k(self, s):
        return -(1 - s).ln() if self.kind == "exponential" else self.bits * (1 + self.q * (s.exp() - 1)).ln()

    def slopes(self, s):
        """First and second derivative in s, in the arithmetic of s."""
        if self.kind == "exponential":
            return 1 / (1 - s), 1 / (1 - s) ** 2
        q = float(self.q) if isinstance(s, float) else self.q
        tilted = (-s).exp() if isinstance(s, Decimal) else math.exp(min(700.0, -s))
        r = q / (q + (1 - q) * tilted)
        return self.bits * r, self.bits * r * (1 - r)


class WeightedSum:
    """Sum of a x over terms given as (weight, number of terms)."""

    def __init__(self, term, groups):
        self.term, self.groups = term, [(Decimal(a), n) for a, n in groups if n]
        self.mean = sum((a * n * term.mean for a, n in self.groups), Decimal(0))
        self.top = max((a for a, _ in self.groups), default=Decimal(0))
        self.bottom = min((a for a, _ in self.groups), default=Decimal(0))
        self.size = max(self.top, -self.bottom)

    def k(self, l):
        return sum((n * self.term.k(l * a) for a, n in self.groups), Decimal(0))

    def slopes(self, l):
        first, second = zip(*((n * a * u, n * a * a * v) for a, n in self.groups for u, v in [self.term.slopes(l * a)]))
        return sum(first), sum(second)

    def limits(self):
        """Least and greatest possible sum, None where there is none."""
        if self.term.kind == "exponential":
            return (None if self.bottom < 0 else 0), (None if self.top > 0 else 0)
        return tuple(sum(self.term.bits * a * n for a, n in self.groups if sign * a > 0) for sign in (-1, 1))

    def saddle(self, x):
        """l with K'(l) = x, x strictly between the limits."""
        fast = [(float(a), n) for a, n in self.groups]

        def slope(l):
            return sum(n * a * self.term.slopes(l * a)[0] for a, n in fast)
        low = high = 0.0
        step, pole = 1e-3 / float(self.size), {}
        if self.term.kind == "exponential":
            pole = {+1: 1 / float(self.top) if self.top > 0 else math.inf, -1: -1 / float(self.bottom) if self.bottom < 0 else math.inf}
        sign = 1 if x > self.mean else -1
        end, target = 0.0, float(x)
        for i in range(200):
            # outward until the slope passes the target, never up to the pole
            end = sign * step * 2 ** i
            if pole and abs(end) >= pole[sign]:
                end = sign * pole[sign] * (1 - 2.0 ** -50)
                break
            if sign * (slope(end) - target) > 0:
                break
        low, high = sorted((0.0, end))
        for _ in range(200):
            middle = (low + high) / 2
            if middle in (low, high):
                break
            low, high = (middle, high) if slope(middle) < target else (low, middle)
        l = Decimal((low + high) / 2)
        for _ in range(6):
            first, second = self.slopes(l)
            move = (x - first) / second
            if self.term.kind == "exponential":  # stay inside the poles
                while any(1 - (l + move) * a <= 0 for a in (self.top, self.bottom)):
                    move /= 2
            l += move
            if abs(move) <= abs(l) * Decimal("1e-30"):
                break
        return l

    def chernoff(self, x):
        """ln of the Chernoff bound of P(sum >= x)."""
        x = Decimal(x)
        if x <= self.mean:
            return Decimal(0)
        _, most = self.limits()
        if most is not None and x >= most:
            if x > most or self.term.kind == "exponential":
                return MINUS_INFINITY
            return sum((n * self.term.bits * (self.term.q if a > 0 else 1 - self.term.q).ln() for a, n in self.groups if a), Decimal(0))
        l = self.saddle(x)
        return self.k(l) - l * x

    def saddlepoint(self, x):
        """ln of the Lugannani-Rice approximation, not above the Chernoff bound."""
        x, bound = Decimal(x), self.chernoff(x)
        least, most = self.limits()
        if (most is not None and x >= most) or (least is not None and x <= least):
            return bound
        l = self.saddle(x) if x != self.mean else Decimal(0)
        lattice = None
        if self.term.kind != "exponential":
            scale = 10 ** max(0, max(-a.as_tuple().exponent for a, _ in self.groups))
            lattice = Decimal(math.gcd(*(int(a * scale) for a, _ in self.groups))) / scale
        second = self.slopes(l)[1]
        if abs(l * self.size) < Decimal("1e-20"):  # the limit at the mean
            third = self.third()
            p = Decimal("0.5") + ln_phi(Decimal(0)).exp() * (-third / (6 * second * second.sqrt()) + (lattice or 0) / (2 * second.sqrt()))
            return min(bound, p.ln())
        w = (2 * (l * x - self.k(l))).sqrt().copy_sign(l)
        u = (l if lattice is None else (1 - (-l * lattice).exp()) / lattice) * second.sqrt()
        p = normal_tail(w).exp() + ln_phi(w).exp() * (1 / u - 1 / w)
        return min(bound, p.ln()) if p > 0 else bound

    def third(self):
        q, bits = self.term.q, self.term.bits
        of_one = 2 if self.term.kind == "exponential" else bits * q * (1 - q) * (1 - 2 * q)
        return sum(n * a ** 3 * of_one for a, n in self.groups)

    def e_mixture(self, x):
        if not self.groups:
            return Decimal(0)
        return ln_mean([l * Decimal(x) - self.k(l) for l in (self.term.effect * Decimal(d) / self.size for d in EFFECTS)])


EFFECTS = [float((Decimal("1e-4").ln() + (Decimal("0.6").ln() - Decimal("1e-4").ln()) * k / 39).exp()) for k in range(40)]


def ln_sum(logs):
    top = max(logs)
    return top + sum((v - top).exp() for v in logs).ln()


def ln_mean(logs):
    return Decimal(0) if not any(logs) else ln_sum(logs) - Decimal(len(logs)).ln()


def e_mixture(scheme, n, x, q=None):
    """ln e of n unweighted terms: x is T for gumbel, the count for the others (n then counts bits)."""
    x, logs = Decimal(x), []
    for d in map(Decimal, EFFECTS):
        if scheme == "exponential":
            logs.append(n * (1 - d).ln() + d * x)
        else:
            g = Decimal(q) if scheme == "bernoulli" else Decimal("0.5")
            h = g + d * (1 - g)
            logs.append(x * (h / g).ln() + (n - x) * ((1 - h) / (1 - g)).ln())
    return ln_mean(logs)


def rank_tail(classes, decoys):
    """ln p_rank of (decoys that reached the live statistic, pairs), and z."""
    classes = [(ge, n) for ge, n in classes if n]
    if not classes:
        return Decimal(0), None
    total = sum(n for _, n in classes)
    z = sum(Decimal(n).sqrt() * normal_quantile(Decimal(1 + ge) / (decoys + 1)) for ge, n in classes) / Decimal(total).sqrt()
    return normal_tail(z), z


# ---------------------------------------------------------------------------------------------------------------- statistics.md, Numbers

def printed(units):
    return f"{'-' if units < 0 else ''}{abs(units) // 10000}.{abs(units) % 10000:04d}"


def guarded(ln):
    value = Decimal(ln) / LN10
    return value, Decimal("1e-9") + Decimal("1e-12") * abs(value)


def print_p(ln):
    value, guard = guarded(ln)
    need(value.is_finite(), "a p of 0 has no decimal")
    return printed(min(0, math.ceil(10000 * (value + guard))))


def print_e(ln):
    value, guard = guarded(ln)
    if abs(value) < Decimal("1e-13"):
        return "0.0000"
    return printed(math.floor(10000 * (value - guard)))


# ---------------------------------------------------------------------------------------------------------------- statistics.md, Bets on documents

SHARES = (1, .3, .1, .03, .01, .003)


def document_bets(documents):
    """Running ln e of a sequence of documents, each a list of ln E for the pairs of parameters: one value after each document."""
    sums = None
    for logs in documents:
        steps = []
        for x in logs:
            for f in SHARES:
                if f == 1:
                    steps.append(x)
                elif x < 500:
                    steps.append(math.log1p(f * math.expm1(x)))
                else:
                    steps.append(x + math.log(f) + math.log1p((1 - f) / f * math.exp(-x)))
        sums = steps if sums is None else [a + b for a, b in zip(sums, steps)]
        top = max(sums)
        yield 0.0 if not any(sums) else top + math.log(math.fsum(math.exp(v - top) for v in sums) / len(sums))


# ---------------------------------------------------------------------------------------------------------------- scoring.md, C1

class Text:
    """Pairs of a token file: (window, bin, weight) in the order of first occurrence, and the counts."""

    def __init__(self, positions, tainted, off_coin, repeats, pairs, unit):
        self.positions, self.tainted, self.off_coin, self.repeats, self.pairs = positions, tainted, off_coin, repeats, pairs
        self.unit = unit  # 1 without weights, else 1 / the weight that counts as 1
        self.classes = dict(zip({w: 0 for w, _, _ in pairs}, classes_of(list({w: 0 for w, _, _ in pairs}))))


def prompt_windows(lines, h):
    return {window(line["tokens"], t, h) for line in lines for t in range(line.get("prompt_tokens", 0))}


def coin_table(key, contexts):
    contexts = list(set(contexts))
    if key.profile.share in (0, 2 ** 32):
        return {w: key.profile.share != 0 for w in contexts}
    return {w: coin < key.profile.share for w, coin in zip(contexts, coins_of(key.family.coin, contexts))}


def count_weight(rule, count):
    if rule == "distinct":
        return 1
    if count < 2:
        return None
    if rule == "sqrt2":
        return math.isqrt(count << 16)
    return math.floor(256 * Decimal(1 + count).ln())


def text_pairs(lines, key, rule):
    h, tainted = key.profile.h, prompt_windows(lines, key.profile.h)
    walk = [(window(line["tokens"], t, h), line["tokens"][t] % 2048) for line in lines for t in range(line.get("prompt_tokens", 0), len(line["tokens"]))]
    on = coin_table(key, [w for w, _ in walk])
    counts, skipped = {}, Counter()
    for w, b in walk:
        if w in tainted:
            skipped["tainted"] += 1
        elif not on[w]:
            skipped["off_coin"] += 1
        else:
            skipped["repeats"] += (w, b) in counts
            counts[w, b] = counts.get((w, b), 0) + 1
    pairs = [(w, b, a) for (w, b), count in counts.items() for a in [count_weight(rule, count)] if a is not None]
    return Text(len(walk), skipped["tainted"], skipped["off_coin"], skipped["repeats"], pairs, 1 if rule == "distinct" else 2 ** 8)


def reading_pairs(lines, key):
    h, tainted = key.profile.h, prompt_windows(lines, key.profile.h)
    on = coin_table(key, [window(line["tokens"], t, h) for line in lines for t in range(line.get("prompt_tokens", 0), len(line["tokens"]))])
    sums, met, skipped, positions = {}, Counter(), Counter(), 0
    for line in lines:
        here, first = set(), line.get("prompt_tokens", 0)
        for t in range(first, len(line["tokens"])):
            w = window(line["tokens"], t, h)
            positions += 1
            if w in tainted:
                skipped["tainted"] += 1
            elif not on[w]:
                skipped["off_coin"] += 1
            elif w in here:
                skipped["repeats"] += 1
            else:
                here.add(w)
                met[w] += 1
                for sign, name in ((1, "top"), (-1, "base")):
                    for v, q in line[name][t - first] if name in line else ():
                        sums[w, v % 2048] = sums.get((w, v % 2048), 0) + sign * q
    pairs = []
    for (w, b), s in sums.items():
        a = abs(s) // (2 ** 16 * met[w])
        if a:
            pairs.append((w, b, a if s > 0 else -a))
    return Text(positions, skipped["tainted"], skipped["off_coin"], skipped["repeats"], pairs, 2 ** 16)


def pair_integers(text, key, i):
    """x of every pair for member i."""
    windows, profile = key.family.windows(i), key.profile
    contexts = list(text.classes)
    rows = dict(zip(contexts, hchacha([(windows[text.classes[w]], w) for w in contexts])))
    out = []
    for (_, b, a), block in zip(text.pairs, blocks([(rows[w], b"hm-bins1", b // 16) for w, b, _ in text.pairs])):
        c = u32(block, 4 * (b % 16))
        if profile.scheme == "gumbel":
            out.append(score(c) if a > 0 else score_up(c))
        elif profile.scheme == "greenlist":
            out.append(int(c < profile.gamma))
        else:
            out.append((c >> 32 - profile.layers).bit_count())
    return out


def c1_tails(text, key, xs, count=None):
    """(ln p_prf, ln e, WeightedSum or None, X in its unit) of the first `count` pairs."""
    pairs, xs, profile = text.pairs[:count], xs[:count], key.profile
    n, x = len(pairs), sum(a * v for (_, _, a), v in zip(pairs, xs))
    gamma = profile.gamma / 2 ** 32
    if text.unit == 1:
        if profile.scheme == "gumbel":
            t = float(x) / 2 ** 24
            return gamma_tail(n, t), e_mixture("exponential", n, t), None, t
        if profile.scheme == "greenlist":
            return binomial_tail(n, gamma, x), e_mixture("bernoulli", n, x, gamma), None, x
        return binomial_tail(n * profile.layers, 0.5, x), e_mixture("fair_bits", n * profile.layers, x), None, x
    term = {"gumbel": Term("exponential"), "greenlist": Term("bernoulli", gamma), "tournament": Term("fair_bits", bits=profile.layers)}[profile.scheme]
    total = WeightedSum(term, Counter(a for _, _, a in pairs).items())
    t = Decimal(float(x)) / 2 ** 24 if profile.scheme == "gumbel" else Decimal(float(x))
    return total.chernoff(t), total.e_mixture(t), total, t


class C1:
    """Everything about C1 for member i with M decoys after it."""

    def __init__(self, text, key, i, decoys):
        self.text, self.key, self.decoys = text, key, decoys
        self.xs = pair_integers(text, key, i)
        self.ln_p_prf, self.ln_e, self.sum, self.t = c1_tails(text, key, self.xs)
        self.statistic, by_class, self.pairs_of = *self.sums(self.xs), Counter(text.classes[w] for w, _, _ in text.pairs)
        self.classes, self.totals, self.ln_p_rank = [], [], None
        if decoys:
            ge = Counter()
            for j in range(1, decoys + 1):
                total, other = self.sums(pair_integers(text, key, (i + j) % key.size))
                self.totals.append(total)
                for c in self.pairs_of:
                    ge[c] += other[c] >= by_class[c]
            self.classes = [(c, self.pairs_of[c], ge[c], by_class[c]) for c in sorted(self.pairs_of)]
            self.ln_p_rank, _ = rank_tail([(ge, n) for _, n, ge, _ in self.classes], decoys)
        self.ln_p = self.ln_p_prf if self.ln_p_rank is None else max(self.ln_p_prf, self.ln_p_rank)

    def sums(self, xs):
        by_class = Counter()
        for (w, _, a), x in zip(self.text.pairs, xs):
            by_class[self.text.classes[w]] += a * x
        return sum(by_class.values()), by_class

    def growth(self, points=64):
        n = len(self.text.pairs)
        k = min(points, n)
        for i in range(1, k + 1):
            count = n * i // k
            ln_p, ln_e, _, _ = c1_tails(self.text, self.key, self.xs, count)
            yield count, ln_p, ln_e

    def histogram(self):
        if not self.decoys:
            return {"counts": [], "live": str(self.statistic), "low": "0", "width": "1"}
        everything = self.totals + [self.statistic]
        low = min(everything)
        width = (max(everything) - low) // 64 + 1
        counts = [0] * 64
        for total in self.totals:
            counts[(total - low) // width] += 1
        return {"counts": counts, "live": str(self.statistic), "low": str(low), "width": str(width)}

    def ln_p_saddlepoint(self):
        return None if self.text.unit == 1 else self.sum.saddlepoint(self.t) if self.sum.groups else Decimal(0)


# ---------------------------------------------------------------------------------------------------------------- scoring.md, Issued log

class Context:
    """A usable position of the ledger."""

    def __init__(self, response, t, kind, w, phat, tainted):
        self.response, self.t, self.kind, self.window, self.phat, self.tainted = response, t, kind, w, phat, tainted


def prompt_runs(lines):
    """Runs of 0 to 4 tokens that stand in a prompt with a prompt token after them."""
    return {tuple(line["tokens"][t - k:t]) for line in lines for t in range(line.get("prompt_tokens", 0)) for k in range(min(4, t) + 1)}


def usable_contexts(ledger, key, shown=(), runs=()):
    """All usable positions of a ledger in order. `shown` are windows, and `runs` are runs, that prompts showed before the ledger."""
    h, walks = key.profile.h, []
    for response in ledger:
        tokens, first = response["prompt"] + response["tokens"], len(response["prompt"])
        walks.append([window(tokens, t, h) for t in range(len(tokens))])
    on = coin_table(key, [w for walk, response in zip(walks, ledger) for w in walk[len(response["prompt"]):]])
    out, before, shown = [], set(), set(shown)
    for number, (walk, response) in enumerate(zip(walks, ledger)):
        first, history = len(response["prompt"]), set()
        shown.update(walk[:first])
        for t, w in enumerate(walk[first:]):
            if not on[w] or w in history:
                out.append(Context(number, t, "issuance", None, response["phat"][t], tuple(response["tokens"][max(0, t - 4):t]) in runs))
                continue
            history.add(w)
            if w not in before:
                before.add(w)
                out.append(Context(number, t, "window", w, response["phat"][t], w in shown))
    return out


def unit_interval(word):
    return (word + 0.5) / 2 ** 64


def choices(contexts, ledger, key, i):
    """The key's choice at each context, for member i: an index into phat, or -1 for the rest."""
    windows, accounts, requests = key.family.windows(i), {}, []
    class_of = dict(zip(ws := list({c.window for c in contexts if c.kind == "window"}), classes_of(ws)))
    for c in contexts:
        if c.kind == "window":
            requests.append((windows[class_of[c.window]], c.window))
        else:
            response = ledger[c.response]
            name = response["account"]
            if name not in accounts:
                accounts[name] = key.family.issuance(i, name)
            requests.append((accounts[name], bytes.fromhex(response["request_id"]) + c.t.to_bytes(4, "little")))
    rows, wanted = hchacha(requests), {}
    for row, c in zip(rows, contexts):
        for v, _ in c.phat:
            wanted[row, b"hm-bins1", v % 2048 // 16] = wanted[row, b"hm-bins2", v % 2048 // 16] = None
        wanted[row, b"hm-rest1", 0] = None
    words = dict(zip(wanted, blocks(list(wanted))))
    winners, wanted = [], {}
    for row, c in zip(rows, contexts):
        mass = Counter()
        for v, p in c.phat:
            mass[v % 2048] += p

        def race(b):
            coarse, fine = (u32(words[row, domain, b // 16], 4 * (b % 16)) for domain in (b"hm-bins1", b"hm-bins2"))
            return -math.log1p(-unit_interval(coarse << 32 | fine)) / mass[b]
        best = min((race(b), b) for b in sorted(mass))
        rest = 2 ** 32 - sum(mass.values())
        if rest and -math.log1p(-unit_interval(u64(words[row, b"hm-rest1", 0], 0))) / rest < best[0]:
            winners.append(None)
            continue
        winners.append(best[1])
        for v, _ in c.phat:
            if v % 2048 == best[1]:
                wanted[row, b"hm-inner", v // 2048 // 8] = None
    words, out = dict(zip(wanted, blocks(list(wanted)))), []
    for row, c, b in zip(rows, contexts, winners):
        if b is None:
            out.append(-1)
            continue

        def inner(entry):
            v, p = entry[1]
            j = v // 2048
            return -math.log1p(-unit_interval(u64(words[row, b"hm-inner", j // 8], 8 * (j % 8)))) / p, v
        out.append(min((entry for entry in enumerate(c.phat) if entry[1][0] % 2048 == b), key=inner)[0])
    return out


# ---------------------------------------------------------------------------------------------------------------- statistics.md, C2 and C3

C3_PAIRS = [(l, c) for l in (.005, .01, .02, .05, .1, .2, .4, .8, 1.6, 3.2) for c in (.5, 2, 5)]
C2_PAIRS = [(l, k) for l in (.05, .15, .4, .8) for k in (1, 4, 16, 64, 256)]


def suspect_logs(phat, top):
    """y of the listed tokens."""
    given = {v: -nlp / 1e6 for v, nlp in top}
    least = min(given.values())
    return [given.get(v, least) for v, _ in phat]


def fit_baseline(contexts):
    """alpha of (phat, top) contexts, in millionths."""
    xx, xy, raw = [], [], []
    for phat, top in contexts:
        total = sum(p for _, p in phat)
        x, y = [math.log(p / 2 ** 32) for _, p in phat], suspect_logs(phat, top)
        weights = [p / total for _, p in phat]
        mean_x, mean_y = math.fsum(map(lambda w, v: w * v, weights, x)), math.fsum(map(lambda w, v: w * v, weights, y))
        xx.append(math.fsum(w * (v - mean_x) ** 2 for w, v in zip(weights, x)))
        raw.append(math.fsum(w * v * v for w, v in zip(weights, x)))
        xy.append(math.fsum(w * (v - mean_x) * (u - mean_y) for w, v, u in zip(weights, x, y)))
    a, b = math.fsum(xx), math.fsum(xy)
    alpha = 1.0 if a <= 1e-12 * math.fsum(raw) else max(-1000.0, min(1000.0, b / a))
    return int(math.copysign(math.floor(abs(Decimal(alpha)) * 1000000 + Decimal("0.5")), alpha))


def c3_bet(phat, top, alpha, choice):
    """ln e for each pair of parameters."""
    x, y = [math.log(p / 2 ** 32) for _, p in phat], suspect_logs(phat, top)
    d = [v - alpha * u for u, v in zip(x, y)]
    median, masses = statistics.median(d), [p / 2 ** 32 for _, p in phat]
    d = [v - median for v in d]
    rest = 2 ** 32 - sum(p for _, p in phat)
    if rest:
        y_rest = math.log(max(1 - math.fsum(map(math.exp, y)), 1e-6))
        d.append(y_rest - alpha * math.log(rest / 2 ** 32) - median)
        masses.append(rest / 2 ** 32)
    out = []
    for l, c in C3_PAIRS:
        logs = [l * max(-c, min(c, v)) for v in d]
        out.append(logs[choice] - math.log(math.fsum(m * math.exp(v) for m, v in zip(masses, logs))))
    return out


def c2_bet(phat, samples, choice):
    index = {v: j for j, (v, _) in enumerate(phat)}
    counts = Counter(index.get(v, -1) for v in samples)
    masses = [p / 2 ** 32 for _, p in phat]
    rest = 2 ** 32 - sum(p for _, p in phat)
    numbers = [counts[j] for j in range(len(phat))]
    if rest:
        masses.append(rest / 2 ** 32)
        numbers.append(counts[-1])
    out = []
    for l, k in C2_PAIRS:
        bets = [(1 + n / (k * m)) ** l for n, m in zip(numbers, masses)]
        out.append(math.log(bets[choice]) - math.log(math.fsum(m * v for m, v in zip(masses, bets))))
    return out


class Issued:
    """What C2 and C3 have in common: contexts that were asked about, and the fit."""

    def __init__(self, ledger, asked, key, fit, shown, runs):
        self.ledger, self.key, self.fit, self.asked = ledger, key, fit, asked
        everything = [c for c in usable_contexts(ledger, key, shown, runs) if c.t < len(asked[c.response])]
        self.bet_on = [c for c in everything if c.response >= fit and not c.tainted]
        self.tainted = sum(c.response >= fit and c.tainted for c in everything)
        self.fit_on = [c for c in everything if c.response < fit and not c.tainted]
        self.made = {}

    def choices(self, i):
        if i not in self.made:
            self.made[i] = choices(self.bet_on, self.ledger, self.key, i)
        return self.made[i]


class Channel:
    """C2 or C3 for member i."""

    def __init__(self, issued, name, i):
        self.issued, self.name = issued, name
        responses = range(issued.fit, len(issued.ledger))
        self.alpha = None
        if name == "c3":
            self.alpha = fit_baseline([(c.phat, issued.asked[c.response][c.t]["top"]) for c in issued.fit_on])
        size = len(C3_PAIRS if name == "c3" else C2_PAIRS)
        whole, issuance = ({d: [0.0] * size for d in responses} for _ in range(2))
        self.contexts = Counter(c.response for c in issued.bet_on)
        for c, choice in zip(issued.bet_on, issued.choices(i)):
            answer = issued.asked[c.response][c.t]
            bet = c3_bet(c.phat, answer["top"], self.alpha / 1e6, choice) if name == "c3" else c2_bet(c.phat, answer["samples"], choice)
            for target in [whole] + [issuance] * (c.kind == "issuance"):
                target[c.response] = [a + b for a, b in zip(target[c.response], bet)]
        self.growth_logs = list(document_bets(whole.values()))
        self.ln_e = Decimal(self.growth_logs[-1])
        self.ln_p = min(Decimal(0), -self.ln_e)
        self.accounts = {}
        for d in responses:
            self.accounts.setdefault(issued.ledger[d]["account"], []).append(issuance[d])

    def growth(self):
        total, count = len(self.growth_logs), [0]
        for d in range(self.issued.fit, len(self.issued.ledger)):
            count.append(count[-1] + self.contexts[d])
        k = min(64, total)
        for i in range(1, k + 1):
            done = total * i // k
            ln_e = Decimal(self.growth_logs[done - 1])
            yield count[done], min(Decimal(0), -ln_e), ln_e

    def account_list(self, alpha):
        out = []
        for name in sorted(self.accounts):
            documents = self.accounts[name]
            log10_e = print_e(list(document_bets(documents))[-1])
            out.append({"account": name, "log10_e": log10_e, "named": Decimal(log10_e) >= (len(self.accounts) / Decimal(alpha)).log10(),
                        "responses": len(documents)})
        return out


# ---------------------------------------------------------------------------------------------------------------- formats.md, Verdict

class Case:
    """Parsed evidence from which a verdict follows."""

    def __init__(self, raw):
        self.raw = raw
        self.plan, self.opening = read_plan(raw["plan.json"]), read_opening(raw["opening.json"])
        vocab = read_suspect(raw["suspect.json"])["vocab"]
        self.key = Key(self.opening)
        self.channels = {c["channel"]: c for c in self.plan["channels"]}
        self.c1_lines, self.ledger, self.asked = [], [], []
        if "c1" in self.channels:
            self.c1_lines = list(read_c1(raw["transcript/c1.jsonl"], vocab))
        if uses_ledger(self.plan):
            self.ledger = read_ledger(raw["ledger.jsonl"], vocab)
            self.asked = [line["positions"] for line in read_issued(raw["transcript/issued.jsonl"], self.plan, vocab)]

    def headline(self, i):
        """ln p, ln e of member i, and its channels."""
        done = {}
        for name, channel in self.channels.items():
            if name == "c1":
                done[name] = C1(self.text, self.key, i, channel["decoys"])
            else:
                done[name] = Channel(self.issued, name, i)
        m = self.plan["multiplicity"]
        omega = {name: (Decimal(channel["weight"]) / 1000000).ln() for name, channel in self.channels.items()}
        ln_p = min(Decimal(0), Decimal(m).ln() + min(done[c].ln_p - omega[c] for c in done))
        ln_e = (ln_sum([omega[c] + done[c].ln_e for c in done]) if any(done[c].ln_e for c in done) else Decimal(0)) - Decimal(m).ln()
        return ln_p, ln_e, done

    def verdict(self, date):
        plan, key = self.plan, self.key
        if "c1" in self.channels:
            self.text = text_pairs(self.c1_lines, key, self.channels["c1"]["countRule"])
        if uses_ledger(plan):
            self.issued = Issued(self.ledger, self.asked, key, plan["fitResponses"], prompt_windows(self.c1_lines, key.profile.h),
                                 prompt_runs(self.c1_lines))
        ln_p, ln_e, done = self.headline(key.live)
        out = {"type": "heirmark/verdict/v1", "date": date, "method": "heirmark-statistics-v1", "alpha": plan["alpha"],
               "multiplicity": plan["multiplicity"], "log10_p": print_p(ln_p), "log10_e": print_e(ln_e), "channels": [], "controls": []}
        for name in ("plan", "transcript", "opening", "commitment", "suspect"):
            out[name] = sha256(self.raw[name + ".json"])
        out["ledger"] = sha256(self.raw["ledger.jsonl"]) if uses_ledger(plan) else ""
        for name, c in done.items():
            one = {"channel": name, "weight": self.channels[name]["weight"], "log10_p": print_p(c.ln_p), "log10_e": print_e(c.ln_e),
                   "growth": [{"n": n, "log10_p": print_p(p), "log10_e": print_e(e)} for n, p, e in c.growth()]}
            if name == "c1":
                saddle = c.ln_p_saddlepoint()
                one |= {"n": len(c.text.pairs), "statistic": str(c.statistic), "positions": c.text.positions, "repeats": c.text.repeats,
                        "tainted": c.text.tainted, "off_coin": c.text.off_coin, "scheme": key.profile.scheme,
                        "countRule": self.channels[name]["countRule"], "decoys": c.decoys, "log10_p_prf": print_p(c.ln_p_prf),
                        "log10_p_saddlepoint": "" if saddle is None else print_p(saddle),
                        "log10_p_rank": "" if c.ln_p_rank is None else print_p(c.ln_p_rank), "histogram": c.histogram(),
                        "classes": [{"class": cls, "ge": ge, "pairs": n, "statistic": str(x)} for cls, n, ge, x in c.classes]}
            else:
                kinds = Counter(context.kind for context in self.issued.bet_on)
                one |= {"n": len(self.issued.bet_on), "responses": len(c.growth_logs), "issuance": kinds["issuance"], "window": kinds["window"],
                        "tainted": self.issued.tainted, "accounts": c.account_list(plan["alpha"])}
            if name == "c3":
                one |= {"alpha": f"{'-' if c.alpha < 0 else ''}{abs(c.alpha) // 1000000}.{abs(c.alpha) % 1000000:06d}", "beta": "0.000000"}
            out["channels"].append(one)
        for j in range(1, plan["controls"] + 1):
            p, e, _ = self.headline((key.live - j) % key.size)
            out["controls"].append({"name": f"control-{j}", "log10_p": print_p(p), "log10_e": print_e(e)})

        def reaches(value):
            return Decimal(value["log10_p"]) <= Decimal(plan["alpha"]).log10()
        out["outcome"] = "inconclusive" if not reaches(out) else "does-not-support" if any(map(reaches, out["controls"])) else "supports"
        return canonical(out)


# ---------------------------------------------------------------------------------------------------------------- formats.md, files of an audit

VOCAB = 2 ** 20


def uses_ledger(plan):
    return any(c["channel"] in ("c2", "c3") for c in plan["channels"])


def uses_c1(plan):
    return any(c["channel"] == "c1" for c in plan["channels"])


def read_plan(data):
    p = members(parse_canonical(data), ["type", "planId", "attempt", "date", "commitment", "opening", "keyId", "path", "profile", "familySize", "ledger",
                                        "ledgerResponses", "suspect", "prompts", "alpha", "multiplicity", "h1", "h2", "channels", "fitResponses",
                                        "controls", "stop"])
    check_patterns(p, {"type": "heirmark/plan/v1", "planId": KEY_ID, "commitment": HEX64, "opening": HEX64, "keyId": KEY_ID, "path": ASCII_TEXT,
                       "ledger": f"({HEX64})?", "suspect": HEX64, "prompts": f"({HEX64})?", "alpha": r"0\.[0-9]{0,37}[1-9]", "h1": ASCII_TEXT,
                       "h2": ASCII_TEXT, "stop": "fixed"})
    need(isinstance(p["profile"], str) and p["profile"] in PROFILES, "unknown profile")
    time_of(p["date"])
    check_int(p["familySize"], 2, 2 ** 24, "familySize")
    check_int(p["attempt"], 1, 10 ** 9, "attempt")
    check_int(p["multiplicity"], p["attempt"], 10 ** 9, "multiplicity")
    check_int(p["ledgerResponses"], 0, 2 ** 31, "ledgerResponses")
    check_int(p["controls"], 0, 64, "controls")
    need(isinstance(p["channels"], list) and p["channels"], "no channels")
    own = {"c1": ["texts", "tokensPerText", "countRule", "decoys", "temperatureMilli"], "c2": ["samples"], "c3": ["top"]}
    limits = {"texts": (1, 10 ** 7), "tokensPerText": (1, 2 ** 20), "decoys": (0, 2 ** 22), "temperatureMilli": (0, 100000), "samples": (1, 1024),
              "top": (1, 1024)}
    names = []
    for c in p["channels"]:
        need(isinstance(c, dict) and isinstance(c.get("channel"), str) and c["channel"] in own, "unknown channel")
        members(c, ["channel", "weight"] + own[c["channel"]])
        check_int(c["weight"], 1, 10 ** 6, "weight")
        for name in own[c["channel"]]:
            if name == "countRule":
                need(c[name] in ("distinct", "sqrt2", "log2"), "unknown count rule")
            else:
                check_int(c[name], *limits[name], name)
        names.append(c["channel"])
    need(names == sorted(set(names)), "channels are not in order")
    need(sum(c["weight"] for c in p["channels"]) == 10 ** 6, "weights do not sum to 1,000,000")
    need(max([c["decoys"] for c in p["channels"] if c["channel"] == "c1"], default=0) + p["controls"] < p["familySize"], "too many decoys and controls")
    profile = PROFILES[p["profile"]]
    need(not uses_c1(p) or profile.share > 0, "c1 needs window positions")
    need(not uses_ledger(p) or profile.scheme == "gumbel", "c2 and c3 need a gumbel profile")
    need((p["prompts"] != "") == uses_c1(p), "prompts do not fit the channels")
    need((p["ledger"] != "") == uses_ledger(p) and (p["ledgerResponses"] > 0) == uses_ledger(p), "the ledger does not fit the channels")
    check_int(p["fitResponses"], 0, max(0, p["ledgerResponses"] - 1), "fitResponses")
    return p


def read_suspect(data):
    s = members(parse_canonical(data), ["type", "name", "vocab", "kind", "command", "released", "weights"])
    check_patterns(s, {"type": "heirmark/suspect/v1", "name": ASCII_TEXT, "kind": "process", "weights": f"({HEX64})?"})
    check_int(s["vocab"], 1, VOCAB, "vocab")
    need(isinstance(s["command"], list) and 1 <= len(s["command"]) <= 256 and all(isinstance(a, str) for a in s["command"]), "command is malformed")
    need(s["released"] == "" or date_of(s["released"]), "released is malformed")
    return s


def read_prompts(data, vocab):
    return [check_tokens(members(line, ["tokens"])["tokens"], vocab, "tokens", low=1) for line in parse_lines(data)]


def read_ledger(data, vocab):
    out, ids = [], set()
    for number, r in enumerate(parse_lines(data)):
        members(r, ["account", "phat", "prompt", "request_id", "seq", "time", "tokens"])
        check_patterns(r, {"account": NAME, "request_id": r"[0-9a-f]{24}"})
        need(r["seq"] == number and type(r["seq"]) is int, "seq is not the line's")
        need(r["request_id"] not in ids, "a request id twice")
        ids.add(r["request_id"])
        time_of(r["time"])
        need(len(check_tokens(r["prompt"], vocab, "prompt")) + len(check_tokens(r["tokens"], vocab, "tokens")) <= 2 ** 20, "too many tokens")
        need(isinstance(r["phat"], list) and len(r["phat"]) == len(r["tokens"]), "phat has not one list for each token")
        for entries in r["phat"]:
            need(isinstance(entries, list) and 1 <= len(entries) <= 1024, "a phat list is empty or too long")
            for e in entries:
                need(isinstance(e, list) and len(e) == 2 and is_int(e[0], 0, vocab - 1) and is_int(e[1], 1, 2 ** 32 - 1), "a phat entry is malformed")
            need(entries == sorted(entries, key=lambda e: (-e[1], e[0])), "a phat list is not sorted")
            need(len({v for v, _ in entries}) == len(entries) and sum(p for _, p in entries) <= 2 ** 32, "a phat list is no distribution")
        out.append(r)
    return out


def read_c1(data, vocab):
    for number, line in enumerate(parse_lines(data)):
        members(line, ["i", "prompt_tokens", "tokens"])
        need(is_int(line["i"], number, number), "i is not the line's")
        check_tokens(line["tokens"], vocab, "tokens", high=2 ** 21)
        check_int(line["prompt_tokens"], 0, len(line["tokens"]), "prompt_tokens")
        yield line


def read_issued(data, plan, vocab):
    channels = {c["channel"]: c for c in plan["channels"]}
    m, most = channels.get("c2", {}).get("samples", 0), channels.get("c3", {}).get("top", 0)
    for number, line in enumerate(parse_lines(data)):
        members(line, ["positions", "response"])
        need(is_int(line["response"], number, number), "response is not the line's")
        need(isinstance(line["positions"], list), "positions is no list")
        for position in line["positions"]:
            members(position, ["samples", "top"])
            check_tokens(position["samples"], vocab, "samples", low=m, high=m)
            top = position["top"]
            need(isinstance(top, list) and min(most, 1) <= len(top) <= most, "top has a wrong length")
            for e in top:
                need(isinstance(e, list) and len(e) == 2 and is_int(e[0], 0, vocab - 1) and is_int(e[1], 0, 2 ** 31 - 1), "a top entry is malformed")
            need(len({v for v, _ in top}) == len(top), "a token twice in top")
            need(all(a[1] <= b[1] for a, b in zip(top, top[1:])), "nlp falls")
            need(math.fsum(math.exp(-nlp / 1e6) for _, nlp in top) <= 1.001, "top sums to more than 1.001")
        yield line


def read_transcript(data):
    t = members(parse_canonical(data), ["type", "plan", "hello", "started", "ended", "queries", "files"])
    check_patterns(t, {"type": "heirmark/transcript/v1", "plan": HEX64})
    hello = members(t["hello"], ["context", "name", "vocab", "weights_digest"])
    check_int(hello["context"], 1, 2 ** 53, "context")
    check_int(hello["vocab"], 1, VOCAB, "vocab")
    check_patterns(hello, {"name": ASCII_TEXT, "weights_digest": f"({HEX64})?"})
    time_of(t["started"])
    time_of(t["ended"])
    check_int(t["queries"], 0, 2 ** 53, "queries")
    need(isinstance(t["files"], list) and 1 <= len(t["files"]) <= 2, "files is no list of 1 or 2")
    for f in t["files"]:
        members(f, ["lines", "path", "sha256"])
        check_int(f["lines"], 0, 2 ** 53, "lines")
        check_patterns(f, {"path": r"transcript/(c1|issued)\.jsonl", "sha256": HEX64})
    paths = [f["path"] for f in t["files"]]
    need(paths == sorted(set(paths)), "files are not in order")
    return t


DECIMAL = r"-?(?=[0-9.]{1,64}$)[0-9]+(\.[0-9]+)?"


def check_kinds(value, kinds, where):
    """Members and kinds: a pattern of a string, the greatest integer, bool, or ([kinds of the entries], least, most) of a list."""
    need(isinstance(value, dict) and set(value) == set(kinds), f"{where} has other members")
    for name, kind in kinds.items():
        one = value[name]
        if isinstance(kind, str):
            need(matches(kind, one), f"{where}: {name} is malformed")
        elif kind is bool:
            need(isinstance(one, bool), f"{where}: {name} is neither true nor false")
        elif isinstance(kind, int):
            check_int(one, 0, kind, f"{where}: {name}")
        else:
            need(isinstance(one, list) and kind[1] <= len(one) <= kind[2], f"{where}: {name} is no list of {kind[1]} to {kind[2]}")
            for entry in one:
                check_kinds(entry, kind[0], name)


def read_verdict(data):
    most = 2 ** 53 - 1
    both = {"log10_p": DECIMAL, "log10_e": DECIMAL}
    v = parse_canonical(data)
    check_kinds(v | {"channels": [], "controls": v.get("controls")} if isinstance(v, dict) and isinstance(v.get("channels"), list) else v, both | {
        "type": "heirmark/verdict/v1", "method": "heirmark-statistics-v1", "date": ".*", "plan": HEX64, "transcript": HEX64, "opening": HEX64,
        "commitment": HEX64, "ledger": f"({HEX64})?", "suspect": HEX64, "outcome": "supports|inconclusive|does-not-support", "alpha": ASCII_TEXT,
        "multiplicity": most, "channels": ({}, 0, 0), "controls": (both | {"name": ASCII_TEXT}, 0, 64)}, "verdict")
    time_of(v["date"])
    need(v["multiplicity"] >= 1 and 1 <= len(v["channels"]) <= 3, "multiplicity or the number of channels is out of range")
    common = both | {"channel": "c1|c2|c3", "weight": 10 ** 6, "n": most, "tainted": most, "growth": (both | {"n": most}, 0, 64)}
    classes = ({"class": 15, "pairs": most, "ge": most, "statistic": ASCII_TEXT}, 0, 16)
    c1 = common | {"statistic": ASCII_TEXT, "positions": most, "repeats": most, "off_coin": most, "scheme": ASCII_TEXT,
                   "countRule": "distinct|sqrt2|log2", "decoys": most, "log10_p_prf": DECIMAL, "log10_p_saddlepoint": f"({DECIMAL})?",
                   "log10_p_rank": f"({DECIMAL})?", "classes": classes}
    issued = common | {"responses": most, "issuance": most, "window": most,
                       "accounts": ({"account": NAME, "responses": most, "log10_e": DECIMAL, "named": bool}, 0, 10 ** 7)}
    for c in v["channels"]:
        need(isinstance(c, dict) and matches("c1|c2|c3", c.get("channel")), "unknown channel")
        if c["channel"] == "c1":
            histogram = members(c, list(c1) + ["histogram"])["histogram"]
            check_patterns(members(histogram, ["counts", "live", "low", "width"]), {name: ASCII_TEXT for name in ("live", "low", "width")})
            need(isinstance(histogram["counts"], list) and len(histogram["counts"]) <= 1024, "counts is no list")
            for count in histogram["counts"]:
                check_int(count, 0, most, "counts")
            c = {name: one for name, one in c.items() if name != "histogram"}
        check_kinds(c, c1 if c["channel"] == "c1" else issued | ({"alpha": DECIMAL, "beta": DECIMAL} if c["channel"] == "c3" else {}), c["channel"])
        need(c["weight"] >= 1, "weight is 0")
    return v


# ---------------------------------------------------------------------------------------------------------------- evidence.md

TAG_FILES = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt")
ROLES = {"commitment": "provider", "ledger": "provider", "plan": "auditor", "transcript": "auditor", "verdict": "auditor"}
BUILDS_ON = {"commitment": [], "ledger": ["commitment"], "plan": ["commitment", "ledger", "prompts", "suspect"], "transcript": ["plan"],
             "verdict": ["opening", "plan", "transcript"]}
FILE_OF = {name: name + (".jsonl" if name in ("ledger", "prompts") else ".json")
           for name in ("commitment", "ledger", "plan", "transcript", "verdict", "opening", "prompts", "suspect")}
EVIDENCE = ("commitment", "opening", "suspect", "plan", "prompts", "ledger", "transcript")  # everything that a verdict is computed from
STAMPS = {name: [f"stamps/{name}-{slot}.tsr" for slot in (1, 2)] for name in ROLES}
OPTIONAL = {path for paths in STAMPS.values() for path in paths}
OF_C1, OF_LEDGER = {"prompts.jsonl", "transcript/c1.jsonl"}, {"ledger.jsonl", "transcript/issued.jsonl", "statements/ledger.dsse.json", *STAMPS["ledger"]}
PAYLOAD = sorted(set(FILE_OF.values()) | OF_C1 | OF_LEDGER | {f"statements/{name}.dsse.json" for name in ROLES}
                 | OPTIONAL | {"trust/provider.pem", "trust/auditor.pem"})
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def manifest(folder, files):
    return b"".join(f"{sha256(files[name])}  {folder}{name}\n".encode() for name in sorted(files))


def tag_files(payload, verdict_date, plan_id):
    """The four tag files of a payload {path under data/: bytes}."""
    out = {"bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
           "bag-info.txt": (f"Bagging-Date: {verdict_date[:10]}\nExternal-Identifier: {plan_id}\n"
                            f"Payload-Oxum: {sum(map(len, payload.values()))}.{len(payload)}\n").encode()}

    out["manifest-sha256.txt"] = manifest("data/", payload)
    out["tagmanifest-sha256.txt"] = manifest("", out)
    return out


P256, P256_B = 2 ** 256 - 2 ** 224 + 2 ** 192 + 2 ** 96 - 1, 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def public_key(pem):
    """(algorithm, DER SubjectPublicKeyInfo) of a PEM file."""
    found = re.fullmatch(rb"-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PUBLIC KEY-----\n", pem)
    need(found, "not a public key in PEM")
    try:
        der = base64.b64decode(found[1].replace(b"\n", b""), validate=True)
    except binascii.Error:
        raise Bad("not a public key in PEM") from None
    if der[:12] == bytes.fromhex("302a300506032b6570032100") and len(der) == 44:
        return "ed25519", der
    if der[:27] == bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\x04" and len(der) == 91:
        x, y = int.from_bytes(der[27:59], "big"), int.from_bytes(der[59:], "big")
        need(max(x, y) < P256 and (x ** 3 - 3 * x + P256_B - y * y) % P256 == 0, "no point of P-256")
        return "p256", der
    raise Bad("neither Ed25519 nor P-256")


def signature_checks(pem, algorithm, message, signature):
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, data in (("key", pem), ("message", message), ("signature", signature)):
            paths.append(os.path.join(folder, name))
            with open(paths[-1], "wb") as file:
                file.write(data)
        key, message, signature = paths
        if algorithm == "ed25519":
            command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", message, "-sigfile", signature]
        else:
            command = ["openssl", "dgst", "-sha256", "-verify", key, "-signature", signature, message]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def strict_base64(text):
    need(isinstance(text, str), "not base64")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Bad("not base64") from None
    need(base64.b64encode(data).decode() == text, "not base64 in its one form")
    return data


def read_statement(name, data):
    """Of the statement about NAME: (statement, payload bytes, key id, signature) of an envelope."""
    e = members(parse_canonical(data), ["payload", "payloadType", "signatures"])
    need(e["payloadType"] == PAYLOAD_TYPE, "another payload type")
    need(isinstance(e["signatures"], list) and len(e["signatures"]) == 1, "not one signature")
    signature = members(e["signatures"][0], ["keyid", "sig"])
    need(matches(HEX64, signature["keyid"]), "keyid is malformed")
    payload = strict_base64(e["payload"])
    s = members(parse_canonical(payload), ["_type", "subject", "predicateType", "predicate"])
    need(s["_type"] == "https://in-toto.io/Statement/v1", "another kind of statement")
    need(isinstance(s["subject"], list) and len(s["subject"]) == 1, "not one subject")
    subject = members(s["subject"][0], ["digest", "name"])
    need(matches(HEX64, members(subject["digest"], ["sha256"])["sha256"]) and matches(ASCII_TEXT, subject["name"]), "subject is malformed")
    predicate = members(s["predicate"], ["date", "signer"] + BUILDS_ON[name])
    need(matches(ASCII_TEXT, s["predicateType"]) and matches(ASCII_TEXT, predicate["signer"]), "predicate is malformed")
    need(all(matches(f"({HEX64})?", predicate[other]) for other in BUILDS_ON[name]), "predicate has a malformed digest")
    time_of(predicate["date"])
    return s, payload, signature["keyid"], strict_base64(signature["sig"])


def prompt_order(plan_digest, count):
    """Indices of the prompts, in the order of use, and the seed s."""
    s = hashlib.sha256(b"heirmark/v1/seed" + plan_digest.encode()).digest()
    return sorted(range(count), key=lambda i: hashlib.sha256(s + i.to_bytes(4, "big")).digest()), s


def der_values(data):
    """The DER values that follow each other in `data`: [(tag, content, all of it)]. One form of each length; integers no longer than needed; sets sorted."""
    out = []
    while data:
        need(len(data) >= 2 and data[0] & 31 != 31, "not DER")
        tag, size, at = data[0], data[1], 2
        if size >= 128:
            at += size - 128
            need(129 <= size <= 132 and len(data) >= at, "not DER")
            size = int.from_bytes(data[2:at], "big")
            need(size >= 128 and data[2] != 0, "not DER")
        need(len(data) >= at + size, "not DER")
        value = data[at:at + size]
        need(tag != 0x02 or value and (len(value) == 1 or (value[0], value[1] >> 7) not in ((0, 0), (255, 1))), "not DER")
        need(tag not in (0x24, 0x23, 0x2C) and (tag != 0x01 or value == b"\xff"), "not DER")  # strings in pieces; FALSE is the default everywhere here
        out.append((tag, value, data[:at + size]))
        data = data[at + size:]
    return out


def der_at(values, index, tag):
    need(index < len(values) and values[index][0] == tag, "another form of time stamp")
    return values[index][1]


def der_oid(text):
    first, second, *rest = map(int, text.split("."))
    out = b""
    for number in (40 * first + second, *rest):
        part = bytes([number & 127])
        while number := number >> 7:
            part = bytes([128 | number & 127]) + part
        out += part
    return out


class Stamp:
    """A TimeStampResp taken apart (evidence.md, "Time stamps", 1): imprint (algorithm, digest), time and generated (genTime, seconds)."""

    SIGNED, TOKEN, SHA256 = map(der_oid, ("1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4", "2.16.840.1.101.3.4.2.1"))
    DIGESTS = {der_oid(f"2.16.840.1.101.3.4.2.{last}") for last in range(1, 11)}  # SHA-2 and SHA-3 of 224 bits and more
    CONTENT_TYPE, MESSAGE_DIGEST, NAMED, NAMED_V2 = map(der_oid, ("1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"))

    def __init__(self, data):
        need(len(data) <= 2 ** 20, "too long")
        outer = der_values(data)
        need(len(outer) == 1, "more than one value")
        reply = der_values(der_at(outer, 0, 0x30))
        need(der_at(der_values(der_at(reply, 0, 0x30)), 0, 0x02) in (b"\0", b"\1"), "not granted")
        content = der_values(der_at(reply, 1, 0x30))
        need(der_at(content, 0, 0x06) == self.SIGNED, "not signed data")
        signed = der_values(der_at(der_values(der_at(content, 1, 0xA0)), 0, 0x30))
        algorithms = [whole for _, _, whole in der_values(der_at(signed, 1, 0x31))]
        need(len(algorithms) <= 8 and algorithms == sorted(algorithms), "digest algorithms")
        inner = der_values(der_at(signed, 2, 0x30))
        need(der_at(inner, 0, 0x06) == self.TOKEN, "no token")
        octets = der_values(der_at(inner, 1, 0xA0))
        token = der_values(der_at(octets, 0, 0x04))
        need(len(octets) == 1 and len(token) == 1, "something beside the token")
        self.token(der_values(der_at(token, 0, 0x30)))
        certificates = {self.name(value) for tag, part, _ in signed if tag == 0xA0 for _, value, _ in self.counted(der_values(part), 32)}
        signers = der_values(der_at(signed, len(signed) - 1, 0x31))
        need(len(signers) == 1, "not one signer")
        signer = der_values(der_at(signers, 0, 0x30))
        need(der_at(signer, 1, 0x30) in certificates, "its certificate is not there")
        need(der_at(der_values(der_at(signer, 2, 0x30)), 0, 0x06) in self.DIGESTS, "a weak digest")
        attributes = {}
        for _, value, _ in der_values(der_at(signer, 3, 0xA0)):
            attribute = der_values(value)
            attributes.setdefault(der_at(attribute, 0, 0x06), []).append(der_values(der_at(attribute, 1, 0x31)))

        def only(kind, tag):
            values = attributes[kind]
            need(len(values) == 1 and len(values[0]) == 1 and values[0][0][0] == tag, "an attribute of another form")
            return values[0][0]
        need({self.CONTENT_TYPE, self.MESSAGE_DIGEST} <= set(attributes) and (self.NAMED in attributes or self.NAMED_V2 in attributes), "an attribute is missing")
        need(only(self.CONTENT_TYPE, 0x06)[1] == self.TOKEN, "not signed as a time stamp")
        only(self.MESSAGE_DIGEST, 0x04)
        for kind in (self.NAMED, self.NAMED_V2):
            need(kind not in attributes or len(only(kind, 0x30)[2]) <= 4096, "too many names")

    @staticmethod
    def counted(values, most):
        need(len(values) <= most, "too many certificates")
        return values

    @staticmethod
    def name(certificate):
        """Issuer and serial number of a certificate's content, as a SignerInfo names it."""
        fields = [(tag, whole) for tag, _, whole in der_values(der_at(der_values(certificate), 0, 0x30)) if tag != 0xA0]
        return fields[2][1] + fields[0][1]

    def token(self, info):
        need(der_at(info, 0, 0x02) == b"\1", "another version")
        imprint = der_values(der_at(info, 2, 0x30))
        algorithm = der_values(der_at(imprint, 0, 0x30))
        need(algorithm[1:] in ([], [(0x05, b"", b"\x05\0")]), "a digest with parameters")
        self.imprint = der_at(algorithm, 0, 0x06), der_at(imprint, 1, 0x04)
        for tag, part, _ in info[5:]:
            need(tag != 0xA1 or all((0x01, b"\xff", b"\x01\x01\xff") not in der_values(value) for _, value, _ in der_values(part)), "a critical extension")
        text = der_at(info, 4, 0x18).decode("ascii", "replace")
        need(re.fullmatch(r"\d{14}(\.\d+)?Z", text, re.ASCII), "another form of time")
        try:
            at = datetime.datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            raise Bad("no such time") from None
        self.generated = int((at - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)).total_seconds())
        late = Decimal("0" + text[14:-1]) if text[14:-1] else Decimal(0)
        if len(info) > 5 and info[5][0] == 0x30:
            units = {0x02: (Decimal(1), 86400), 0x80: (Decimal("0.001"), 999), 0x81: (Decimal("0.000001"), 999)}
            fields = der_values(info[5][1])
            need([tag for tag, _, _ in fields] == sorted({tag for tag, _, _ in fields} & set(units)), "another form of accuracy")
            for tag, value, _ in fields:
                unit, high = units[tag]
                need(value, "not DER")
                amount = int.from_bytes(value, "big", signed=True)
                need(0 <= amount <= high, "accuracy out of range")
                late += unit * amount
        try:
            self.time = (at + datetime.timedelta(seconds=math.ceil(late))).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
        except OverflowError:
            raise Bad("no such time") from None

    def about(self, data):
        return self.imprint == (self.SHA256, hashlib.sha256(data).digest())


@functools.lru_cache(maxsize=None)  # a test verifies the same stamps again and again, and openssl is a process each time
def stamp_checks(data, generated, message, roots=None):
    """Whether openssl finds a stamp signed by a certificate that leads to `roots` (PEM); without, by the one that it carries."""
    with tempfile.TemporaryDirectory() as folder:
        def run(*words):
            return subprocess.run(["openssl", *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        for name, content in (("reply", data), ("message", message), ("roots", roots or b"")):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        if roots is None:
            run("ts", "-reply", "-in", "reply", "-token_out", "-out", "token")
            run("pkcs7", "-inform", "DER", "-in", "token", "-print_certs", "-out", "roots")
        return run("ts", "-verify", "-in", "reply", "-data", "message", "-CAfile", "roots", "-partial_chain", "-auth_level", "2", "-attime", str(generated)).returncode == 0


class Verification:
    """All checks of a bag. `codes` has (code, level, detail) of every check that was made."""

    def __init__(self, folder, trust=(), authorities=()):
        self.codes, self.files, self.parsed, self.dates, self.keys, self.stamped = [], {}, {}, {}, {}, {}
        self.authorities = list(authorities)
        self.trust = [public_key(pem)[1] for pem in trust]
        self.walk(folder)
        self.raw = {path[5:]: data for path, data in self.files.items() if path.startswith("data/")}
        if self.manifests():
            self.objects()
            self.bindings()
            self.statements()
            self.time_stamps()
            self.order_of_dates()
            self.stamped_dates()
            self.recompute()
        levels = {level for _, level, _ in self.codes}
        untrusted = any(code in ("trust.untrusted", "trust.unstamped") for code, _, _ in self.codes)
        self.state = "invalid" if "fail" in levels else "valid-but-untrusted" if untrusted else "valid"

    def fail(self, code, detail=""):
        self.codes.append((code, "fail", detail))

    def note(self, code, detail=""):
        self.codes.append((code, "note", detail))

    def expect(self, condition, code, detail=""):
        self.codes.append((code, "ok" if condition else "fail", "" if condition else detail))

    # ---- 1 and 2
    def walk(self, folder):
        places = {"data/" + path for path in PAYLOAD}
        folders = {os.path.dirname(place) for place in places}

        def visit(where):
            for entry in sorted(os.scandir(os.path.join(folder, where)), key=lambda e: e.name):
                path = os.path.join(where, entry.name)
                if entry.is_dir(follow_symlinks=False) and path in folders:
                    visit(path)
                elif path not in places and path not in TAG_FILES:
                    self.fail("bag.extra-file", path)
                elif not entry.is_file(follow_symlinks=False):
                    self.fail("bag.file-type", path)
                elif entry.stat().st_size > (2 ** 33 if path.endswith(".jsonl") or path == "data/verdict.json" else 2 ** 24):
                    self.fail("bag.size", path)
                else:
                    self.files[path] = read_file(entry.path)
        visit("")

    def manifests(self):
        missing = [name for name in TAG_FILES if name not in self.files]
        for name in missing:
            self.fail("bag.missing-file", name)
        if missing:
            return False
        if self.files["manifest-sha256.txt"] != manifest("data/", self.raw):
            self.fail("bag.manifest")
            return False
        self.expect(True, "bag.manifest")
        if self.files["tagmanifest-sha256.txt"] != manifest("", {name: self.files[name] for name in TAG_FILES[:3]}):
            self.fail("bag.tags", "tagmanifest-sha256.txt")
            return False
        return True

    # ---- 3
    def parse(self, name, reader):
        if FILE_OF[name] in self.raw:
            try:
                self.parsed[name] = reader(self.raw[FILE_OF[name]])
                self.expect(True, f"{name}.parse")
            except Bad as error:
                self.fail(f"{name}.parse", str(error))

    def objects(self):
        for name, reader in (("plan", read_plan), ("commitment", read_commitment), ("opening", read_opening), ("suspect", read_suspect),
                             ("transcript", read_transcript), ("verdict", read_verdict)):
            self.parse(name, reader)
        plan = self.parsed.get("plan")
        for path in PAYLOAD:
            optional = path in OF_C1 | OF_LEDGER
            used = not optional if plan is None else not (path in OF_C1 and not uses_c1(plan) or path in OF_LEDGER and not uses_ledger(plan))
            if used and path not in OPTIONAL and path not in self.raw:
                self.fail(f"statement.{path[11:-10]}.missing" if path.startswith("statements/") else "bag.missing-file", path)
            if plan is not None and not used and path in self.raw:
                self.fail("bag.extra-file", path)
        if plan is not None and "verdict" in self.parsed:
            expected = tag_files(self.raw, self.parsed["verdict"]["date"], plan["planId"])
            self.expect(all(self.files[name] == expected[name] for name in TAG_FILES), "bag.tags")
        for role in ("provider", "auditor"):
            if f"trust/{role}.pem" in self.raw:
                try:
                    self.keys[role] = public_key(self.raw[f"trust/{role}.pem"])
                except Bad as error:
                    self.fail(f"trust.{role}.parse", str(error))
        if {"plan", "suspect"} <= set(self.parsed):
            vocab = self.parsed["suspect"]["vocab"]
            if uses_c1(plan):
                self.parse("prompts", lambda data: read_prompts(data, vocab))
            if uses_ledger(plan):
                self.parse("ledger", lambda data: read_ledger(data, vocab))

    def digest(self, name):
        return sha256(self.raw[FILE_OF[name]]) if FILE_OF[name] in self.raw else ""

    # ---- 4
    def bindings(self):
        p = self.parsed
        if "commitment" in p:
            self.expect(p["commitment"]["digest"] == self.digest("opening"), "commitment.opening-digest")
            if "opening" in p:
                self.expect(all(p["commitment"][n] == p["opening"][n] for n in ("path", "keyId", "familySize", "profile")), "commitment.opening-fields")
        if "plan" in p:
            for name in ["commitment", "suspect"] + ["prompts"] * uses_c1(p["plan"]) + ["ledger"] * uses_ledger(p["plan"]):
                self.expect(p["plan"][name] == self.digest(name), f"plan.{name}")
            if "commitment" in p:
                self.expect(p["plan"]["opening"] == p["commitment"]["digest"], "plan.opening")
                self.expect(all(p["plan"][n] == p["commitment"][n] for n in ("path", "keyId", "familySize", "profile")), "plan.key")
            if "ledger" in p:
                self.expect(len(p["ledger"]) == p["plan"]["ledgerResponses"], "plan.ledger-responses")
        if "transcript" in p:
            t = p["transcript"]
            self.expect(t["plan"] == self.digest("plan"), "transcript.plan")
            if "plan" in p:
                paths = ["transcript/c1.jsonl"] * uses_c1(p["plan"]) + ["transcript/issued.jsonl"] * uses_ledger(p["plan"])
                data = [self.raw.get(path, b"") for path in paths]
                files = [{"lines": some.count(b"\n"), "path": path, "sha256": sha256(some)} for path, some in zip(paths, data)]
                self.expect(t["files"] == files and t["queries"] == sum(f["lines"] for f in files), "transcript.file")
            if "suspect" in p:
                s = p["suspect"]
                self.expect(t["hello"]["vocab"] == s["vocab"] and (not s["weights"] or not t["hello"]["weights_digest"]
                                                                   or s["weights"] == t["hello"]["weights_digest"]), "transcript.hello")
                if t["hello"]["name"] != s["name"]:
                    self.note("transcript.name", t["hello"]["name"])
        for check, file, needed in (("c1", "transcript/c1.jsonl", {"prompts"}), ("issued", "transcript/issued.jsonl", {"ledger", "transcript"})):
            if file in self.raw and needed <= set(p):
                try:
                    getattr(self, "answers_" + check)()
                    self.expect(True, f"transcript.{check}")
                except Bad as error:
                    self.fail(f"transcript.{check}", str(error))
        if "verdict" in p:
            for name in ("plan", "transcript", "opening", "commitment", "ledger", "suspect"):
                self.expect(p["verdict"][name] == self.digest(name), f"verdict.{name}")

    def answers_c1(self):
        plan = next(c for c in self.parsed["plan"]["channels"] if c["channel"] == "c1")
        prompts = self.parsed["prompts"]
        need(prompts, "no prompts")
        order, _ = prompt_order(self.digest("plan"), len(prompts))
        lines = list(read_c1(self.raw["transcript/c1.jsonl"], self.parsed["suspect"]["vocab"]))
        need(len(lines) == plan["texts"], "another number of texts")
        for i, line in enumerate(lines):
            prompt = prompts[order[i % len(order)]]
            need(line["prompt_tokens"] == len(prompt) and line["tokens"][:len(prompt)] == prompt, f"text {i} has another prompt")
            need(len(line["tokens"]) - len(prompt) <= plan["tokensPerText"], f"text {i} is too long")

    def answers_issued(self):
        context, ledger = self.parsed["transcript"]["hello"]["context"], self.parsed["ledger"]
        lines = list(read_issued(self.raw["transcript/issued.jsonl"], self.parsed["plan"], self.parsed["suspect"]["vocab"]))
        need(len(lines) == len(ledger), "another number of responses")
        for line, r in zip(lines, ledger):
            k, t = len(r["prompt"]), len(r["tokens"])
            need(len(line["positions"]) == max(0, min(k + t, context) - k), f"response {line['response']} has another number of positions")

    # ---- signatures
    def statements(self):
        for name, role in ROLES.items():
            path, code = f"statements/{name}.dsse.json", f"statement.{name}."
            if path not in self.raw:
                continue
            try:
                s, payload, key_id, signature = read_statement(name, self.raw[path])
            except Bad as error:
                self.fail(code + "parse", str(error))
                continue
            self.expect(True, code + "parse")
            algorithm, der = self.keys.get(role, (None, b""))
            pae = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
            self.expect(key_id == sha256(der) and signature_checks(self.raw[f"trust/{role}.pem"], algorithm, pae, signature), code + "signature")
            subject, predicate = s["subject"][0], s["predicate"]
            self.expect(subject == {"digest": {"sha256": self.digest(name)}, "name": FILE_OF[name]}, code + "subject")
            wanted = {"date": predicate["date"], "signer": role} | {other: self.digest(other) for other in BUILDS_ON[name]}
            self.expect(s["predicateType"] == f"https://heirmark.dev/{name}/v1" and predicate == wanted, code + "predicate")
            self.dates[name] = predicate["date"]
        ders = {role: der for role, (_, der) in self.keys.items()}
        if len(ders) == 2 and ders["provider"] == ders["auditor"]:
            self.note("trust.one-key")
        if not self.trust:
            self.note("trust.unpinned")
        else:
            for role, der in ders.items():
                if der in self.trust:
                    self.expect(True, "trust." + role)
                else:
                    self.note("trust.untrusted", role)

    # ---- time stamps
    def time_stamps(self):
        for name, paths in STAMPS.items():
            message, good = self.raw.get(f"statements/{name}.dsse.json", b""), []
            for path in (path for path in paths if path in self.raw):
                data, code = self.raw[path], f"stamp.{name}."
                try:
                    stamp = Stamp(data)
                except Bad as error:
                    self.fail(code + "parse", str(error))
                    continue
                about = stamp.about(message)
                signed = not about or stamp_checks(data, stamp.generated, message)  # openssl looks at both at once
                self.expect(about, code + "imprint")
                self.expect(signed, code + "signature")
                if about and signed and (not self.authorities or any(stamp_checks(data, stamp.generated, message, roots) for roots in self.authorities)):
                    good.append(stamp.time)
            if good:
                self.stamped[name] = min(good) if self.authorities else max(good)
        if self.authorities:
            missing = [name for name in self.dates if name != "verdict" and name not in self.stamped]
            self.note("trust.unstamped", ", ".join(missing)) if missing else self.expect(True, "trust.stamps")
        elif self.stamped:
            self.note("trust.stamps-unpinned")

    def stamped_dates(self):
        p, d, s = self.parsed, self.dates, self.stamped
        released = p.get("suspect", {}).get("released", "")
        until = {"commitment": released and released + "T23:59:59Z", "ledger": released and released + "T23:59:59Z", "plan": p.get("transcript", {}).get("started", ""),
                 "transcript": p.get("verdict", {}).get("date", "")}
        good = self.authorities and s and all(d.get(name, "") <= time for name, time in s.items()) and all(name in s and s[name] <= time for name, time in until.items() if time and name in d)
        self.expect(True, "dates.stamped") if good else self.note("dates.stamped")
        if "commitment" in d and "commitment" in p:
            self.expect(True, "dates.commitment") if d["commitment"][:10] <= p["commitment"]["notBefore"] else self.note("dates.commitment")

    def order_of_dates(self):
        p, d = self.parsed, self.dates
        order = [d.get("commitment"), d.get("ledger"), p.get("plan", {}).get("date"), d.get("plan"), p.get("transcript", {}).get("started"),
                 p.get("transcript", {}).get("ended"), d.get("transcript"), p.get("verdict", {}).get("date"), d.get("verdict")]
        order = [date for date in order if date is not None]
        self.expect(order == sorted(order), "dates.order")
        if p.get("ledger"):
            times = [line["time"] for line in p["ledger"]]
            key = p.get("commitment", {"notBefore": "", "notAfter": "9"})
            good = (times == sorted(times) and max(times) <= d.get("ledger", "9") and key["notBefore"] <= min(times)[:10] and max(times)[:10] <= key["notAfter"])
            self.expect(True, "dates.ledger") if good else self.note("dates.ledger")
        if "suspect" in p:
            released = p["suspect"]["released"]
            if not released:
                self.note("dates.no-release")
            else:
                self.expect(all(d[name][:10] <= released for name in ("commitment", "ledger") if name in d), "dates.release")

    # ---- 5
    def recompute(self):
        if "verdict" not in self.parsed:
            return
        broken = [code for code, level, _ in self.codes if level == "fail" and code.split(".")[0] in EVIDENCE]
        missing = {"commitment", "opening", "suspect", "plan", "transcript"} - set(self.parsed)
        if broken or missing:
            self.fail("verdict.recomputed", "cannot be computed: " + ", ".join(broken + sorted(missing)))
            return
        again = Case(self.raw).verdict(self.parsed["verdict"]["date"])
        self.expect(again == self.raw["verdict.json"], "verdict.recomputed", "other bytes")

    def report(self):
        out = {"state": self.state, "planId": "", "outcome": "", "log10_p": None, "log10_e": None, "codes": [{"code": c, "level": level, "detail": d} for c, level, d in self.codes]}
        if {"plan", "verdict"} <= set(self.parsed):
            out |= {"planId": self.parsed["plan"]["planId"], "outcome": self.parsed["verdict"]["outcome"]}
            out |= {name: float(self.parsed["verdict"][name]) for name in ("log10_p", "log10_e")}
        return out


# ---------------------------------------------------------------------------------------------------------------- scoring.md, Token file

class Line(dict):
    """An object of a token file, which remembers the names as they stood."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.names = [name for name, _ in pairs]


def read_token_file(data, vocab=VOCAB, reading=False):
    out = []
    for number, text in enumerate(data.rstrip(b"\n").split(b"\n") if data.strip(b"\n") else (), 1):
        try:
            line = json.loads(text.decode(), object_pairs_hook=Line, parse_constant=no_number)
        except ValueError as error:
            raise Bad(f"line {number}: {error}") from None
        need(depth_of(line) <= 32, f"line {number}: too deep")
        need(isinstance(line, dict) and isinstance(line.get("tokens"), list), f"line {number}: tokens is no list")
        need(line.names.count("tokens") == 1 and line.names.count("prompt_tokens") < 2, f"line {number}: a member twice")
        check_tokens(line["tokens"], vocab, f"line {number}: tokens", high=2 ** 32)
        check_int(line.get("prompt_tokens", 0), 0, len(line["tokens"]), f"line {number}: prompt_tokens")
        if reading:
            for name in ("top", "base"):
                if name in line or name == "top":
                    lists = line.get(name)
                    need(isinstance(lists, list) and len(lists) == len(line["tokens"]) - line.get("prompt_tokens", 0), f"line {number}: {name}")
                    for entries in lists:
                        need(len({v for v, _ in entries}) == len(entries) and sum(q for _, q in entries) <= 2 ** 32, f"line {number}: {name}")
        out.append(line)
    return out


def detect(lines, opening, decoys=0, rule="distinct", reading=False):
    """The members of `heirmark detect --json`."""
    need(lines, "no text")
    key = Key(opening)
    text = reading_pairs(lines, key) if reading else text_pairs(lines, key, rule)
    c = C1(text, key, key.live, decoys)
    saddle = c.ln_p_saddlepoint()

    def number(text):
        return float(text)
    value = f"{c.statistic / (2 ** 24 if key.profile.scheme == 'gumbel' else 1) / text.unit:.10g}"
    return {"scheme": key.profile.scheme, "profile": opening["profile"], "keyId": opening["keyId"], "path": opening["path"], "n": len(text.pairs),
            "statistic": float(value), "statistic_integer": str(c.statistic),
            "log10_p": number(print_p(c.ln_p)), "log10_e": number(print_e(c.ln_e)), "log10_p_prf": number(print_p(c.ln_p_prf)),
            "log10_p_rank": None if c.ln_p_rank is None else number(print_p(c.ln_p_rank)),
            "log10_p_saddlepoint": None if saddle is None else number(print_p(saddle)), "count_rule": None if reading else rule, "reading": reading, "decoys": decoys, "texts": len(lines),
            "positions": text.positions, "repeats": text.repeats, "tainted": text.tainted, "off_coin": text.off_coin,
            "classes": [{"class": cls, "pairs": n, "ge": ge, "statistic": str(x)} for cls, n, ge, x in c.classes]}


# ---------------------------------------------------------------------------------------------------------------- marks.md, a plain sampler

class Sampler:
    """Reference sampler in double precision: one response, one row at a time. Keys are subkeys, as a server has them; `issuance` is None for an
    account slot that is out of range."""

    def __init__(self, profile, coin, windows, issuance, request_id, prompt):
        self.profile, self.coin, self.windows, self.issuance = profile, coin, windows, issuance
        self.request_id, self.tokens, self.first, self.history = request_id, list(prompt), len(prompt), set()

    def accept(self, token):
        self.tokens.append(token)

    def issuance_row(self, t):
        return hchacha([(self.issuance, self.request_id + t.to_bytes(4, "little"))])[0]

    @staticmethod
    def race(row, masses):
        """Winning bin of {bin: mass}."""
        bins = [b for b in sorted(masses) if masses[b] > 0]
        wanted = list(dict.fromkeys((row, domain, b // 16) for b in bins for domain in (b"hm-bins1", b"hm-bins2")))
        words = dict(zip(wanted, blocks(wanted)))

        def arrival(b):
            coarse, fine = (u32(words[row, domain, b // 16], 4 * (b % 16)) for domain in (b"hm-bins1", b"hm-bins2"))
            return -math.log1p(-unit_interval(coarse << 32 | fine)) / masses[b]
        return min(bins, key=arrival)

    @staticmethod
    def inner(row, e, b):
        """Token of bin b, from {token: e}."""
        tokens = [v for v in sorted(e) if v % 2048 == b and e[v] > 0]
        wanted = list(dict.fromkeys((row, b"hm-inner", v // 2048 // 8) for v in tokens))
        words = dict(zip(wanted, blocks(wanted)))
        return min(tokens, key=lambda v: -math.log1p(-unit_interval(u64(words[row, b"hm-inner", v // 2048 // 8], 8 * (v // 2048 % 8)))) / e[v])

    def sample(self, logits, temperature, min_p, top_k, top_p, mode):
        """(status, token or None), with the token accepted. logits: floats exact in float32, one for each token of the vocabulary."""
        status, token = self.draw(logits, temperature, min_p, top_k, top_p, mode)
        if token is not None:
            self.tokens.append(token)
        return status, token

    def draw(self, logits, temperature, min_p, top_k, top_p, mode):
        if self.issuance is None or not (math.isfinite(temperature) and (temperature == 0 or 1e-3 <= temperature <= 1e3) and 0 <= min_p <= 1 and 0 < top_p <= 1):
            return "bad-parameter", None
        for v, x in enumerate(logits):
            if x == math.inf:
                return "infinite-logit", v
        finite = {v: x + 0.0 for v, x in enumerate(logits) if math.isfinite(x)}
        if not finite:
            return "no-finite-logit", None
        t, profile = len(self.tokens) - self.first, self.profile
        w = window(self.tokens, len(self.tokens), profile.h)
        marked = mode in ("marked", "greedy") and w not in self.history and coins_of(self.coin, [w])[0] < profile.share
        words = None
        if marked:
            row = hchacha([(self.windows[classes_of([w])[0]], w)])[0]
            words = b"".join(blocks([(row, b"hm-bins1", i) for i in range(128)]))

        def green(b):
            return u32(words, 4 * b) < profile.gamma
        if temperature == 0 or mode == "greedy":
            if marked and profile.scheme == "greenlist":
                self.history.add(w)
                finite = {v: x + (profile.delta if green(v % 2048) else 0) for v, x in finite.items()}
            else:
                marked = False
            return ("marked" if marked else "unmarked"), max(finite, key=lambda v: (finite[v], -v))
        top = max(x / temperature for x in finite.values())
        e = {v: math.exp(x / temperature - top) for v, x in finite.items()}
        if min_p > 0:
            e = {v: x for v, x in e.items() if x >= min_p}
        order = sorted(e, key=lambda v: (-finite[v], v))
        if top_k:
            order = order[:top_k]
        if top_p < 1:
            masses = [math.floor(2 ** 40 * e[v]) for v in order]
            limit, before, kept = math.floor(2 ** 32 * top_p) * sum(masses), 0, 0
            while kept < len(order) and (kept == 0 or 2 ** 32 * before < limit):
                before += masses[kept]
                kept += 1
            order = order[:kept]
        e = {v: e[v] for v in sorted(order)}
        sums = {}
        for v, x in e.items():
            sums[v % 2048] = sums.get(v % 2048, 0.0) + x
        if mode == "off":
            return "unmarked", min(e) if len(e) == 1 else None
        draw_row = self.issuance_row(t)
        if not marked:
            return "issued", self.inner(draw_row, e, self.race(draw_row, sums))
        self.history.add(w)
        if profile.scheme == "gumbel":
            return "marked", self.inner(row, e, self.race(row, sums))
        if profile.scheme == "greenlist":
            sums = {b: s * (math.exp(profile.delta) if green(b) else 1) for b, s in sums.items()}
        else:
            sums = self.tournament(sums, words)
        return "marked", self.inner(draw_row, e, self.race(draw_row, sums))

    def tournament(self, sums, words):
        def halved(values):
            while len(values) > 1:
                half = len(values) // 2
                values = [a + b for a, b in zip(values[:half], values[half:])]
            return values[0]
        p = [sums.get(b, 0.0) for b in range(2048)]
        total = halved(p)
        p = [v / total for v in p]
        for layer in range(1, self.profile.layers + 1):
            g = [u32(words, 4 * b) >> 32 - layer & 1 for b in range(2048)]
            mean = halved([v * bit for v, bit in zip(p, g)])
            p = [v * (1 + bit - mean) for v, bit in zip(p, g)]
        return {b: p[b] for b in sums}


# ---------------------------------------------------------------------------------------------------------------- command line

def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("verify")
    one.add_argument("bag")
    one.add_argument("--trust", action="append", default=[])
    one = commands.add_parser("verdict")
    one.add_argument("bag")
    one = commands.add_parser("detect")
    one.add_argument("tokens")
    one.add_argument("opening")
    one.add_argument("--decoys", type=int, default=0)
    one.add_argument("--count-rule", default="distinct", choices=("distinct", "sqrt2", "log2"))
    one.add_argument("--vocab", type=int, default=VOCAB)
    one.add_argument("--reading", action="store_true")
    options = parser.parse_args()
    try:
        if options.command == "verify":
            result = Verification(options.bag, [read_file(path) for path in options.trust])
            print(json.dumps(result.report()))
            return 0 if result.state == "valid" else 1
        if options.command == "verdict":
            checked = Verification(options.bag)
            sys.stdout.buffer.write(Case(checked.raw).verdict(checked.parsed["verdict"]["date"]))
            return 0
        lines = read_token_file(read_file(options.tokens), options.vocab, options.reading)
        print(json.dumps(detect(lines, read_opening(read_file(options.opening)), options.decoys, options.count_rule, options.reading)))
        return 0
    except (Bad, OSError) as error:
        print(f"second_verifier: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
