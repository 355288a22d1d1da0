"""An audit from Python, with a guilty suspect: plan, run, verdict, bag; and the command's view of the same folder."""
import hashlib
import json
import pathlib
import shutil
import sys

import pytest

import heirmark
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from authority import Authority
from conftest import KEY, PASSPHRASE
from support import ROOT, command

VOCAB = 1024


@pytest.fixture(scope="module")
def case(key, tmp_path_factory):
    base = tmp_path_factory.mktemp("audit")
    public = base / "public"
    public.mkdir()
    (public / "commitment.json").write_bytes(key.store.commitment(KEY).to_bytes())
    command("mark", KEY, "--keystore", key.store_folder, "--vocab", VOCAB, "--texts", 40, "--tokens", 48, "--ledger", public / "ledger.jsonl", "-o", base / "issued.jsonl",
            passphrase=PASSPHRASE)
    for name in ("provider", "auditor"):
        key.store.new_signer(name)
    for name in ("commitment", "ledger"):
        heirmark.sign_object(public, name, key.store, "provider")
    lines = [json.loads(line) for line in (base / "issued.jsonl").read_text().splitlines()]
    (base / "prompts.jsonl").write_text("".join(json.dumps({"tokens": line["tokens"][:2]}) + "\n" for line in lines))
    command("audit", "suspect", "-o", base / "suspect.json", "--released", "2031-01-01", "--", sys.executable, ROOT / "tests/cli/suspect.py", VOCAB, "--learned", public / "ledger.jsonl")
    folder = base / "case"
    channels = [heirmark.ChannelPlan("c1", weight=200_000, texts=40, tokens_per_text=40, decoys=63), heirmark.ChannelPlan("c2", weight=100_000, samples=4),
                heirmark.ChannelPlan("c3", weight=700_000, top=16)]
    plan = heirmark.make_plan(folder, commitment=public / "commitment.json", suspect=base / "suspect.json", prompts=base / "prompts.jsonl", ledger=public / "ledger.jsonl",
                              commitment_statement=public / "statements/commitment.dsse.json", ledger_statement=public / "statements/ledger.dsse.json",
                              provider_key=public / "trust/provider.pem", channels=channels, controls=2)
    heirmark.sign_object(folder, "plan", key.store, "auditor")
    return base, folder, plan


def test_the_whole_way(key, case):
    base, folder, plan = case
    assert plan.digest == hashlib.sha256((folder / "plan.json").read_bytes()).hexdigest()
    assert [c.channel for c in plan.channels] == ["c1", "c2", "c3"] and plan.key_id == key.info.key_id and plan.alpha == "0.000001"
    assert heirmark.Plan.read(folder / "plan.json").to_bytes() == plan.to_bytes() == (folder / "plan.json").read_bytes()

    planned = heirmark.check_case(folder, "planned")
    assert planned.state == "valid" and {check.code for check in planned.checks} >= {"statement.plan.signature", "dates.order"}
    assert "statement.transcript.missing" in {check.code for check in heirmark.check_case(folder, "sealed").checks if check.level == "fail"}
    with pytest.raises(heirmark.UsageError):
        heirmark.check_case(folder, "done")
    seen = []
    with pytest.raises(heirmark.StoppedError):
        heirmark.run_audit(folder, progress=lambda channel, done, total: seen.append((channel, done, total)) or len(seen) < 2)
    with pytest.raises(heirmark.Error):
        heirmark.write_verdict(folder, key.opening_file)
    transcript = heirmark.run_audit(folder, progress=lambda *at: seen.append(at))
    assert {channel for channel, _, _ in seen} == {"c1", "issued"} and seen[-1][1] == seen[-1][2] == transcript["queries"] == 80
    assert transcript["plan"] == plan.digest
    heirmark.sign_object(folder, "transcript", key.store, "auditor")

    assert heirmark.check_case(folder, "sealed").state == "valid"
    verdict = heirmark.write_verdict(folder, key.opening_file, threads=2)
    assert verdict.outcome == "supports" and float(verdict.log10_p) < -6 and verdict.plan == plan.digest
    assert verdict.to_dict() == json.loads((folder / "verdict.json").read_text())
    assert heirmark.Verdict.read(folder / "verdict.json").to_bytes() == (folder / "verdict.json").read_bytes()
    by_channel = {c.channel: c for c in verdict.channels}
    assert float(by_channel["c3"].log10_e) > 6 and by_channel["c1"].n > 0
    heirmark.sign_object(folder, "verdict", key.store, "auditor")
    heirmark.make_bag(folder)

    roots = [key.store.signer(name).public_pem for name in ("provider", "auditor")]
    report = heirmark.verify_bag(folder / "bag", trust_roots=roots)
    assert (report.state, report.outcome, report.log10_p) == ("valid", "supports", verdict.log10_p), [c.code for c in report.checks if c.level == "fail"]
    told = json.loads(command("verify", folder / "bag", "--trust", folder / "trust/provider.pem", "--trust", folder / "trust/auditor.pem", "--json"))
    assert (told["state"], told["outcome"], str(told["log10_p"])) == ("valid", "supports", json.dumps(json.loads(verdict.log10_p)))
    assert [(c["code"], c["level"]) for c in told["codes"]] == [(c.code, c.level) for c in report.checks]
    heirmark.write_report(folder / "bag", base / "report.html")
    assert "acme-70b/2026-11" in (base / "report.html").read_text()

    # One bit of the evidence, and strangers' keys.
    shutil.copytree(folder / "bag", base / "flipped")
    path = base / "flipped/data/verdict.json"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(data))
    flipped = heirmark.verify_bag(base / "flipped")
    assert flipped.state == "invalid" and any(c.level == "fail" for c in flipped.checks)
    assert heirmark.verify_bag(folder / "bag", trust_roots=[("provider", roots[0]), ("auditor", roots[1])]).state == "valid"
    assert heirmark.verify_bag(folder / "bag", trust_roots=[("auditor", roots[0]), ("provider", roots[1])]).state == "valid-but-untrusted"
    assert heirmark.verify_bag(folder / "bag", trust_roots=[key.store.new_signer("stranger").public_pem]).state == "valid-but-untrusted"


def test_refused(key, case, tmp_path):
    base, folder, plan = case
    with pytest.raises(heirmark.Error, match="case"):
        heirmark.make_plan(folder, commitment=base / "public/commitment.json", suspect=base / "suspect.json", prompts=base / "prompts.jsonl")
    with pytest.raises(heirmark.BadInputError, match="none.json"):
        heirmark.make_plan(tmp_path / "new", commitment=base / "none.json", suspect=base / "suspect.json", prompts=base / "prompts.jsonl")
    assert not (tmp_path / "new").exists()
    with pytest.raises(heirmark.UsageError, match="channel"):
        heirmark.ChannelPlan("c9")
    with pytest.raises(heirmark.UsageError, match="object"):
        heirmark.sign_object(folder, "bag", key.store, "auditor")
    with pytest.raises(heirmark.BadInputError):
        heirmark.Plan.from_bytes(plan.to_bytes() + b"\n")
    with pytest.raises(heirmark.Error):
        heirmark.verify_bag(tmp_path / "none")


def test_stamps(key, tmp_path):
    authority, stranger = Authority(tmp_path / "one"), Authority(tmp_path / "two")
    public = tmp_path / "public"
    public.mkdir()
    (public / "commitment.json").write_bytes(key.store.commitment(KEY).to_bytes())
    heirmark.sign_object(public, "commitment", key.store, "provider")
    statement = (public / "statements/commitment.dsse.json").read_bytes()
    request = heirmark.make_stamp_request(statement)
    reply = authority.answer(request, "20261101120000.25Z")
    with pytest.raises(heirmark.EvidenceError, match="answers another request"):
        heirmark.add_stamp(public, "commitment", 1, reply, heirmark.make_stamp_request(statement))
    with pytest.raises(heirmark.BadInputError):
        heirmark.add_stamp(public, "commitment", 1, b"<html>")
    with pytest.raises(heirmark.UsageError):
        heirmark.add_stamp(public, "opening", 1, reply)
    assert heirmark.add_stamp(public, "commitment", 1, reply, request) == ("2026-11-01T12:00:01Z", "CN=Test Authority")
    assert (public / "stamps/commitment-1.tsr").read_bytes() == reply
    with pytest.raises(heirmark.UsageError, match="is not replaced"):
        heirmark.add_stamp(public, "commitment", 1, reply)

    command("audit", "suspect", "-o", tmp_path / "suspect.json", "--", sys.executable, ROOT / "tests/cli/suspect.py", VOCAB)
    (tmp_path / "prompts.jsonl").write_text('{"tokens":[1,2]}\n')
    folder = tmp_path / "case"
    heirmark.make_plan(folder, commitment=public / "commitment.json", suspect=tmp_path / "suspect.json", prompts=tmp_path / "prompts.jsonl", commitment_statement=public / "statements/commitment.dsse.json",
                       provider_key=public / "trust/provider.pem", stamps=[public / "stamps/commitment-1.tsr"], controls=1, channels=[heirmark.ChannelPlan("c1", weight=1_000_000, texts=4, tokens_per_text=8, decoys=7)])
    assert (folder / "stamps/commitment-1.tsr").read_bytes() == reply
    heirmark.sign_object(folder, "plan", key.store, "auditor")
    heirmark.run_audit(folder)
    heirmark.sign_object(folder, "transcript", key.store, "auditor")
    heirmark.write_verdict(folder, key.opening_file)
    heirmark.sign_object(folder, "verdict", key.store, "auditor")
    for name in ("plan", "transcript"):
        request = heirmark.make_stamp_request((folder / f"statements/{name}.dsse.json").read_bytes())
        heirmark.add_stamp(folder, name, 2, authority.answer(request, "20400101000000Z"), request)
    heirmark.make_bag(folder)
    assert heirmark.verify_bag(folder / "bag").state == "valid"
    assert heirmark.verify_bag(folder / "bag", stamp_roots=[authority.root.read_text()]).state == "valid"
    assert heirmark.verify_bag(folder / "bag", stamp_roots=[stranger.root.read_text()]).state == "valid-but-untrusted"
    with pytest.raises(heirmark.BadInputError):
        heirmark.verify_bag(folder / "bag", stamp_roots=["no certificate"])
