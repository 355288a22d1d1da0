"""What the SGLang plugin relies on, in SGLang's own source: the installed package's, or that of HEIRMARK_SGLANG_SOURCE, the folder `sglang` of an unpacked wheel (0.5.23).
The source is read, not imported: importing it needs a GPU's libraries. Where it can be imported, the classes are asked, too."""
import ast
import importlib.util
import inspect
import os
import pathlib
import sys
import types

import numpy
import pytest

import heirmark.sglang


def folder():
    if named := os.environ.get("HEIRMARK_SGLANG_SOURCE"):
        return pathlib.Path(named)
    spec = importlib.util.find_spec("sglang")
    return pathlib.Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


FOLDER = folder()
pytestmark = pytest.mark.skipif(FOLDER is None or not (FOLDER / "srt").is_dir(), reason="no SGLang: install it, or let HEIRMARK_SGLANG_SOURCE name an unpacked wheel's folder sglang")


def tree(path):
    return ast.parse((FOLDER / path).read_text("utf-8"))


def member(path, *names):
    """A class or function by its names, from the outside in."""
    node = tree(path)
    for name in names:
        found = [n for n in node.body if isinstance(n, (ast.ClassDef, ast.FunctionDef)) and n.name == name]
        assert found, f"{path} has no {'.'.join(names)}"
        node = found[-1]
    return node


def arguments(function):
    return [a.arg for a in function.args.posonlyargs + function.args.args], [a.arg for a in function.args.kwonlyargs]


def fields(cls):
    return {n.target.id for n in cls.body if isinstance(n, ast.AnnAssign)}


def source(path, *names):
    return ast.unparse(member(path, *names))


SAMPLER, BATCH, INFO = "srt/layers/sampler.py", "srt/managers/schedule_batch.py", "srt/sampling/sampling_batch_info.py"


def test_the_sampler_is_called_as_the_backend_expects():
    ours = inspect.signature(heirmark.sglang.make_sampler_class(object, engine=None, group=None, abort=None).forward)
    positional, keywords = arguments(member(SAMPLER, "Sampler", "forward"))
    assert positional == [n for n, p in ours.parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD] and keywords == [n for n, p in ours.parameters.items() if p.kind is p.KEYWORD_ONLY]
    assert arguments(member(SAMPLER, "Sampler", "_preprocess_logits"))[0] == ["self", "logits", "sampling_info"]
    assert arguments(member(SAMPLER, "register_sampler_backend"))[0] == ["backend", "factory"]
    assert "self.output_logprob_processor = OutputLogprobProcessor()" in source(SAMPLER, "Sampler", "__init__")
    assert any(isinstance(n, ast.Assign) and n.targets[0].id == "SGLANG_RETURN_ORIGINAL_LOGPROB" for n in tree(SAMPLER).body)
    assert arguments(member("srt/layers/logprob_processor.py", "OutputLogprobProcessor", "compute_logprobs"))[0][1:] == ["logprobs", "top_logprobs_nums", "token_ids_logprobs", "batch_next_token_ids"]
    assert arguments(member("srt/layers/logprob_processor.py", "LogprobResult", "write_output_to"))[0][1:] == ["logits_output"]
    assert {"next_token_logits", "sampling_mask_output"} <= fields(member("srt/layers/logits_processor.py", "LogitsProcessorOutput"))


def test_a_batch_shows_what_is_read_of_it():
    assert {"temperatures", "is_all_greedy", "has_custom_logit_processor"} <= fields(member(INFO, "SamplingBatchInfo"))
    assert {"reqs", "seq_lens", "seq_lens_cpu"} <= fields(member(BATCH, "ScheduleBatch"))
    init = source(BATCH, "Req", "__init__")
    for name in ("origin_input_ids", "origin_input_ids_unpadded", "output_ids", "sampling_params", "return_sampling_mask", "finished_reason", "to_finish"):
        assert f"self.{name} = " in init or f"self.{name}: " in init, name
    assert arguments(member(BATCH, "FINISH_ABORT", "__init__"))[0][1:3] == ["message", "status_code"]
    assert {"temperature", "top_k", "top_p", "min_p", "custom_params", "beam_width"} <= fields(member("srt/sampling/sampling_params.py", "SamplingParams"))
    constants = {n.targets[0].id: n.value for n in tree("srt/sampling/sampling_params.py").body if isinstance(n, ast.Assign)}
    assert eval(ast.unparse(constants["TOP_K_ALL"])) == heirmark.sglang.TOP_K_ALL
    assert "self.top_k = 1" in source("srt/sampling/sampling_params.py", "SamplingParams", "__post_init__")  # temperature 0


def test_the_hooks_are_where_the_plugin_puts_them():
    init_new = member("srt/model_executor/forward_batch_info.py", "ForwardBatch", "init_new")
    assert [d.id for d in init_new.decorator_list] == ["classmethod"] and arguments(init_new)[0] == ["cls", "batch", "model_runner"]
    assert "sampling_info=batch.sampling_info" in ast.unparse(init_new)
    assert arguments(member("srt/managers/scheduler.py", "Scheduler", "process_batch_result"))[0] == ["self", "batch", "result"]
    assert "copy_for_forward()" in source("srt/managers/scheduler.py", "Scheduler", "_forward_isolation")  # each forward has sampling information of its own
    sample = source("srt/model_executor/model_runner.py", "ModelRunner", "sample")
    assert sample.index("self._preprocess_logits(") < sample.index("self.sampler(")  # penalties, biases and grammars come before
    assert arguments(member("srt/plugins/hook_registry.py", "HookRegistry", "register"))[0][:4] == ["cls", "target", "hook", "hook_type"]
    assert "hook(result, *args, **kwargs)" in source("srt/plugins/hook_registry.py", "_wrap_fn")
    assert 'GENERAL_PLUGINS_GROUP = "sglang.srt.plugins"' in (FOLDER / "srt/plugins/__init__.py").read_text("utf-8")


def test_the_registry_calls_the_hooks(monkeypatch):
    """SGLang's own registry, which needs nothing but Python, with classes that have the names it looks for."""
    spec = importlib.util.spec_from_file_location("hook_registry_of_sglang", FOLDER / "srt/plugins/hook_registry.py")
    registry = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(registry)
    stand_in = types.ModuleType("sglang_stand_in")

    class ForwardBatch:
        @classmethod
        def init_new(cls, batch, model_runner, *, return_hidden_states_before_norm):
            return types.SimpleNamespace(sampling_info=batch.sampling_info)

    class Scheduler:
        def process_batch_result(self, batch, result):
            for req in batch.reqs:
                req.ended = True

    stand_in.ForwardBatch, stand_in.Scheduler = ForwardBatch, Scheduler
    monkeypatch.setitem(sys.modules, "sglang_stand_in", stand_in)
    seen = []
    monkeypatch.setattr(heirmark.sglang, "_engine", types.SimpleNamespace(processed=lambda reqs: seen.extend((req, req.ended) for req in reqs)))
    monkeypatch.setattr(heirmark.sglang, "_made", object)
    registry.HookRegistry.register("sglang_stand_in.ForwardBatch.init_new", heirmark.sglang._show_batch, registry.HookType.AFTER)
    registry.HookRegistry.register("sglang_stand_in.Scheduler.process_batch_result", heirmark.sglang._processed, registry.HookType.AFTER)
    registry.HookRegistry.apply_hooks()
    req = types.SimpleNamespace(ended=False)
    batch = types.SimpleNamespace(reqs=[req], seq_lens_cpu=numpy.asarray([4]), sampling_info=types.SimpleNamespace())
    made = ForwardBatch.init_new(batch, None, return_hidden_states_before_norm=False)
    assert made.sampling_info.heirmark_batch == heirmark.sglang.Batch((req,), [4])
    assert Scheduler().process_batch_result(batch, None) is None and seen == [(req, True)]


def test_what_is_refused_stands_in_the_servers_arguments():
    text = "\n".join(path.read_text("utf-8") for path in sorted((FOLDER / "srt/arg_groups/fields").glob("*.py")))
    for name in ("speculative_algorithm", "dllm_algorithm", "attn_dp_size", "pp_size", "dp_size", "disaggregation_mode"):
        assert f"    {name}: " in text, name
    assert arguments(member("srt/server_args.py", "ServerArgs", "resolved_dict"))[0] == ["self"]
    assert "tp_group" in source("srt/distributed/parallel_state.py", "get_tp_group") or "GroupCoordinator" in source("srt/distributed/parallel_state.py", "get_tp_group")
    assert arguments(member("srt/distributed/parallel_state.py", "GroupCoordinator", "broadcast"))[0] == ["self", "input_", "src"]
    assert "server_args" in arguments(member("srt/configs/model_config.py", "ModelConfig", "from_server_args"))[0]


def test_the_classes_themselves():
    if os.environ.get("HEIRMARK_SGLANG_SOURCE"):
        pytest.skip("HEIRMARK_SGLANG_SOURCE is read only")
    try:
        from sglang.srt.layers import sampler
    except Exception as error:  # whatever a machine without its libraries raises
        pytest.skip(f"SGLang cannot be imported here: {error}")
    heirmark.sglang.register()
    assert sampler._CUSTOM_SAMPLER_FACTORIES["heirmark"] is heirmark.sglang._make
    assert issubclass(heirmark.sglang.make_sampler_class(sampler.Sampler, engine=None, group=None, abort=None), sampler.Sampler)
