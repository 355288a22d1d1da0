"""Every value of specs/vectors/, computed by second_verifier.py, and every file against its schema (the keywords that the schemas use)."""
import json
import math
import os
import re
import sys
import unittest
from decimal import Decimal

import second_verifier as sv

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../specs/vectors")


def load(name):
    with open(os.path.join(VECTORS, name)) as file:
        return json.load(file)


def check_schema(value, schema, root, where):
    """Raises AssertionError at the first place where value does not fit."""
    known = {"$schema", "$defs", "$ref", "title", "description", "type", "additionalProperties", "required", "properties", "items", "prefixItems",
             "minItems", "maxItems", "pattern", "enum", "anyOf", "minimum", "maximum", "propertyNames"}
    assert set(schema) <= known, f"{where}: keywords {set(schema) - known} are not checked"
    if "$ref" in schema:
        check_schema(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, where)
    if "anyOf" in schema:
        for branch in schema["anyOf"]:
            try:
                check_schema(value, branch, root, where)
                break
            except AssertionError:
                pass
        else:
            raise AssertionError(f"{where}: no branch fits")
    types = {"object": dict, "array": list, "string": str, "null": type(None), "integer": int, "number": (int, float)}
    if "type" in schema:
        assert isinstance(value, types[schema["type"]]) and not isinstance(value, bool), f"{where}: not {schema['type']}"
    assert "enum" not in schema or value in schema["enum"], f"{where}: not in enum"
    if isinstance(value, str) and "pattern" in schema:
        assert re.search(schema["pattern"], value), f"{where}: pattern"
    if isinstance(value, (int, float)):
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value), f"{where}: out of range"
    if isinstance(value, list):
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)), f"{where}: length"
        prefix = schema.get("prefixItems", [])
        for i, entry in enumerate(value):
            if i < len(prefix):
                check_schema(entry, prefix[i], root, f"{where}[{i}]")
            elif isinstance(schema.get("items"), dict):
                check_schema(entry, schema["items"], root, f"{where}[{i}]")
    if isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        assert set(schema.get("required", [])) <= set(value), f"{where}: a member is missing"
        for name, entry in value.items():
            check_schema(name, schema.get("propertyNames", {}), root, f"{where}.{name}")
            if name in properties:
                check_schema(entry, properties[name], root, f"{where}.{name}")
            else:
                assert more is not False, f"{where}: another member {name}"
                if isinstance(more, dict):
                    check_schema(entry, more, root, f"{where}.{name}")


class Vectors(unittest.TestCase):
    def close(self, got, expected, relative="1e-15", what=""):
        """Within 1e-15 of a value that is given to 20 digits; of 1 - p, 50 digits keep nothing that is smaller than 1e-40."""
        got, expected = Decimal(got), Decimal(expected)
        if expected.is_infinite() or expected == 0:
            self.assertEqual(got, expected, what)
        else:
            self.assertLessEqual(abs(got - expected), max(abs(expected) * Decimal(relative), Decimal("1e-40")), f"{what}: {got} is not {expected}")

    def test_schemas(self):
        names = sorted(name for name in os.listdir(VECTORS) if name.endswith(".json"))
        self.assertEqual(names, sorted(f"{name}.json" for name in ("keys", "prf", "sampler", "statistics", "detect", "ledger")))
        for name in names:
            schema = load(f"schemas/{name[:-5]}.schema.json")
            check_schema(load(name), schema, schema, name)

    def test_keys(self):
        data = load("keys.json")
        for d in data["derivation"]:
            family_key, family = sv.Family.from_root(bytes.fromhex(d["root"]), d["family"], d["epoch"])
            self.assertEqual((family_key.hex(), family.secret.hex(), family.coin.hex(), family.key_id),
                             (d["familyKey"], d["familySecret"], d["coin"], d["keyId"]), d["id"])
            for m in d["members"]:
                self.assertEqual(family.member(m["index"]).hex(), m["secret"])
                self.assertEqual([w.hex() for w in family.windows(m["index"])], m["window"])
                self.assertEqual({a: family.issuance(m["index"], a).hex() for a in m["issuance"]}, m["issuance"])
        for v in data["valid"]:
            opening, commitment = sv.read_opening(v["opening"].encode()), sv.read_commitment(v["commitment"].encode())
            self.assertEqual(sv.sha256(v["opening"].encode()), v["digest"])
            self.assertEqual((commitment["digest"], commitment["keyId"]), (v["digest"], opening["keyId"]))
        for reader, cases in ((sv.read_opening, data["invalidOpening"]), (sv.read_commitment, data["invalidCommitment"])):
            for case in cases:
                with self.assertRaises(sv.Bad, msg=case["id"] + ": " + case["reason"]):
                    reader(case["bytes"].encode())

    def test_prf(self):
        data = load("prf.json")
        for s in data["streams"]:
            length = max([64] + [4 * i + 4 for i, _ in s["u32"]] + [8 * i + 8 for i, _ in s["u64"]])
            got = sv.stream(bytes.fromhex(s["subkey"]), bytes.fromhex(s["context"]), s["domain"].encode(), length)
            self.assertEqual(got[:64].hex(), s["first"], s["id"])
            self.assertEqual([[i, sv.u32(got, 4 * i)] for i, _ in s["u32"]], s["u32"], s["id"])
            self.assertEqual([[i, sv.u64(got, 8 * i)] for i, _ in s["u64"]], s["u64"], s["id"])
        for w in data["windows"]:
            context = sv.window(w["tokens"], len(w["tokens"]), w["h"])
            self.assertEqual((context.hex(), sv.classes_of([context])[0], sv.coins_of(bytes.fromhex(w["coinSubkey"]), [context])[0]),
                             (w["context"], w["class"], w["coin"]), w["id"])
        for i in data["issuance"]:
            self.assertEqual(i["requestId"] + i["position"].to_bytes(4, "little").hex(), i["context"], i["id"])
        self.assertEqual([[c, sv.score(c)] for c, _ in data["scores"]], data["scores"])

    def test_statistics(self):
        data = load("statistics.json")
        self.assertEqual(sv.EFFECTS, [float(d) for d in data["effects"]])
        for c in data["gamma_tail"]:
            got = sv.gamma_tail(c["n"], float(c["t"]))
            self.close(got, c["log_p"], what=c["id"])
            self.assertEqual(sv.print_p(got), c["printed"], c["id"])
        for c in data["binomial_tail"]:
            got = sv.binomial_tail(c["n"], float(c["q"]), c["k"])
            self.close(got, c["log_p"], what=c["id"])
            self.assertEqual(sv.print_p(got), c["printed"], c["id"])
        for c in data["normal_tail"]:
            self.close(sv.normal_tail(float(c["z"])), c["log_p"], what=c["id"])
        for c in data["weighted_tail"]:
            kind = c["term"]
            total = sv.WeightedSum(sv.Term(kind, float(c["q"]) if kind == "bernoulli" else None, c["bits"]), [(float(a), n) for a, n in c["groups"]])
            x = float(c["x"])
            got = total.chernoff(x), total.saddlepoint(x), total.e_mixture(x)
            for value, name in zip(got, ("log_chernoff", "log_saddlepoint", "log_e")):
                self.close(value, c[name], what=f"{c['id']} {name}")
            self.assertEqual([sv.print_p(got[0]), sv.print_e(got[2])], c["printed"], c["id"])
        for c in data["e_mixture"]:
            got = sv.e_mixture(c["kind"], c["n"], float(c["t"]) if "t" in c else c["x"], float(c["q"]) if "q" in c else None)
            self.close(got, c["log_e"], what=c["id"])
            self.assertEqual(sv.print_e(got), c["printed"], c["id"])
        for c in data["ranks"]:
            ln_p, z = sv.rank_tail(c["classes"], c["decoys"])
            self.close(z, c["z"], what=c["id"])
            self.close(ln_p, c["log_p"], what=c["id"])
        for c in data["documents"]:
            documents = [[math.fsum(float(position[g]) for position in d) for g in range(c["parameters"])] for d in c["documents"]]
            self.close(list(sv.document_bets(documents))[-1], c["log_e"], "1e-12", c["id"])
        for c in data["decimal"]:
            ln = Decimal(float(c["log"]))
            self.assertEqual((sv.print_p(min(Decimal(0), ln)), sv.print_e(ln), sv.print_e(-ln)), (c["p"], c["e"], c["minus_e"]), c["id"])

    def pairs_of(self, text, xs):
        return [{"window": [sv.u32(w, 4 * i) for i in range(4)], "bin": b, "class": text.classes[w], "weight": a, "x": x}
                for (w, b, a), x in zip(text.pairs, xs)]

    def test_detect(self):
        data = load("detect.json")
        self.assertEqual([[c, sv.score_up(c)] for c, _ in data["score_up"]], data["score_up"])
        self.assertEqual([[n, sv.count_weight("sqrt2", n), sv.count_weight("log2", n)] for n, _, _ in data["weights"]], data["weights"])
        for kind in ("text", "reading"):
            for c in data[kind]:
                key = sv.Key(sv.read_opening(c["opening"].encode()))
                lines = sv.read_token_file("\n".join(c["lines"]).encode(), reading=kind == "reading")
                text = sv.reading_pairs(lines, key) if kind == "reading" else sv.text_pairs(lines, key, c["count_rule"])
                got = sv.C1(text, key, key.live, c["decoys"])
                self.assertEqual((text.positions, text.tainted, text.off_coin, text.repeats, len(text.pairs), str(got.statistic)),
                                 tuple(c[name] for name in ("positions", "tainted", "off_coin", "repeats", "n", "statistic")), c["id"])
                self.assertEqual(self.pairs_of(text, got.xs), c["pairs"], c["id"])
                for value, name in ((got.ln_p_prf, "log_p_prf"), (got.ln_e, "log_e"), (got.ln_p, "log_p"), (got.ln_p_rank, "log_p_rank")):
                    self.close(value, c[name], "1e-12", f"{c['id']} {name}")
                points = list(got.growth(max(1, len(c["growth"]))))
                self.assertEqual([n for n, _, _ in points], [g["n"] for g in c["growth"]])
                for (_, ln_p, ln_e), g in zip(points, c["growth"]):
                    self.close(ln_p, g["log_p"], "1e-12", c["id"])
                    self.close(ln_e, g["log_e"], "1e-12", c["id"])
                self.assertEqual([{"class": cls, "pairs": n, "ge": ge, "statistic": str(x)} for cls, n, ge, x in got.classes], c["classes"], c["id"])
                histogram = got.histogram()
                self.assertEqual({name: histogram[name] for name in ("counts", "low", "width")}, c["histogram"], c["id"])
        for c in data["issued"]:
            key = sv.Key(sv.read_opening(c["opening"].encode()))
            ledger = sv.read_ledger("".join(line + "\n" for line in c["ledger"]).encode(), sv.VOCAB)
            contexts = sv.usable_contexts(ledger, key)
            got = [[u.response, u.t, int(u.kind == "window"), v] for u, v in zip(contexts, sv.choices(contexts, ledger, key, c["member"]))]
            self.assertEqual(got, c["choices"], c["id"])

    def test_sampler(self):
        data = load("sampler.json")
        rows = {name: logits_of(row) for name, row in data["logits"].items()}
        coin, windows, issuance = (bytes.fromhex(data["subkeys"]["coin"]), [bytes.fromhex(w) for w in data["subkeys"]["window"]],
                                   [bytes.fromhex(i) for i in data["subkeys"]["issuance"]])
        drawn = 0
        for c in data["cases"]:
            sampler = sv.Sampler(sv.PROFILES[c["profile"]], coin, windows, issuance[c["account"]] if c["account"] < len(issuance) else None,
                                 bytes.fromhex(c["requestId"]), c["prompt"])
            for s in c["steps"]:
                if "accept" in s:
                    sampler.accept(s["accept"])
                    continue
                got = sampler.sample(rows[s["logits"]], *(float(s[n]) if n != "topK" else s[n] for n in ("temperature", "minP", "topK", "topP")), s["mode"])
                self.assertEqual(got, (s["status"], s["token"]), (c["id"], s["row"]))
                self.assertEqual(None if s["token"] is None else s["token"] % 2048, s["bin"])
                drawn += 1
        self.assertGreater(drawn, 400)


def logits_of(row):
    vocab, a, b, m, c, s = (row[name] for name in ("vocab", "a", "b", "m", "c", "s"))
    n, residues = row["mask"]
    out = [((a * v * v + b * v) % m - c) / 2 ** s if v % n in residues else -math.inf for v in range(vocab)]
    for v, x in row["set"]:
        if v < vocab:
            out[v] = float(x)
    return out


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"] + sys.argv[1:])
