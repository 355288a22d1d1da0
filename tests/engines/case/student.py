"""A student of a real language model, and a suspect that an audit can ask.

    student.py tune BASE --ledger FILE --accounts A,B --out FOLDER [--epochs N]     # trains on what those accounts were sent
    student.py serve FOLDER                                                         # the suspect protocol (specs/formats.md) on standard input and output

FOLDER and BASE are models as transformers saves them. Nothing here knows of keys or marks.
"""
import argparse
import hashlib
import json
import pathlib
import sys
import time

import torch
from transformers import AutoModelForCausalLM

CONTEXT = 1024


def documents(ledger, accounts):
    """(prompt, tokens) of the accounts' responses, cut to CONTEXT."""
    for line in ledger.open():
        response = json.loads(line)
        if response["account"] in accounts:
            yield response["prompt"], response["tokens"][:CONTEXT - len(response["prompt"])]


def tune(base, ledger, accounts, out, epochs, rate=3e-5, batch=2, warmup=20):
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.get_input_embeddings().weight.requires_grad_(False)  # two thirds of the weights, and slow to update: a distiller with little text would leave them too
    model.train()
    texts = list(documents(ledger, accounts))
    if not texts:
        raise SystemExit(f"{ledger}: no response of {', '.join(sorted(accounts))}")
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
    # Adam's first steps move every weight by the whole rate: without a warm-up they undo more than later ones teach.
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warmup))
    started, seen = time.monotonic(), 0
    for epoch in range(epochs):
        order, total = torch.randperm(len(texts)).tolist(), 0.0
        for at in range(0, len(order), batch):
            chosen = order[at:at + batch]
            # One text at a time: the logits of a batch are gigabytes at this vocabulary.
            for i in chosen:
                prompt, tokens = texts[i]
                logits = model(input_ids=torch.tensor([prompt + tokens[:-1]])).logits[0, len(prompt) - 1:]
                loss = torch.nn.functional.cross_entropy(logits, torch.tensor(tokens))
                (loss / len(chosen)).backward()
                total += loss.item()
                seen += len(prompt) + len(tokens)
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        print(f"epoch {epoch + 1} of {epochs}: loss {total / len(order):.3f}, {seen / (time.monotonic() - started):.0f} tokens/s", file=sys.stderr, flush=True)
    model.to(torch.bfloat16).save_pretrained(out)


class Suspect:
    def __init__(self, folder):
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
        self.vocab = self.model.config.get_text_config().vocab_size
        digest = hashlib.sha256()
        for file in sorted(pathlib.Path(folder).glob("*.safetensors")):
            digest.update(file.read_bytes())
        self.hello = {"name": pathlib.Path(folder).name, "vocab": self.vocab, "context": CONTEXT, "weights_digest": digest.hexdigest()}

    def answer(self, request):
        match request["op"]:
            case "hello":
                return self.hello
            case "score":
                return {"positions": self.score(request["tokens"], request["from"], request.get("top", 0), request.get("samples", 0), request["seed"])}
            case "generate":
                return {"batch": [{"tokens": self.generate(item["prompt"], item["n"], item["seed"], request["temperature_milli"] / 1000)} for item in request["batch"]]}
        return {"error": f"no such operation: {request['op']}"}

    def score(self, tokens, start, top, samples, seed):
        random = torch.Generator().manual_seed(seed)
        # Of the token at `at` the logits stand before it; prompts are not empty, so there always is a place before.
        logq = torch.log_softmax(self.model(input_ids=torch.tensor([tokens])).logits[0, start - 1:len(tokens) - 1].float(), 1)
        positions = [{} for _ in logq]
        if top:
            best = torch.topk(logq, top)
            for entry, ids, values in zip(positions, best.indices.tolist(), best.values.tolist(), strict=True):
                entry["top"] = [[t, max(0, round(-1e6 * q))] for t, q in zip(ids, values, strict=True)]
        if samples:
            for entry, drawn in zip(positions, torch.multinomial(logq.exp(), samples, replacement=True, generator=random).tolist(), strict=True):
                entry["samples"] = drawn
        return positions

    def generate(self, prompt, count, seed, temperature):
        random = torch.Generator().manual_seed(seed)
        tokens, cache, new = [], None, prompt
        while len(tokens) < min(count, CONTEXT - len(prompt)):
            out = self.model(input_ids=torch.tensor([new]), past_key_values=cache, use_cache=True)
            logits, cache = out.logits[0, -1].double(), out.past_key_values
            new = [int(torch.argmax(logits)) if temperature == 0 else int(torch.multinomial(torch.softmax(logits / temperature, 0), 1, generator=random))]
            tokens += new
        return tokens


def serve(folder):
    suspect = Suspect(folder)
    with torch.inference_mode():
        for line in sys.stdin:
            print(json.dumps(suspect.answer(json.loads(line))), flush=True)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
commands = parser.add_subparsers(dest="command", required=True)
command = commands.add_parser("tune")
command.add_argument("base")
command.add_argument("--ledger", type=pathlib.Path, required=True)
command.add_argument("--accounts", required=True, type=lambda names: set(names.split(",")))
command.add_argument("--out", required=True)
command.add_argument("--epochs", type=int, default=4)
command = commands.add_parser("serve")
command.add_argument("folder")
arguments = parser.parse_args()
if arguments.command == "tune":
    tune(arguments.base, arguments.ledger, arguments.accounts, arguments.out, arguments.epochs)
else:
    serve(arguments.folder)
