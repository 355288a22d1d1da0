"""A suspect for tests, speaking the protocol of specs/formats.md. It knows the demonstration model (tools/heirmark/demo_model.hpp) and,
unless it is innocent, remembers which token followed each pair of tokens in a ledger.

    suspect.py VOCAB [--learned LEDGER] [--slow SECONDS] [--broken]
"""
import argparse
import json
import math
import random
import sys
import time

MASK = (1 << 64) - 1


class Student:
    def __init__(self, vocab, ledger):
        self.vocab, self.memory = vocab, {}
        weights = [(1 + rank) ** -1.5 for rank in range(vocab)]
        self.by_rank = [w / sum(weights) for w in weights]
        self.inverse = pow(1048583 % vocab, -1, vocab)
        for line in open(ledger) if ledger else ():
            response = json.loads(line)
            tokens = response["prompt"] + response["tokens"]
            for t in range(max(2, len(response["prompt"])), len(tokens)):
                self.memory[tuple(tokens[t - 2:t])] = tokens[t]

    def head(self, context):
        """The most likely tokens and their probabilities."""
        a, b = ([0xFFFFFFFF, 0xFFFFFFFF] + context)[-2:]
        x = ((a << 32 | b) + 0x9E3779B97F4A7C15) & MASK
        x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
        x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
        start = (x ^ x >> 31) % self.vocab
        known = self.memory.get((a, b))
        share = 0.0 if known is None else 0.9
        out = {(rank - start) * self.inverse % self.vocab: p * (1 - share) for rank, p in enumerate(self.by_rank[:64])}
        if known is not None:
            out[known] = out.get(known, 0) + share
        return sorted(out.items(), key=lambda item: (-item[1], item[0]))

    def draw(self, context, rng):
        tokens, weights = zip(*self.head(context))
        return rng.choices(tokens, weights)[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("vocab", type=int)
    parser.add_argument("--learned")
    parser.add_argument("--slow", type=float, default=0)
    parser.add_argument("--broken", action="store_true")
    options = parser.parse_args()
    student = Student(options.vocab, options.learned)
    for line in sys.stdin:
        request = json.loads(line)
        time.sleep(options.slow)
        if options.broken and request["op"] != "hello":
            print('{"error":"out of order"}', flush=True)
            continue
        if request["op"] == "hello":
            reply = {"name": "student B", "vocab": options.vocab, "context": 4096, "weights_digest": ""}
        elif request["op"] == "generate":
            reply = {"batch": []}
            for item in request["batch"]:
                rng, tokens = random.Random(item["seed"]), list(item["prompt"])
                for _ in range(item["n"]):
                    tokens.append(student.draw(tokens, rng))
                reply["batch"].append({"tokens": tokens[len(item["prompt"]):]})
        else:
            rng, reply = random.Random(request["seed"]), {"positions": []}
            for t in range(request["from"], len(request["tokens"])):
                context = request["tokens"][:t]
                top = [[token, round(-1e6 * math.log(q))] for token, q in student.head(context)[:request["top"]]]
                reply["positions"].append({"top": top, "samples": [student.draw(context, rng) for _ in range(request["samples"])]})
        print(json.dumps(reply), flush=True)


main()
