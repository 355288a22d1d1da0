#!/usr/bin/env python3
"""Writes specs/vectors/statistics.json: what every function of heirmark::stats gives, from mpmath at 60 digits.

Shares no formula with the SDK where there is a choice: gamma and binomial tails are sums of their terms (checked against
mpmath's own incomplete gamma and beta functions where those work), the Chernoff bound is a bisection on K', mixtures and
bets are products in plain arithmetic.

Usage: statistics.py [--check] [FILE]     (needs mpmath; gmpy2 makes it faster)
"""
import json
import pathlib
import random
import sys

from mpmath import erfc, exp, isinf, log, loggamma, mp, mpf, nstr, pi, sqrt
import mpmath

mp.dps = 60
DEFAULT = pathlib.Path(__file__).resolve().parents[3] / "specs" / "vectors" / "statistics.json"
EFFECTS = [mpf(float(exp(log(mpf(10) ** -4) + (log(mpf(6) / 10) - log(mpf(10) ** -4)) * k / 39))) for k in range(40)]
SHARES = [mpf(float(f)) for f in ("1", ".3", ".1", ".03", ".01", ".003")]


def text(v):
    """20 significant digits; infinities by name."""
    if isinf(v):
        return "inf" if v > 0 else "-inf"
    return nstr(v, 20, min_fixed=-6, max_fixed=20)


def sum_terms(first, ratio):
    """first * (1 + r(0) + r(0) r(1) + ..) until the terms no longer matter."""
    total, term, j = mpf(1), mpf(1), 0
    while True:
        r = ratio(j)
        if r == 0:
            break
        term *= r
        total += term
        if term < total * mpf(10) ** -45 and r < 1:
            break
        j += 1
    return first + log(total)


def log_one_minus(log_v):
    return mpmath.log1p(-exp(log_v))


def gamma_tail(n, t):
    """ln P(Poisson(t) <= n - 1): the sum down from j = n - 1, or 1 - the sum up from j = n."""
    t = mpf(t)
    if t > n:
        value = sum_terms((n - 1) * log(t) - t - loggamma(n), lambda j: (n - 1 - j) / t)
    else:
        mp.dps += 40
        value = log_one_minus(sum_terms(n * log(t) - t - loggamma(n + 1), lambda j: t / (n + 1 + j)))
        mp.dps -= 40
    if n <= 1000:
        mp.dps += 60
        other = log(mpmath.gammainc(n, t, regularized=True)) if t > n else mpmath.log1p(-mpmath.gammainc(n, 0, t, regularized=True))
        mp.dps -= 60
        assert abs(value - other) <= abs(other) * mpf(10) ** -30, (n, t)
    return value


def binomial_tail(n, q, k):
    q = mpf(q)
    y = 1 - q

    def term(j):
        return loggamma(n + 1) - loggamma(j + 1) - loggamma(n - j + 1) + j * log(q) + (n - j) * log(y)

    if k > n * q:
        return sum_terms(term(k), lambda j: (n - k - j) * q / ((k + j + 1) * y))
    mp.dps += 40
    value = log_one_minus(sum_terms(term(k - 1), lambda j: (k - 1 - j) * y / ((n - k + 2 + j) * q)))
    mp.dps -= 40
    return value


def normal_tail(z):
    z = mpf(z)
    return log(erfc(z / sqrt(2)) / 2) if z > -1 else mpmath.log1p(-erfc(-z / sqrt(2)) / 2)


def mixture(logs):
    return log(sum(exp(v) for v in logs) / len(logs))


def e_exponential(n, t):
    return mixture([n * log(1 - d) + d * mpf(t) for d in EFFECTS])


def e_bernoulli(n, q, x):
    q = mpf(q)
    return mixture([x * log((q + d * (1 - q)) / q) + (n - x) * log(1 - d) for d in EFFECTS])


def printed_p(log_p):
    """As evidence states it (specs/statistics.md, Numbers)."""
    log10 = log_p / log(mpf(10))
    return shift(int(min(0, mpmath.ceil((log10 + guard(log10)) * 10**4))))


def printed_e(log_e):
    log10 = log_e / log(mpf(10))
    return shift(0 if log_e == 0 else int(mpmath.floor((log10 - guard(log10)) * 10**4)))


def guard(log10):
    return mpf(10) ** -9 + abs(log10) * mpf(10) ** -12


def shift(n):
    return ("-" if n < 0 else "") + f"{abs(n) // 10000}.{abs(n) % 10000:04d}"


class Weighted:
    def __init__(self, term, q, bits, groups):
        self.term, self.q, self.bits = term, mpf(q), bits
        self.groups = [(mpf(a), c) for a, c in groups]

    def pairs(self):
        return [(a, c * (self.bits if self.term == "fair_bits" else 1)) for a, c in self.groups if a != 0 and c]

    def p(self):
        return mpf(1) / 2 if self.term == "fair_bits" else self.q

    def cumulant(self, l):
        if self.term == "exponential":
            if any(l * a >= 1 for a, _ in self.pairs()):
                return mpf("inf")
            return sum(-c * log(1 - l * a) for a, c in self.pairs())
        return sum(c * log(1 - self.p() + self.p() * exp(l * a)) for a, c in self.pairs())

    def slopes(self, l):
        if self.term == "exponential":
            return (sum(c * a / (1 - l * a) for a, c in self.pairs()), sum(c * (a / (1 - l * a)) ** 2 for a, c in self.pairs()))
        tilted = [(a, c, self.p() / (self.p() + (1 - self.p()) * exp(-l * a))) for a, c in self.pairs()]
        return (sum(c * a * r for a, c, r in tilted), sum(c * a * a * r * (1 - r) for a, c, r in tilted))

    def root(self, x):
        up = self.slopes(mpf(0))[0] < x
        largest = max(abs(a) for a, _ in self.pairs())
        ends = [mpf(1) / a for a, _ in self.pairs() if (a > 0) == up] if self.term == "exponential" else []
        if ends:
            far = min(ends) if up else max(ends)
        else:
            far = (1 if up else -1) / largest
            while (self.slopes(far)[0] < x) == up:
                far *= 2
        near = mpf(0)
        for _ in range(140):
            mid = (near + far) / 2
            if (self.slopes(mid)[0] < x) == up:
                near = mid
            else:
                far = mid
        return (near + far) / 2

    def grid(self):
        if self.term == "exponential":
            return mpf(0)
        h = 0
        for a, _ in self.pairs():  # exact: the weights are doubles, hence integers over a power of two
            h = mpmath.libmp.MPZ(0) + h
            b = int(abs(a) * mpf(2) ** 80)
            while b:
                h, b = b, h % b
        return mpf(int(h)) / mpf(2) ** 80

    def tail(self, x):
        x = mpf(x)
        l = self.root(x)
        mp.dps += 120  # far below the mean ln p is -10^-100
        value = self.cumulant(l) - l * x
        w = mpmath.sign(l) * sqrt(-2 * value)
        h = self.grid()
        u = (1 - exp(-l * h)) / h * sqrt(self.slopes(l)[1]) if h else l * sqrt(self.slopes(l)[1])
        saddle = erfc(w / sqrt(2)) / 2 + exp(-w * w / 2) / sqrt(2 * pi) * (1 / u - 1 / w)
        log_saddle = log(saddle)
        mp.dps -= 120
        return (value if l > 0 else mpf(0)), log_saddle

    def e_value(self, x):
        unit = {"exponential": 1, "bernoulli": 4, "fair_bits": 2}[self.term]
        largest = max(abs(a) for a, _ in self.pairs())
        return mixture([unit * d / largest * mpf(x) - self.cumulant(unit * d / largest) for d in EFFECTS])


def gamma_cases():
    cases = [(1, 1e-300), (1, 1.0), (1, 1e6), (2, 3.0), (1000, 1200.0)]
    for n in (2, 3, 5, 10, 15, 16, 17, 30, 100, 1000, 10**4, 10**6, 10**8, 10**9):
        for z in (-12, -5, -1, 0, 1e-3, .5, 3, 10, 40):
            t = n + z * n ** .5
            if t > 0 and (n < 10**8 or z in (-5, 0, 3, 10, 40)):
                cases.append((n, t))
        for factor in (1e-9, .25, 1.5, 2, 10, 1e3):
            if n < 10**6 or factor > 1:
                cases.append((n, n * factor))
    # 10^-10000 and about e^(-10^6)
    cases += [(1000, 26000.0), (10**4, 46000.0), (10**6, 1230000.0), (10**9, 1006800000.0), (1000, 1.01e6), (10**6, 2.9e6)]
    for n, t in cases:
        log_p = gamma_tail(n, t)
        yield {"n": n, "t": repr(t), "log_p": text(log_p), "printed": printed_p(log_p)}


def binomial_cases():
    cases = [(1, .25, 1), (10, .25, 3), (10, .25, 9), (1000, .25, 300), (1000, .25, 999), (1000, .25, 1000), (1000, .25, 1),
             (100, 1e-12, 2), (100, 1 - 2**-40, 100), (100, 1 - 2**-40, 99), (10**9, .5, 10**9), (10**9, 1e-9, 1), (10**9, 1e-9, 5),
             (33220, .5, 33220), (10**5, .25, 66000), (10**6, .25, 344000), (10**9, .5, 503000000), (10**6, .5, 999000)]
    for n in (20, 100, 1000, 10**6, 10**9):
        for q in (2**-32, .001, .25, .3, .5, .9):
            mean, sd = n * q, (n * q * (1 - q)) ** .5
            for z in (-6, -1, 0, .5, 4, 15) if n < 10**9 else (-6, 0, 4, 15):
                k = round(mean + z * sd)
                if 1 <= k <= n:
                    cases.append((n, q, k))
    for n, q, k in dict.fromkeys(cases):
        log_p = binomial_tail(n, q, k)
        yield {"n": n, "q": repr(q), "k": k, "log_p": text(log_p), "printed": printed_p(log_p)}


def normal_cases():
    for z in (-37.5, -10.0, -5.0, -1.0, -.5, -.1, 0.0, 1e-8, .3, 1.0, 2.3263478740408408, 4.75, 7.9999, 8.0, 20.0, 37.0, 38.6, 214.5, 1e4, 1e6):
        yield {"z": repr(z), "log_p": text(normal_tail(z))}
    mp.dps += 20
    for tail in ("0.999", "0.75", "0.1", "1e-6", "1e-30"):
        log_p = mpf(float(log(mpf(tail))))
        low, high = mpf(-40), mpf(40)
        for _ in range(220):
            middle = (low + high) / 2
            low, high = (middle, high) if normal_tail(middle) > log_p else (low, middle)
        z = low
        yield {"z": text(z), "log_p": repr(float(log_p))}
    mp.dps -= 20


def weighted_cases():
    sqrt2 = [[int(256 * mpf(c) ** .5), n] for c, n in ((2, 4000), (3, 900), (4, 300), (7, 40), (30, 3))]
    mixed = [[100, 500], [250, 40], [-30, 700], [-400, 5]]
    many = [[k + .5, 1] for k in range(1, 400)]
    for term, q, bits, groups in (
            ("exponential", .5, 1, [[1, 1000]]), ("exponential", .5, 1, sqrt2), ("exponential", .5, 1, mixed), ("exponential", .5, 1, many),
            ("exponential", .5, 1, [[-2, 30], [-1, 5]]), ("exponential", .5, 1, [[1e-3, 10**6], [5, 1]]), ("exponential", .5, 1, [[1, 10**9]]),
            ("bernoulli", .25, 1, [[1, 1000]]), ("bernoulli", .25, 1, sqrt2), ("bernoulli", .25, 1, mixed), ("bernoulli", .9, 1, many),
            ("bernoulli", .001, 1, [[3, 10**6], [1, 10**5]]), ("bernoulli", .25, 1, [[1, 10**9]]),
            ("fair_bits", .5, 30, [[1, 1000]]), ("fair_bits", .5, 30, sqrt2), ("fair_bits", .5, 4, mixed), ("fair_bits", .5, 1, many)):
        w = Weighted(term, q, bits, groups)
        mean, variance = w.slopes(mpf(0))
        top = sum(a * c for a, c in w.pairs() if a > 0) if term != "exponential" else None
        xs = [mean + z * sqrt(variance) for z in (-4, -1, 1, 3, 6, 12, 60)]
        xs += [mean + (top - mean) * f for f in (mpf(".9"), mpf(".999"))] if top else [mean + 1000 * sqrt(variance)]
        for x in xs:
            x = float(x)
            if term == "exponential" and all(a < 0 for a, _ in groups) and x >= 0:
                continue
            if top is not None and not -sum(abs(a) * c for a, c in w.pairs() if a < 0) < x < top:
                continue
            chernoff, saddle = w.tail(x)
            log_e = w.e_value(x)
            yield {"term": term, "q": repr(q), "bits": bits, "groups": [[repr(float(a)), c] for a, c in groups], "x": repr(x),
                   "log_chernoff": text(chernoff), "log_saddlepoint": text(saddle), "log_e": text(log_e),
                   "printed": [printed_p(chernoff), printed_e(log_e)]}


def e_fields(log_e):
    return {"log_e": text(log_e), "printed": printed_e(log_e)}


def e_cases():
    for n, t in ((1, 0.0), (1, 5.0), (100, 90.0), (1000, 1200.0), (10**4, 10200.0), (10**6, 1e6), (10**6, 1002000.0), (10**6, 5e5), (10**9, 1000200000.0)):
        yield {"kind": "exponential", "n": n, "t": repr(t), **e_fields(e_exponential(n, t))}
    for n, q, x in ((1, .25, 0), (1, .25, 1), (1000, .25, 300), (1000, .25, 1000), (10**4, .25, 2300), (10**6, .25, 255000), (10**9, .25, 250100000), (1000, .5, 600)):
        yield {"kind": "bernoulli", "n": n, "q": repr(q), "x": x, **e_fields(e_bernoulli(n, q, x))}
    for n, x in ((30, 15), (30, 30), (30000, 15600), (3 * 10**7, 15010000)):
        yield {"kind": "fair_bits", "n": n, "x": x, **e_fields(e_bernoulli(n, .5, x))}


def rank_cases():
    rng = random.Random(1)
    lists = [(99, [[0, 10]]), (99, [[99, 10]]), (9999, [[0, 100], [5, 200]]), (9999, [[0, 100], [9999, 1]]), (4095, [[0, 0], [17, 4]]),
             (9999, [[0, 1000 + c] for c in range(16)]), (2**40, [[0, 10**9], [2**39, 10**9], [2**40 - 1, 10**9]])]
    lists += [(16383, [[rng.randrange(16384), rng.randrange(5000)] for _ in range(16)]) for _ in range(3)]
    for decoys, classes in lists:
        total, weight = mpf(0), 0
        for ge, pairs in classes:
            if pairs:
                p = mpf(1 + ge) / (decoys + 1)
                total += sqrt(mpf(pairs)) * (mpf("-inf") if p == 1 else sqrt(mpf(2)) * mpmath.erfinv(1 - 2 * p))
                weight += pairs
        z = total / sqrt(mpf(weight))
        yield {"decoys": decoys, "classes": classes, "z": text(z), "log_p": "0.0" if isinf(z) else text(normal_tail(z))}


def document_cases():
    rng = random.Random(2)
    for parameters, documents, length, drift in ((1, 1, 1, 0), (1, 3, 4, .3), (2, 5, 6, -.2), (30, 6, 5, .05), (3, 20, 3, .4), (1, 2, 100, 9.5), (1, 2, 100, -9.5)):
        data, product = [], [[mpf(1)] * 6 for _ in range(parameters)]
        for d in range(documents):
            document = [[repr(round(rng.gauss(drift * (g + 1) / parameters, .5), 6)) for g in range(parameters)]
                        for _ in range(length if d else max(length - 1, 1))]
            for g in range(parameters):
                e = exp(sum(mpf(float(position[g])) for position in document))
                product[g] = [m * ((1 - f) + f * e) for m, f in zip(product[g], SHARES)]
            data.append(document)
        yield {"parameters": parameters, "documents": data, "log_e": text(log(sum(sum(row) for row in product) / (6 * parameters)))}


def decimal_cases():
    rng = random.Random(3)
    for v in [-1e-12, -1e-4, -.00011, -1.0, -9.5, -23025.85092994046, -1e6] + [-10 ** rng.uniform(-5, 6) for _ in range(20)]:
        yield {"log": repr(v), "p": printed_p(mpf(v)), "e": printed_e(mpf(v)), "minus_e": printed_e(-mpf(v))}


def plan_cases():
    for alpha, power, kappa, effect in ((1e-6, .9, .87, .05), (1e-6, .5, 2.35, 1.0), (1e-10, .9, 1.0, 1.0), (.05, .99, .084, .01)):
        def quantile(p):
            return sqrt(mpf(2)) * mpmath.erfinv(1 - 2 * p)
        information = mpf(kappa) * mpf(effect) ** 2
        za, zp, a = quantile(mpf(alpha)), quantile(1 - mpf(power)), -log(mpf(alpha)) + mpf("2.9")
        yield {"alpha": repr(alpha), "power": repr(power), "kappa": repr(kappa), "effect": repr(effect), "fixed_n": text((za + zp) ** 2 / information),
               "e_process_mean": text(2 * a / information), "e_process_quantile": text((2 * a + zp * sqrt(8 * a)) / information)}


SECTIONS = {"gamma_tail": gamma_cases, "binomial_tail": binomial_cases, "normal_tail": normal_cases, "weighted_tail": weighted_cases,
            "e_mixture": e_cases, "ranks": rank_cases, "documents": document_cases, "decimal": decimal_cases, "plan": plan_cases}


def main(arguments):
    check = "--check" in arguments
    paths = [a for a in arguments if a != "--check"]
    path = pathlib.Path(paths[0]) if paths else DEFAULT
    lines = ['{', '"about": "Written by tools/dev/vectors/statistics.py (mpmath, 60 digits). Inputs written as strings are the nearest doubles.",']
    lines.append('"effects": ' + json.dumps([repr(float(d)) for d in EFFECTS]) + ',')
    for i, (name, cases) in enumerate(SECTIONS.items()):
        rows = [{"id": f"{name}-{j + 1}", **case} for j, case in enumerate(cases())]
        lines.append(f'"{name}": [')
        lines += ["  " + json.dumps(row) + ("," if j + 1 < len(rows) else "") for j, row in enumerate(rows)]
        lines.append("]" + ("," if i + 1 < len(SECTIONS) else ""))
        print(f"{name}: {len(rows)} cases", file=sys.stderr)
    result = "\n".join(lines) + "\n}\n"
    json.loads(result)
    if check:
        if path.read_text() != result:
            sys.exit(f"{path}: differs from what the oracle gives")
        return
    path.write_text(result)


if __name__ == "__main__":
    main(sys.argv[1:])
