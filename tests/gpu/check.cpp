// What gpu_check checks: numbered cases of rows, refused calls, graphs, streams, drafts, the frequencies of mode off.
#include "check.hpp"

#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace heirmark::gpu {

void Check::count(const Batch& batch, const Expected& want, Scheme scheme) {
  counts_.rows += batch.rows.size();
  counts_.by_dtype[static_cast<int>(batch.dtype)] += batch.rows.size();
  counts_.by_scheme[static_cast<int>(scheme)] += batch.rows.size();
  if (batch.vocab >= 32000) counts_.large_vocab += batch.rows.size();
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    ++counts_.by_status[static_cast<int>(want.out[i].status)];
    const DeviceRow& row = batch.rows[i];
    if (chosen(want.out[i].status) && (row.min_p > 0 || row.top_p < 1 || (row.top_k != 0 && row.top_k < batch.vocab))) ++counts_.truncated;
  }
}

/// What a broken kernel might do, so that a test can see that it would be found.
void Check::spoil(Results& results, const Batch& batch, Worker& worker) {
  if (settings_.spoil.empty() || spoiled_.exchange(true)) return;
  for (std::size_t i = 0; i < results.out.size(); ++i) {
    Sampled& out = results.out[i];
    if (!chosen(out.status) && settings_.spoil != "status") continue;
    // Of rows of mode off only launches are compared, and there may be no other one.
    if (settings_.spoil == "token" && batch.rows[i].mode == static_cast<std::uint32_t>(Mode::off)) continue;
    if (settings_.spoil == "token") out.token = out.token == 0 ? 1 : out.token - 1;
    if (settings_.spoil == "status") out.status = out.status == RowStatus::marked ? RowStatus::issued : RowStatus::marked;
    if (settings_.spoil == "log_prob") out.log_prob = std::isnan(out.log_prob) ? 0.0f : out.log_prob * 1.001f + 0.001f;
    if (settings_.spoil == "top" && !results.top.empty()) results.top[i].token[0].p ^= 1;
    if (settings_.spoil == "top" && results.top.empty()) break;
    if (settings_.spoil == "unwritten") std::memset(static_cast<void*>(&out), kCanary, sizeof out);
    if (settings_.spoil == "guard") {
      std::byte* const place = worker.out(0);
      machine_.fill(place, 0, 1, worker.stream());
      worker.fetch(place, nullptr, 0, "out");
    }
    return;
  }
  spoiled_ = false;  // nothing here to spoil: the next launch
}

void Check::run_case(Worker& worker, std::uint64_t number) {
  Random random = this->random(number);
  static const std::vector<Profile> profiles = all_profiles();
  // What a case is made of turns with its number, so that a few dozen cases hold every combination that matters.
  const Profile& profile = profiles[number / 3 % profiles.size()];
  const auto dtype = static_cast<DType>(number % 3);
  // Profile and type have a period of 15, so one case of five is real in turns of their own: each profile in each type comes to be.
  const bool real = settings_.small ? number % 7 == 6 : (number / 15 + number) % 5 == 4, crowd = real && !settings_.small && random() % 20 == 0;
  constexpr std::uint32_t kReal[] = {32000, 50257, 65536, 100277, 128256, 131072, 151936, 200019, 256000, 262144, kMaxVocab};
  std::uint32_t vocab = 1;
  if (real) {
    vocab = settings_.small ? static_cast<std::uint32_t>(2048 + random() % 20000) : random() % 4 == 0 ? static_cast<std::uint32_t>(32000 + random() % 230145) : kReal[random() % std::size(kReal)];
    if (crowd) vocab = std::min(vocab, 262144u);  // a crowd of the longest rows would be 4 GiB
  } else {
    const std::uint64_t turn = random() % 20;
    const double greatest = turn < 16 ? 512 : turn < 19 ? 4096 : 20000;
    vocab = std::max(1u, static_cast<std::uint32_t>(std::exp(std::log(greatest + 1) * test::uniform(random))));
    if (random() % 16 == 0) vocab = (vocab + 7) / 8 * 8;
  }
  constexpr std::size_t kRows[] = {1, 2, 3, 5, 8, 13, 32, 33, 64, 100, 128, 255, 256, 511, 512, 777, 1000, 1024, 1024, 1024};
  constexpr std::size_t kElements = 3'000'000, kCaseRows = 8192;  // of a batch, and of a case
  const std::uint32_t accounts = 1 + static_cast<std::uint32_t>(random() % 4);
  const bool truncation = random() % 8 != 0, log_probs = random() % 4 == 0;
  const std::uint32_t max_rows = settings_.small ? 64 : 1024;
  const Subkeys keys = make_subkeys(random, accounts);
  const DeviceSampler::Options options{.vocab_size = vocab, .max_rows = max_rows, .truncation = truncation, .log_probs = log_probs};
  const DeviceSampler device = sampler(machine_.backend(), profile, keys, options), host = sampler(DeviceSampler::Backend::cpu, profile, keys, options);

  std::size_t wanted = settings_.small ? 12 : crowd ? (random() % 2 == 0 ? 256 : 1024) : real ? 16 : kCaseRows;
  unsigned kind = static_cast<unsigned>(number * 31 % (2 * kKinds));
  while (wanted > 0) {
    std::size_t count = crowd ? wanted : std::min({wanted, std::max<std::size_t>(1, (real ? 4 : 1) * kElements / vocab), settings_.small ? std::size_t{5} : kRows[random() % std::size(kRows)]});
    count = std::min<std::size_t>(count, max_rows);
    wanted -= count;
    const std::size_t distinct = crowd ? 24 : count;
    Batch batch = make_batch(random, vocab, dtype, count, distinct, kind, profile.window, accounts, truncation);
    kind += static_cast<unsigned>(distinct);
    const Expected want = expected(host, batch);
    std::byte *logits = nullptr, *rows = nullptr;
    copy_batch(worker, batch, logits, rows);

    const bool with_top = random() % 2 == 0;
    Results whole = launch(worker, device, batch, logits, rows, 0, count, with_top, static_cast<unsigned char>(random() % 4 * 85), settings_.bare);
    spoil(whole, batch, worker);
    compare(batch, 0, whole, want, log_probs, "whole batch");
    std::uint64_t launches = 1, comparisons = count;
    // The same rows in other slots of other batches, from other addresses, on other grids.
    for (std::size_t from = 0, pieces = 0; from < count && count > 1 && pieces < 6; ++pieces) {
      const std::size_t left = count - from, piece = pieces == 0 ? 1 : std::min<std::size_t>(left, 1 + random() % left);
      const Results part = launch(worker, device, batch, logits, rows, from, piece, random() % 4 == 0, static_cast<unsigned char>(random()), settings_.bare);
      compare(batch, from, part, want, log_probs, "part of the batch");
      for (std::size_t i = 0; i < piece; ++i)
        if (part.out[i].token != whole.out[from + i].token)  // rows of mode off too
          throw Different(format("part of the batch, slot %zu of %zu: another token than in the whole batch\n", i, piece) + describe(batch, from + i) + "  part:  " + text_of(part.out[i]) +
                          "\n  whole: " + text_of(whole.out[from + i]) + "\n");
      from += piece;
      ++launches;
      comparisons += piece;
    }
    if (random() % 4 == 0) shards(worker, random, device, batch, logits, rows, want, whole);
    this->count(batch, want, profile.scheme);
    counts_.launches += launches;
    counts_.comparisons += comparisons;
  }
  ++counts_.cases;
}

/// The first rows of a batch once more, each rank's columns on their own: a row either has its token or says that it needs all logits.
void Check::shards(Worker& worker, Random& random, const DeviceSampler& device, const Batch& batch, const std::byte* logits, const std::byte* rows, const Expected& want, const Results& whole) {
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(batch.rows.size(), 64));
  const auto ranks = std::min<std::uint32_t>(batch.vocab, 1 + static_cast<std::uint32_t>(random() % 8));
  std::vector<std::uint32_t> cuts;
  while (cuts.size() + 1 < ranks) {
    const auto cut = static_cast<std::uint32_t>(1 + random() % (batch.vocab - 1));
    if (std::find(cuts.begin(), cuts.end(), cut) == cuts.end()) cuts.push_back(cut);
  }
  cuts.push_back(0);
  cuts.push_back(batch.vocab);
  std::sort(cuts.begin(), cuts.end());
  std::uint32_t largest = 0;
  for (std::uint32_t r = 0; r < ranks; ++r) largest = std::max(largest, cuts[r + 1] - cuts[r]);
  const auto plan = [&](std::uint32_t r) { return ShardPlan{cuts[r], cuts[r + 1] - cuts[r], ranks, largest}; };
  const auto own = [&](std::uint32_t r) {
    Logits l = batch.logits(logits, 0, count);
    l.data = static_cast<const std::byte*>(l.data) + cuts[r] * batch.size();
    return l;
  };
  const std::size_t sums_bytes = DeviceSampler::shard_sums_bytes(count), picks_bytes = DeviceSampler::shard_picks_bytes(count, plan(0)), out_bytes = count * sizeof(Sampled);
  std::byte* const sums = worker.sums(ranks * sums_bytes);
  std::byte* const picks = worker.picks(ranks * picks_bytes);
  const auto* const device_rows = reinterpret_cast<const DeviceRow*>(rows);
  for (std::uint32_t r = 0; r < ranks; ++r) must(device.shard_sum(own(r), plan(r), device_rows, sums + r * sums_bytes, worker.stream()), "shard_sum");
  for (std::uint32_t r = 0; r < ranks; ++r) must(device.shard_pick(own(r), plan(r), device_rows, sums, picks + r * picks_bytes, worker.stream()), "shard_pick");
  for (const std::uint32_t r : {0u, ranks - 1}) {
    std::byte* const out = worker.out(out_bytes);
    std::vector<Sampled> got(count);
    must(device.shard_draw(count, plan(r), device_rows, sums, picks, reinterpret_cast<Sampled*>(out), worker.stream()), "shard_draw");
    worker.fetch(out, got.data(), out_bytes, "out of shard_draw");
    for (std::uint32_t i = 0; i < count; ++i) {
      const DeviceRow& row = batch.rows[i];
      const Sampled& right = nobodys(row) ? whole.out[i] : want.out[i];
      const bool left = got[i].status == RowStatus::needs_all_logits;
      if (left ? got[i].token != kNoToken : got[i].status != right.status || got[i].token != right.token)
        throw Different(format("sharded over %" PRIu32 " ranks, rank %" PRIu32 ", slot %" PRIu32 ": different token or status\n", ranks, r, i) + describe(batch, i) + "  shards: " + text_of(got[i]) +
                        "\n  whole:  " + text_of(right) + "\n");
      if (!std::isnan(got[i].log_prob)) throw Different("shard_draw gave a log-probability\n" + describe(batch, i));
      const bool plain = batch.kinds[i] == static_cast<unsigned>(test::Shape::language) && device.profile().scheme == Scheme::gumbel && row.min_p == 0 && row.top_k == 0 && row.top_p == 1;
      counts_.sharded_plain += plain;
      counts_.plain_left += plain && left;
    }
  }
  worker.fetch(sums, nullptr, ranks * sums_bytes, "sums");
  worker.fetch(picks, nullptr, ranks * picks_bytes, "picks");
  counts_.sharded += count;
  counts_.launches += 2 * ranks + 2;
}

std::string Check::cases() {
  const unsigned threads = settings_.only_case ? 1 : settings_.threads;
  std::atomic<std::uint64_t> next{settings_.only_case.value_or(0)};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::string found;
  const auto work = [&] {
    std::uint64_t number = 0;
    const auto failed = [&](const std::string& message) {
      const std::lock_guard lock(mutex);
      stop = true;
      if (found.empty()) found = format("case %" PRIu64 ": ", number) + message + format("reproduce: gpu_check%s --seed %" PRIu64 " --case %" PRIu64 "\n", settings_.small ? " --small" : "", settings_.seed, number);
    };
    try {
      machine_.enter();
      Worker worker(machine_, settings_.small);
      while (!stop) {
        number = next++;
        if (settings_.only_case ? number != *settings_.only_case : settings_.small ? number >= settings_.small_cases : counts_.rows >= settings_.rows || Clock::now() > deadline()) break;
        run_case(worker, number);
      }
    } catch (const std::exception& error) {
      failed(std::string(error.what()) + "\n");
    }
  };
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < threads; ++i) workers.emplace_back(work);
  // On a terminal a line that changes; in a log one now and then.
  std::atomic<bool> done{false};
  std::thread progress([&, terminal = ::isatty(STDERR_FILENO) != 0] {
    constexpr double kEvery[] = {20, 1};
    for (double next_line = seconds() + kEvery[terminal ? 1 : 0]; !done; std::this_thread::sleep_for(std::chrono::milliseconds(50))) {
      if (seconds() < next_line) continue;
      next_line += kEvery[terminal ? 1 : 0];
      std::fprintf(stderr, "%s%.0f s  %.2f M rows  %" PRIu64 " cases%s", terminal ? "\r" : "", seconds(), static_cast<double>(counts_.rows) * 1e-6, counts_.cases.load(), terminal ? " " : "\n");
    }
    if (terminal) std::fputc('\n', stderr);
  });
  for (auto& worker : workers) worker.join();
  done = true;
  progress.join();
  // What shards leave is right by definition, so it must be little: a row that only draws leaves a handful in ten thousand.
  if (found.empty() && counts_.sharded_plain >= 1000 && counts_.plain_left * 50 > counts_.sharded_plain)
    found = format("shards leave %" PRIu64 " of %" PRIu64 " plain rows to a whole launch\n", counts_.plain_left.load(), counts_.sharded_plain.load());
  return found;
}

/// What each call refuses, with nothing launched and nothing written.
void Check::errors() {
  Random random = this->random(1ull << 40);
  const Profile& profile = profiles::standard_2026_11();
  const Subkeys keys = make_subkeys(random, 2);
  const auto refuses = [](const auto& result, ErrorCode code, const char* what) {
    if (result) throw Different(std::string("accepted: ") + what);
    if (result.error().code != code) throw Different(format("%s: error code %d, expected %d (%s)", what, static_cast<int>(result.error().code), static_cast<int>(code), result.error().message.c_str()));
    if (result.error().message.empty()) throw Different(std::string("no message: ") + what);
  };
  const auto create = [&](DeviceSampler::Options options, Subkeys subkeys) {
    options.backend = machine_.backend();
    return DeviceSampler::create(profile, std::move(subkeys), options);
  };
  refuses(create({.vocab_size = 0}, keys.clone()), ErrorCode::usage, "create: no vocabulary");
  refuses(create({.vocab_size = kMaxVocab + 1}, keys.clone()), ErrorCode::usage, "create: a vocabulary above 2^20");
  refuses(create({.vocab_size = 100, .max_rows = 0}, keys.clone()), ErrorCode::usage, "create: no rows");
  refuses(create({.vocab_size = 100, .max_rows = (1u << 16) + 1}, keys.clone()), ErrorCode::usage, "create: more than 2^16 rows");
  refuses(create({.vocab_size = 100}, make_subkeys(random, 0)), ErrorCode::key, "create: no issuance subkey");
  // A memory checker counts CUDA's own refusals as errors.
  if (machine_.backend() == DeviceSampler::Backend::cuda && !settings_.small) refuses(create({.vocab_size = 100, .device = 4096}, keys.clone()), ErrorCode::io, "create: a device that is not there");

  constexpr std::uint32_t kVocab = 1000;
  constexpr std::size_t kRows = 4;
  const DeviceSampler device = sampler(machine_.backend(), profile, keys, {.vocab_size = kVocab, .max_rows = kRows});
  Worker worker(machine_, true);
  const Batch batch = make_batch(random, kVocab, DType::float32, kRows + 1, kRows + 1, 0, 2, 2, true);
  std::byte *logits = nullptr, *rows = nullptr;
  copy_batch(worker, batch, logits, rows);
  const std::size_t bytes = device.workspace_bytes(kRows);
  std::byte* const memory = worker.workspace(bytes, kCanary);
  std::byte* const out = worker.out(kRows * sizeof(Sampled));
  std::byte* const top = worker.top(kRows * sizeof(TopTokens));
  const DeviceWorkspace good{memory, bytes};
  const bool needs_workspace = machine_.backend() == DeviceSampler::Backend::cuda;
  if (needs_workspace) {
    refuses(device.prepare({nullptr, bytes}, worker.stream()), ErrorCode::usage, "prepare: no workspace");
    refuses(device.prepare({memory + 8, bytes}, worker.stream()), ErrorCode::usage, "prepare: a misaligned workspace");
  }
  must(device.prepare(good, worker.stream()), "prepare");
  const Logits fine = batch.logits(logits, 0, kRows);
  const auto* const device_rows = reinterpret_cast<const DeviceRow*>(rows);
  auto* const device_out = reinterpret_cast<Sampled*>(out);
  auto* const device_top = reinterpret_cast<TopTokens*>(top);
  const auto sample = [&](const Logits& l, const DeviceRow* r, Sampled* o, DeviceWorkspace w) { return device.sample(l, r, o, device_top, w, worker.stream()); };
  const auto with = [&](auto change) {
    Logits l = fine;
    change(l);
    return l;
  };
  refuses(sample(with([](Logits& l) { l.data = nullptr; }), device_rows, device_out, good), ErrorCode::usage, "sample: no logits");
  refuses(sample(fine, nullptr, device_out, good), ErrorCode::usage, "sample: no rows");
  refuses(sample(fine, device_rows, nullptr, good), ErrorCode::usage, "sample: no out");
  refuses(sample(with([](Logits& l) { l.dtype = static_cast<DType>(3); }), device_rows, device_out, good), ErrorCode::usage, "sample: an unknown dtype");
  refuses(sample(with([](Logits& l) { l.row_stride = kVocab - 1; }), device_rows, device_out, good), ErrorCode::usage, "sample: a stride below the vocabulary");
  refuses(sample(with([](Logits& l) { l.rows = kRows + 1; }), device_rows, device_out, good), ErrorCode::usage, "sample: more rows than max_rows");
  refuses(sample(with([](Logits& l) { l.data = static_cast<const std::byte*>(l.data) + 1; }), device_rows, device_out, good), ErrorCode::usage, "sample: logits off their type's alignment");
  must(sample(with([](Logits& l) { l.rows = 0; }), device_rows, device_out, good), "sample: no row at all");
  if (needs_workspace) {
    refuses(sample(fine, device_rows, device_out, {nullptr, bytes}), ErrorCode::usage, "sample: no workspace");
    refuses(sample(fine, device_rows, device_out, {memory + 8, bytes}), ErrorCode::usage, "sample: a misaligned workspace");
    refuses(sample(fine, device_rows, device_out, {memory, bytes - 1}), ErrorCode::usage, "sample: a small workspace");
  }
  std::vector<unsigned char> seen(kRows * sizeof(Sampled)), seen_top(kRows * sizeof(TopTokens));
  worker.fetch(out, seen.data(), seen.size(), "out");
  worker.fetch(top, seen_top.data(), seen_top.size(), "top");
  for (const auto* list : {&seen, &seen_top})
    for (const unsigned char byte : *list)
      if (byte != kCanary) throw Different("a refused call wrote results");
  // And after all that it works.
  must(sample(fine, device_rows, device_out, good), "sample");
  worker.fetch(out, seen.data(), seen.size(), "out");
}

/// Recorded once, replayed with other rows and logits in the same memory.
void Check::graphs() {
  Random random = this->random(2ull << 40);
  for (const Profile& profile : {profiles::standard_2026_11(), profiles::greenlist_2026_11(), profiles::tournament_2026_11()}) {
    const auto vocab = static_cast<std::uint32_t>(settings_.small ? 3001 : 32003);
    const std::size_t count = settings_.small ? 3 : 17;
    const Subkeys keys = make_subkeys(random, 2);
    const DeviceSampler::Options options{.vocab_size = vocab, .max_rows = 64, .log_probs = true};
    const DeviceSampler device = sampler(machine_.backend(), profile, keys, options), host = sampler(DeviceSampler::Backend::cpu, profile, keys, options);
    Worker worker(machine_, settings_.small);
    const std::size_t space = (vocab + 64) * 4 * count + 1024, out_bytes = count * sizeof(Sampled), top_bytes = count * sizeof(TopTokens);
    std::byte* const logits = worker.logits(space);
    std::byte* const rows = worker.rows(count * sizeof(DeviceRow));
    std::byte* const out = worker.out(out_bytes);
    std::byte* const top = worker.top(top_bytes);
    const std::size_t bytes = device.workspace_bytes(static_cast<std::uint32_t>(count));
    std::byte* const memory = worker.workspace(bytes, settings_.bare ? std::nullopt : std::optional<unsigned char>(0xA7));
    must(device.prepare({memory, bytes}, worker.stream()), "prepare");
    const auto dtype = static_cast<DType>(random() % 3);
    Batch batch = make_batch(random, vocab, dtype, count, count, 0, profile.window, 2, true);
    const Batch layout = batch;
    const auto sample = [&] {
      must(device.sample(layout.logits(logits, 0, count), reinterpret_cast<const DeviceRow*>(rows), reinterpret_cast<Sampled*>(out), reinterpret_cast<TopTokens*>(top), {memory, bytes}, worker.stream()),
           "sample into a graph");
    };
    // Once before it is recorded, as engines do: a kernel's first launch may load it.
    machine_.copy_in(logits, batch.bytes.data(), batch.bytes.size(), worker.stream());
    machine_.copy_in(rows, batch.rows.data(), count * sizeof(DeviceRow), worker.stream());
    sample();
    machine_.wait(worker.stream());
    const auto graph = machine_.record(worker.stream(), sample);
    for (int replay = 0; replay < 6; ++replay) {
      if (replay != 0) batch = make_batch(random, vocab, dtype, count, count, static_cast<unsigned>(replay * 11), profile.window, 2, true, &layout);  // a graph keeps its addresses
      machine_.copy_in(logits, batch.bytes.data(), batch.bytes.size(), worker.stream());
      machine_.copy_in(rows, batch.rows.data(), count * sizeof(DeviceRow), worker.stream());
      machine_.fill(out, kCanary, out_bytes, worker.stream());
      machine_.fill(top, kCanary, top_bytes, worker.stream());
      graph->replay();
      if (replay % 2 == 1) graph->replay();  // twice in a row: a launch leaves its workspace ready
      Results got;
      got.out.resize(count);
      got.top.resize(count);
      worker.fetch(out, got.out.data(), out_bytes, "out");
      worker.fetch(top, got.top.data(), top_bytes, "top");
      worker.fetch(memory, nullptr, bytes, "workspace");
      compare(batch, 0, got, expected(host, batch), true, "replay of a graph");
      counts_.rows += count;
      counts_.comparisons += count;
      ++counts_.launches;
    }
  }
}

/// Launches that overlap, each stream with a workspace of its own, none waited for.
void Check::streams() {
  Random random = this->random(3ull << 40);
  const Profile& profile = profiles::tournament_2026_11();  // the longest finish
  const auto vocab = static_cast<std::uint32_t>(settings_.small ? 5003 : 128256);
  const std::size_t count = settings_.small ? 2 : 5, launches = settings_.small ? 3 : 40;
  const Subkeys keys = make_subkeys(random, 3);
  const DeviceSampler::Options options{.vocab_size = vocab, .max_rows = 16};
  const DeviceSampler device = sampler(machine_.backend(), profile, keys, options), host = sampler(DeviceSampler::Backend::cpu, profile, keys, options);
  struct Side {
    Worker worker;
    Batch batch;
    std::byte *logits = nullptr, *rows = nullptr, *out = nullptr, *memory = nullptr;
  };
  Side sides[2] = {{Worker(machine_, true), {}}, {Worker(machine_, true), {}}};
  const std::size_t bytes = device.workspace_bytes(static_cast<std::uint32_t>(count));
  for (Side& side : sides) {
    side.batch = make_batch(random, vocab, &side == sides ? DType::bfloat16 : DType::float32, count, count, static_cast<unsigned>(random() % kKinds), profile.window, 3, true);
    copy_batch(side.worker, side.batch, side.logits, side.rows);
    side.out = side.worker.out(launches * count * sizeof(Sampled));
    side.memory = side.worker.workspace(bytes, settings_.bare ? std::nullopt : std::optional<unsigned char>(0x5A));
    must(device.prepare({side.memory, bytes}, side.worker.stream()), "prepare");
  }
  for (std::size_t i = 0; i < launches; ++i)
    for (Side& side : sides)
      must(device.sample(side.batch.logits(side.logits, 0, count), reinterpret_cast<const DeviceRow*>(side.rows), reinterpret_cast<Sampled*>(side.out) + i * count, nullptr, {side.memory, bytes},
                         side.worker.stream()),
           "sample");
  for (Side& side : sides) {
    std::vector<Sampled> out(launches * count);
    side.worker.fetch(side.out, out.data(), out.size() * sizeof(Sampled), "out");
    side.worker.fetch(side.memory, nullptr, bytes, "workspace");
    const Expected want = expected(host, side.batch);
    for (std::size_t i = 0; i < launches; ++i)
      compare(side.batch, 0, {{out.begin() + static_cast<std::ptrdiff_t>(i * count), out.begin() + static_cast<std::ptrdiff_t>((i + 1) * count)}, {}}, want, false, "two streams");
    counts_.rows += count;
    counts_.comparisons += count * launches;
    counts_.launches += launches;
  }
}

/// count_taken on the device and settle_draft on the host count the same tokens.
void Check::drafts() {
  Random random = this->random(4ull << 40);
  constexpr std::uint32_t kVocab = 4, kDrafts = 200;
  const Subkeys keys = make_subkeys(random, 1);
  const DeviceSampler device = sampler(machine_.backend(), profiles::standard_2026_11(), keys, {.vocab_size = kVocab, .max_rows = 2048});
  std::vector<std::uint32_t> first{0};
  std::vector<TokenId> draft;
  std::vector<Sampled> sampled;
  std::vector<std::uint32_t> want;
  for (std::uint32_t d = 0; d < kDrafts; ++d) {
    const std::size_t length = random() % 9;
    std::vector<TokenId> own(length);
    for (auto& token : own) token = random() % 8 == 0 ? kNoToken - static_cast<std::uint32_t>(random() % 2) : static_cast<TokenId>(random() % kVocab);
    std::vector<Sampled> got(length + 1);
    for (std::size_t i = 0; i <= length; ++i) {
      got[i].status = random() % 12 == 0 ? RowStatus::no_finite_logit : RowStatus::marked;
      got[i].token = !chosen(got[i].status) ? kNoToken : i < length && own[i] < kVocab && random() % 4 != 0 ? own[i] : static_cast<TokenId>(random() % kVocab);
    }
    const TokenId prompt[] = {1, 2, 3};
    Sequence sequence = device.begin({}, prompt);
    std::vector<DeviceRow> rows(length + 1);
    device.draft_rows(sequence, {}, own, rows);
    want.push_back(static_cast<std::uint32_t>(device.settle_draft(sequence, rows, own, got)));
    draft.insert(draft.end(), own.begin(), own.end());
    sampled.insert(sampled.end(), got.begin(), got.end());
    first.push_back(static_cast<std::uint32_t>(sampled.size()));
  }
  Worker worker(machine_, true);
  const std::size_t first_bytes = first.size() * 4, sampled_bytes = sampled.size() * sizeof(Sampled), draft_bytes = draft.size() * 4, taken_bytes = kDrafts * 4;
  const Buffer device_first(machine_, first_bytes), device_draft(machine_, draft_bytes), device_sampled(machine_, sampled_bytes);
  machine_.copy_in(device_first.data(), first.data(), first_bytes, worker.stream());
  machine_.copy_in(device_draft.data(), draft.data(), draft_bytes, worker.stream());
  machine_.copy_in(device_sampled.data(), sampled.data(), sampled_bytes, worker.stream());
  std::byte* const taken = worker.out(taken_bytes);
  must(device.count_taken(reinterpret_cast<const std::uint32_t*>(device_first.data()), reinterpret_cast<const TokenId*>(device_draft.data()), reinterpret_cast<const Sampled*>(device_sampled.data()),
                          reinterpret_cast<std::uint32_t*>(taken), kDrafts, worker.stream()),
       "count_taken");
  std::vector<std::uint32_t> got(kDrafts);
  worker.fetch(taken, got.data(), taken_bytes, "taken");
  for (std::uint32_t d = 0; d < kDrafts; ++d)
    if (got[d] != want[d]) throw Different(format("count_taken: draft %" PRIu32 " (rows %" PRIu32 " ..): %" PRIu32 " and settle_draft %" PRIu32, d, first[d], got[d], want[d]));
}

/// Mode off draws with a key of the sampler's own, so its tokens are checked as a distribution: n draws of one row with 16 tokens. Each frequency is
/// within sqrt(ln(2 * 16 / 1e-10) / 2n) of its probability, or, by Hoeffding's inequality, a right sampler fails with probability at most 1e-10.
void Check::frequencies() {
  Random random = this->random(5ull << 40);
  constexpr std::uint32_t kVocab = 16;
  const std::size_t count = 1024, launches = settings_.small ? 4 : 256, n = count * launches;
  const Subkeys keys = make_subkeys(random, 1);
  const DeviceSampler device = sampler(machine_.backend(), profiles::standard_2026_11(), keys, {.vocab_size = kVocab, .max_rows = count});
  std::vector<float> logits(count * kVocab);
  double e[kVocab], total = 0;
  for (std::uint32_t v = 0; v < kVocab; ++v) {
    logits[v] = test::normal(random);
    total += e[v] = std::exp(static_cast<double>(logits[v]));
  }
  for (std::size_t i = kVocab; i < logits.size(); ++i) logits[i] = logits[i % kVocab];
  Worker worker(machine_, true);
  std::byte* const device_logits = worker.logits(logits.size() * 4);
  machine_.copy_in(device_logits, logits.data(), logits.size() * 4, worker.stream());
  const std::size_t bytes = device.workspace_bytes();
  std::byte* const memory = worker.workspace(bytes, kCanary);
  must(device.prepare({memory, bytes}, worker.stream()), "prepare");
  std::uint64_t seen[kVocab] = {};
  std::vector<DeviceRow> rows(count);
  std::vector<Sampled> out(count);
  for (std::size_t i = 0; i < launches; ++i) {
    for (std::size_t r = 0; r < count; ++r) {
      rows[r].mode = static_cast<std::uint32_t>(Mode::off);
      rows[r].position = static_cast<std::uint32_t>(i * count + r);
    }
    std::byte* const device_rows = worker.rows(count * sizeof(DeviceRow));
    machine_.copy_in(device_rows, rows.data(), count * sizeof(DeviceRow), worker.stream());
    std::byte* const device_out = worker.out(count * sizeof(Sampled));
    must(device.sample({device_logits, DType::float32, count, kVocab}, reinterpret_cast<const DeviceRow*>(device_rows), reinterpret_cast<Sampled*>(device_out), nullptr, {memory, bytes}, worker.stream()),
         "sample");
    worker.fetch(device_out, out.data(), count * sizeof(Sampled), "out");
    for (const Sampled& s : out) {
      if (s.status != RowStatus::unmarked || s.token >= kVocab) throw Different("mode off: " + text_of(s));
      ++seen[s.token];
    }
  }
  const double bound = std::sqrt(std::log(2 * kVocab / 1e-10) / (2.0 * static_cast<double>(n)));
  for (std::uint32_t v = 0; v < kVocab; ++v)
    if (const double share = static_cast<double>(seen[v]) / static_cast<double>(n); std::abs(share - e[v] / total) > bound)
      throw Different(format("mode off: token %" PRIu32 " came with frequency %.6f in %zu draws, its probability is %.6f", v, share, n, e[v] / total));
}

}  // namespace heirmark::gpu
