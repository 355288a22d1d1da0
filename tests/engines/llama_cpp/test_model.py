"""A language model in llama.cpp, marked and recorded: `heirmark detect` finds the mark with the key's opening, another key's opening sees nothing, and neither sees anything in
what llama.cpp's own sampler drew in the same run.

p-values are exact, so a text without the mark has log10 p below -9 with a chance of at most 1e-9; request ids are random, so there is no seed. The marked texts have about 2,400
tokens each: of a 270M model those that llama.cpp truncated gave log10 p = -87, those that heirmark truncated (after the temperature, which leaves less) -59, with a standard deviation of
about 7. The limit of -12 is more than six of them above the weaker.
One thread of llama.cpp's: several spin while they wait for each other, which on a machine with other work takes for ever.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

SKIP = 77
LIMIT, MARKED = -9.0, -12.0


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIP)


def key(folder, *words):
    read, write = os.pipe()
    os.write(write, b"engines test\n")
    os.close(write)
    subprocess.run([os.environ["HEIRMARK"], "key", *words, "--keystore", "keys", "--passphrase-fd", str(read)], cwd=folder, check=True, pass_fds=[read],
                   stdout=subprocess.DEVNULL)
    os.close(read)


def log10_p(folder, text, epoch):
    run = subprocess.run([os.environ["HEIRMARK"], "detect", text, "--opening", f"opening-{epoch}.json", "--json"], cwd=folder, check=True, capture_output=True, text=True)
    return float(json.loads(run.stdout)["log10_p"])


def main():
    if "LAYOUT_real" not in os.environ:
        skip("built without llama.cpp: configure with -DLLAMA_CPP_ROOT=WHERE, or let pkg-config find llama")
    layouts = [subprocess.run([os.environ[f"LAYOUT_{header}"]], check=True, capture_output=True, text=True).stdout for header in ("real", "stub")]
    if layouts[0] != layouts[1]:
        sys.exit(f"llama.h has another layout than the stub that the contract is tested with:\n{layouts[0]}\nthe stub:\n{layouts[1]}")
    if "SERVE" not in os.environ:
        skip("built without examples")
    model = os.environ.get("HEIRMARK_LLAMA_MODEL", "")
    if not model:
        skip("HEIRMARK_LLAMA_MODEL names no GGUF file")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([os.environ["HEIRMARK_MAKE_KEYSTORE"], "keys"], cwd=folder, check=True, input="engines test\n", text=True)
        for epoch in ("2026-11", "2026-12"):
            key(folder, "new", f"acme/{epoch}", "--family-size", "4096")
            key(folder, "commit", f"acme/{epoch}", "-o", f"commitment-{epoch}.json")
            key(folder, "open", f"acme/{epoch}", "--to", "auditor", "-o", f"opening-{epoch}.json")
        key(folder, "export-subkey", "acme/2026-11", "--account", "default", "--account", "birch", "-o", "subkeys.json")
        secret = {"cwd": folder, "check": True, "input": "engines test\n", "text": True, "capture_output": True}
        store = ("--keystore", "keys", "--passphrase-fd", "0")
        subprocess.run([os.environ["HEIRMARK"], "ledger", "new", "ledger", *store], **secret)
        issued = []
        for truncate in ("engine", "heirmark"):
            run = subprocess.run([os.environ["SERVE"], os.path.abspath(model), "subkeys.json", "-o", "marked.jsonl", "--unmarked", "unmarked.jsonl", "--responses", "6", "--length",
                                  "100", "--threads", "1", "--truncate", truncate, "--ledger", "ledger", "--account", "birch"], cwd=folder, capture_output=True, text=True)
            if run.returncode != 0:
                sys.exit(run.stderr)
            lines = run.stderr.splitlines()[-3:]
            texts = [json.loads(line) for line in (folder / "marked.jsonl").read_text().splitlines()]
            issued += [("birch", text["tokens"][:text["prompt_tokens"]], text["tokens"][text["prompt_tokens"]:]) for text in texts]
            assert len(texts) == 24 and all(0 < text["prompt_tokens"] < len(text["tokens"]) for text in texts)
            generated = sum(len(text["tokens"]) - text["prompt_tokens"] for text in texts)
            found = {(text, epoch): log10_p(folder, f"{text}.jsonl", epoch) for text in ("marked", "unmarked") for epoch in ("2026-11", "2026-12")}
            print(f"truncated by {truncate}:", *lines, f"{generated} marked tokens; log10 p: {found}", sep="\n  ")
            # Every token counts as a mark of one kind or the other.
            window, issuance, failures = (int(word.split()[-1]) for word in lines[2].split(" (")[0].split(", "))
            assert window + issuance == generated and window > 0 and issuance > 0 and failures == 0, lines[2]
            assert generated > 1500, generated
            assert found["marked", "2026-11"] < MARKED, found
            assert min(p for which, p in found.items() if which != ("marked", "2026-11")) > LIMIT, found
        # The ledger has what was written, in order.
        subprocess.run([os.environ["HEIRMARK"], "ledger", "verify", "ledger", "--sealed", *store], **secret)
        lines = [json.loads(line) for line in subprocess.run([os.environ["HEIRMARK"], "ledger", "export", "ledger", "-o", "-", *store], **secret).stdout.splitlines()]
        assert [(line["account"], line["prompt"], line["tokens"]) for line in lines] == issued and len({line["request_id"] for line in lines}) == 48


if __name__ == "__main__":
    main()
