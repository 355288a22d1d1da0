"""Bags made from specs/ alone, byte for byte the same in every run: keys, plan, answers, statements, verdict by second_verifier.py."""
import base64
import hashlib
import json
import math
import os
import random
import subprocess
import tempfile

import second_verifier as sv

PEM_KIND = {"ed25519": "PRIVATE KEY", "p256": "EC PRIVATE KEY"}


class Signer:
    """A signing key that follows from a name."""

    def __init__(self, name, algorithm="ed25519"):
        secret = hashlib.sha256(name.encode()).digest()
        if algorithm == "ed25519":
            der = bytes.fromhex("302e020100300506032b657004220420") + secret
        else:
            der = bytes.fromhex("303102010104") + b"\x20" + secret + bytes.fromhex("a00a06082a8648ce3d030107")
        kind = PEM_KIND[algorithm]
        body = base64.b64encode(der).decode()
        self.algorithm, self.pem = algorithm, f"-----BEGIN {kind}-----\n{body[:64]}\n{body[64:]}".rstrip("\n") + f"\n-----END {kind}-----\n"
        self.public = self.openssl(["pkey", "-pubout", "-in"])
        self.key_id = sv.sha256(sv.public_key(self.public)[1])

    def openssl(self, command, message=None):
        with tempfile.TemporaryDirectory() as folder:
            key, data = os.path.join(folder, "key"), os.path.join(folder, "data")
            with open(key, "w") as file:
                file.write(self.pem)
            with open(data, "wb") as file:
                file.write(message or b"")
            return subprocess.run(["openssl"] + command + [key] + ([data] if command[0] == "dgst" else ["-in", data] if message else []),
                                  stdout=subprocess.PIPE, check=True).stdout

    def sign(self, message):
        if self.algorithm == "ed25519":
            return self.openssl(["pkeyutl", "-sign", "-rawin", "-inkey"], message)
        return self.openssl(["dgst", "-sha256", "-sign"], message)

    def envelope(self, statement):
        payload = sv.canonical(statement)
        pae = b"DSSEv1 %d %s %d %s" % (len(sv.PAYLOAD_TYPE), sv.PAYLOAD_TYPE.encode(), len(payload), payload)
        return sv.canonical({"payload": base64.b64encode(payload).decode(), "payloadType": sv.PAYLOAD_TYPE,
                             "signatures": [{"keyid": self.key_id, "sig": base64.b64encode(self.sign(pae)).decode()}]})


def make_opening(name, profile, family_size, live, path="acme-70b/2026-11"):
    secret = hashlib.sha256(name.encode() + b" secret").digest()
    return sv.canonical({"type": "heirmark/opening/v1", "path": path, "keyId": sv.Family(secret).key_id, "familySecret": secret.hex(),
                         "familySize": family_size, "liveIndex": live, "profile": profile, "nonce": hashlib.sha256(name.encode()).hexdigest()})


class Student:
    """A suspect for bags: it continues text that it has seen, and knows the logged distributions, warped and noisy."""

    def __init__(self, seed, vocab, texts, share):
        self.rng, self.vocab, self.texts, self.share = random.Random(seed), vocab, [t for t in texts if t], share

    def continuation(self, length):
        if not self.texts or self.rng.random() > self.share:
            return [self.rng.randrange(self.vocab) for _ in range(length)]
        text = self.rng.choice(self.texts)
        start = self.rng.randrange(len(text))
        return text[start:start + length]

    def answer(self, phat, token, samples, top):
        weights = {v: math.exp(0.8 * math.log(p / 2 ** 32) + self.rng.gauss(0, 0.3)) for v, p in phat if self.rng.random() < 0.9}
        weights[self.rng.randrange(self.vocab)] = 0.001
        if self.rng.random() < self.share:
            weights[token] = weights.get(token, 0) + sum(weights.values())
        total = sum(weights.values()) * 1.05
        order = sorted(weights, key=lambda v: (-weights[v], v))
        drawn = self.rng.choices(order, [weights[v] for v in order], k=samples)
        nlp = sorted(max(0, round(-1e6 * math.log(weights[v] / total))) for v in order)
        return {"samples": drawn, "top": [[v, x] for v, x in zip(order, nlp)][:top]}


def make_bag(name, opening, channels, ledger=b"", prompts=(), vocab=4096, context=4096, fit=0, controls=1, alpha="0.001", multiplicity=1, attempt=1,
             student_texts=(), share=0.5, released="2026-12-01", signers=None, weights=""):
    """Payload {path under data/: bytes} of a valid bag."""
    key, signers = sv.read_opening(opening), signers or (Signer("provider"), Signer("auditor", "p256"))
    raw, c1 = {"opening.json": opening}, any(c["channel"] == "c1" for c in channels)
    issued = any(c["channel"] != "c1" for c in channels)
    common = {n: key[n] for n in ("keyId", "path", "profile", "familySize")}
    raw["commitment.json"] = sv.canonical(common | {"type": "heirmark/commitment/v1", "scheme": sv.PROFILES[key["profile"]].scheme,
                                                    "prf": "xchacha20-bins2048-v1", "notBefore": "2026-11-01", "notAfter": "2026-11-30",
                                                    "purpose": "parity", "digest": sv.sha256(opening)})
    raw["suspect.json"] = sv.canonical({"type": "heirmark/suspect/v1", "name": name, "vocab": vocab, "kind": "process",
                                        "command": ["./student", "\u00e9 \"quoted\"\t\x01"], "released": released, "weights": weights})
    responses = sv.read_ledger(ledger, vocab) if issued else []
    if issued:
        raw["ledger.jsonl"] = ledger
    if c1:
        raw["prompts.jsonl"] = b"".join(sv.canonical({"tokens": p}) for p in prompts)

    def digest(path):
        return sv.sha256(raw[path]) if path in raw else ""
    raw["plan.json"] = sv.canonical(common | {
        "type": "heirmark/plan/v1", "planId": hashlib.sha256(name.encode()).hexdigest()[:16], "attempt": attempt, "date": "2026-12-10T10:00:00Z",
        "commitment": digest("commitment.json"), "opening": sv.sha256(opening), "ledger": digest("ledger.jsonl"), "ledgerResponses": len(responses),
        "suspect": digest("suspect.json"), "prompts": digest("prompts.jsonl"), "alpha": alpha, "multiplicity": multiplicity,
        "h1": "the text was used", "h2": "it was not", "channels": channels, "fitResponses": fit, "controls": controls, "stop": "fixed"})
    student, by_name = Student(name, vocab, student_texts, share), {c["channel"]: c for c in channels}
    if c1:
        order, _ = sv.prompt_order(digest("plan.json"), len(prompts))
        lines = []
        for i in range(by_name["c1"]["texts"]):
            prompt = prompts[order[i % len(order)]]
            lines.append(sv.canonical({"i": i, "prompt_tokens": len(prompt), "tokens": prompt + student.continuation(by_name["c1"]["tokensPerText"])}))
        raw["transcript/c1.jsonl"] = b"".join(lines)
    if issued:
        samples, top, lines = by_name.get("c2", {}).get("samples", 0), by_name.get("c3", {}).get("top", 0), []
        for d, r in enumerate(responses):
            k, t = len(r["prompt"]), len(r["tokens"])
            positions = [student.answer(r["phat"][j], r["tokens"][j], samples, top) for j in range(max(0, min(k + t, context) - k))]
            lines.append(sv.canonical({"positions": positions, "response": d}))
        raw["transcript/issued.jsonl"] = b"".join(lines)
    files = [{"lines": data.count(b"\n"), "path": path, "sha256": sv.sha256(data)} for path, data in sorted(raw.items()) if path.startswith("transcript/")]
    raw["transcript.json"] = sv.canonical({
        "type": "heirmark/transcript/v1", "plan": digest("plan.json"), "started": "2026-12-10T10:00:01Z", "ended": "2026-12-10T12:00:00Z",
        "queries": sum(f["lines"] for f in files), "files": files,
        "hello": {"context": context, "name": "student", "vocab": vocab, "weights_digest": weights}})
    raw["verdict.json"] = sv.Case(raw).verdict("2026-12-11T00:00:00Z")
    sign_all(raw, signers)
    return raw


DATES = {"commitment": "2026-11-01T00:00:00Z", "ledger": "2026-12-01T00:00:00Z", "plan": "2026-12-10T10:00:00Z", "transcript": "2026-12-10T12:00:00Z",
         "verdict": "2026-12-11T00:00:00Z"}


def sign_all(raw, signers, dates=DATES):
    """Makes statements/ and trust/ of a payload anew."""
    for role, signer in zip(("provider", "auditor"), signers):
        raw[f"trust/{role}.pem"] = signer.public
    for name, role in sv.ROLES.items():
        if sv.FILE_OF[name] in raw:
            digests = {other: sv.sha256(raw[sv.FILE_OF[other]]) if sv.FILE_OF[other] in raw else "" for other in sv.BUILDS_ON[name]}
            raw[f"statements/{name}.dsse.json"] = signers[role == "auditor"].envelope({
                "_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": sv.sha256(raw[sv.FILE_OF[name]])},
                                                                         "name": sv.FILE_OF[name]}],
                "predicateType": f"https://heirmark.dev/{name}/v1", "predicate": {"date": dates[name], "signer": role} | digests})


def tags_of(raw):
    """Tag files as a forger would make them: from whatever the payload holds."""
    def member(path, name, otherwise):
        try:
            return json.loads(raw[path])[name]
        except (KeyError, ValueError, TypeError):
            return otherwise
    return sv.tag_files(raw, str(member("verdict.json", "date", "2026-12-11")), str(member("plan.json", "planId", "")))


def write_bag(folder, raw, tags=None):
    for path, data in ({"data/" + p: d for p, d in raw.items()} | (tags_of(raw) if tags is None else tags)).items():
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)
    return folder
