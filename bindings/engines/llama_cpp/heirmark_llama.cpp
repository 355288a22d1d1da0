// A llama_sampler over the C library. C++17, because llama.cpp's own build compiles it too; needs heirmark.h and llama.h and nothing else.
#include "heirmark_llama.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <exception>
#include <iterator>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

constexpr float kAbsent = -std::numeric_limits<float>::infinity();

thread_local std::string last_error;

heirmark_status fail(heirmark_status status, const char* line) noexcept {
  try {
    last_error = line;
  } catch (...) {
    last_error.clear();
  }
  return status;
}
heirmark_status usage(const char* line) noexcept { return fail(HEIRMARK_USAGE, line); }
heirmark_status library(heirmark_status status) noexcept { return fail(status, heirmark_last_error()); }

using RequestId = std::array<uint8_t, HEIRMARK_REQUEST_ID_BYTES>;

bool draw_request_id(RequestId& id) noexcept {
  for (std::size_t have = 0; have < id.size();) {
    const ssize_t got = getrandom(id.data() + have, id.size() - have, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    have += static_cast<std::size_t>(got);
  }
  return true;
}

/// A response, of which clones may go on: it is recorded once.
struct Response {
  RequestId id{};
  std::atomic<bool> drawn = false;  ///< something was drawn under the id, by whichever of the clones
  std::atomic<bool> claimed = false;
};
using ResponsePtr = std::shared_ptr<Response>;

/// A response with a random id; null without random bytes or memory.
ResponsePtr draw_response() noexcept try {
  auto out = std::make_shared<Response>();
  return draw_request_id(out->id) ? out : nullptr;
} catch (...) {
  return nullptr;
}

struct EndSequence {
  void operator()(heirmark_sequence* sequence) const noexcept { heirmark_sequence_free(sequence); }
};
using SequencePtr = std::unique_ptr<heirmark_sequence, EndSequence>;

SequencePtr copy(const SequencePtr& sequence) {
  if (!sequence) return nullptr;
  heirmark_sequence* out = nullptr;
  if (heirmark_sequence_clone(sequence.get(), &out) != HEIRMARK_OK) throw std::bad_alloc();
  return SequencePtr(out);
}

/// The last tokens, prompt's and generated: no profile's window is longer.
struct Recent {
  std::array<uint32_t, 4> token{};
  std::size_t count = 0;
  void push(uint32_t next) noexcept {
    if (count < token.size()) {
      token[count++] = next;
    } else {
      std::copy(token.begin() + 1, token.end(), token.begin());
      token.back() = next;
    }
  }
};

/// What a clone copies.
struct State {
  Recent recent;
  ResponsePtr response;           ///< null: there is no request id to draw under
  SequencePtr sequence;           ///< from the first apply on
  bool pending = false;           ///< row, sampled and top are of a draw that nobody has accepted yet
  heirmark_row row{};
  heirmark_sampled sampled{};
  heirmark_top_tokens top{};
  bool stopping = false;          ///< the last apply selected stop_token instead
  heirmark_llama_failure failure = HEIRMARK_LLAMA_NO_FAILURE;  ///< why the pending draw has no mark, or there is none
  heirmark_llama_report report{};
  std::vector<uint32_t> prompt;  ///< for the ledger, as the steps are
  std::vector<heirmark_llama_step> steps;

  State() = default;
  State(const State& other)
      : recent(other.recent), response(other.response), sequence(copy(other.sequence)),
        pending(other.pending), row(other.row), sampled(other.sampled), top(other.top), stopping(other.stopping), failure(other.failure), report(other.report),
        prompt(other.prompt), steps(other.steps) {}
  State& operator=(const State&) = delete;
  State(State&&) = default;
  State& operator=(State&&) = default;
  ~State() = default;

  /// A response begins; what was accepted stays, but for what is kept for the ledger.
  void begin() noexcept {
    sequence.reset();
    pending = stopping = false;
    failure = HEIRMARK_LLAMA_NO_FAILURE;
    report = {};
    steps.clear();  // its memory stays, for the next response
  }
};

struct Context {
  const heirmark_sampler* sampler;
  heirmark_llama_options options;
  State state;
};

Context* context_of(const struct llama_sampler* sampler) noexcept;

/// Is what the ledger needs kept? Whoever asked for no mark is not recorded.
bool keeps(const heirmark_llama_options& options) noexcept { return options.keep_steps != 0 && options.params.mode != HEIRMARK_OFF; }

/// Is what the response asks for a random draw, whose noise a second draw must not share?
bool draws(const heirmark_params& params) noexcept { return params.mode != HEIRMARK_GREEDY && params.temperature > 0.0f; }

/// Notes why a token will have no mark; true if the response may not go on.
bool stops(Context& context, heirmark_llama_failure why) noexcept {
  context.state.report.last_failure = why;
  if (context.options.policy == HEIRMARK_LLAMA_STOP) context.state.report.stopped = 1;
  return context.state.report.stopped != 0;
}

/// What remains where nothing can be taken: llama.cpp reads data[selected] without asking, so a candidate there has to be.
void select_stop_token(Context& context, llama_token_data_array& candidates) noexcept {
  context.state.stopping = true;
  candidates.data[0] = {context.options.stop_token, 0.0f, 1.0f};
  candidates.size = 1;
  candidates.selected = 0;
  candidates.sorted = true;
}

/// The dense row of the vocabulary. Between calls it is all absent, so that a short list of candidates costs no more than its length.
std::vector<float>& dense_row(std::size_t vocab_size) {
  thread_local std::vector<float> row;
  if (row.size() < vocab_size) row.resize(vocab_size, kAbsent);
  return row;
}

class Scattered {
 public:
  Scattered(std::vector<float>& row, const llama_token_data_array& candidates, std::size_t vocab_size) noexcept
      : row_(row), candidates_(candidates), vocab_size_(vocab_size) {
    for (std::size_t i = 0; i < candidates.size; ++i) {
      const llama_token_data& candidate = candidates.data[i];
      if (!known(candidate.id)) {
        good_ = false;
        continue;
      }
      float& place = row_[static_cast<std::size_t>(candidate.id)];
      if (place != kAbsent) good_ = false;  // twice: the later one counts
      place = candidate.logit;
    }
  }
  Scattered(const Scattered&) = delete;
  Scattered& operator=(const Scattered&) = delete;
  ~Scattered() {
    if (candidates_.size > vocab_size_ / 4) {
      std::fill_n(row_.begin(), vocab_size_, kAbsent);
      return;
    }
    for (std::size_t i = 0; i < candidates_.size; ++i)
      if (known(candidates_.data[i].id)) row_[static_cast<std::size_t>(candidates_.data[i].id)] = kAbsent;
  }
  [[nodiscard]] bool good() const noexcept { return good_; }
  [[nodiscard]] bool alive(uint32_t token) const noexcept { return row_[token] > kAbsent; }

  /// The index of a token among the candidates, the last of them if it is there twice.
  [[nodiscard]] std::size_t index_of(uint32_t token) const noexcept {
    const auto id = static_cast<llama_token>(token);
    if (token < candidates_.size && candidates_.data[token].id == id && good_) return token;  // the engine's own order
    std::size_t i = candidates_.size;
    while (candidates_.data[--i].id != id) {}
    return i;
  }

 private:
  [[nodiscard]] bool known(llama_token id) const noexcept { return id >= 0 && static_cast<std::size_t>(id) < vocab_size_; }
  std::vector<float>& row_;
  const llama_token_data_array& candidates_;
  std::size_t vocab_size_;
  bool good_ = true;
};

/// As llama_sampler_init_dist leaves them. Nothing was truncated here: heirmark_llama_init saw to it.
void write_probabilities(const Context& context, llama_token_data_array& candidates) noexcept {
  const float temperature = context.options.params.mode == HEIRMARK_GREEDY ? 0.0f : context.options.params.temperature;
  const bool drawn = temperature > 0.0f && context.state.sampled.status <= HEIRMARK_ROW_UNMARKED;
  double greatest = -std::numeric_limits<double>::infinity(), sum = 0.0;
  for (std::size_t i = 0; i < candidates.size; ++i)
    if (candidates.data[i].logit > greatest) greatest = static_cast<double>(candidates.data[i].logit);
  const auto mass = [&](const llama_token_data& candidate) {
    return std::isnan(candidate.logit) ? 0.0 : std::exp((static_cast<double>(candidate.logit) - greatest) / static_cast<double>(temperature));
  };
  if (drawn)
    for (std::size_t i = 0; i < candidates.size; ++i) sum += mass(candidates.data[i]);
  for (std::size_t i = 0; i < candidates.size; ++i)
    candidates.data[i].p = drawn ? static_cast<float>(mass(candidates.data[i]) / sum) : static_cast<int64_t>(i) == candidates.selected ? 1.0f : 0.0f;
}

/// Begins the sequence with the prompt that was accepted, if this is the first draw.
heirmark_llama_failure ready(Context& context) noexcept {
  State& state = context.state;
  if (state.sequence) return HEIRMARK_LLAMA_NO_FAILURE;
  if (state.response && state.response->claimed) state.response = draw_response();  // a clone went on as the response, to its end
  if (!state.response) return HEIRMARK_LLAMA_NO_REQUEST_ID;
  heirmark_sequence* sequence = nullptr;
  const heirmark_status status = heirmark_sequence_begin(context.sampler, state.response->id.data(), state.recent.token.data(), state.recent.count,
                                                         context.options.account_slot, &sequence);
  if (status != HEIRMARK_OK) {
    library(status);
    return HEIRMARK_LLAMA_LIBRARY;
  }
  state.sequence.reset(sequence);
  return HEIRMARK_LLAMA_NO_FAILURE;
}

const char* name(const struct llama_sampler* /*sampler*/) { return "heirmark"; }

/// Draws among the candidates: `pending` and `selected` if there is a token. Says what is wrong with it, if anything.
heirmark_llama_failure draw(Context& context, llama_token_data_array& candidates) noexcept try {
  State& state = context.state;
  const bool rejected = std::exchange(state.pending, false);
  if (const heirmark_llama_failure failure = ready(context); failure != HEIRMARK_LLAMA_NO_FAILURE) return failure;
  const std::size_t vocab_size = context.options.vocab_size;
  std::vector<float>& dense = dense_row(vocab_size);
  const Scattered scattered(dense, candidates, vocab_size);
  heirmark_params params = context.options.params;
  // Only a draw that the engine has thrown out is missing when it asks again. The second draw has fresh randomness: if it shared the first one's, which
  // decided that there be a second, the text would have another distribution than without a mark (README, "Grammars").
  const bool redrawn = rejected && draws(params) && !scattered.alive(state.sampled.token);
  heirmark_llama_failure failure = HEIRMARK_LLAMA_NO_FAILURE;
  if (params.mode != HEIRMARK_OFF) {
    if (!scattered.good()) failure = HEIRMARK_LLAMA_BAD_CANDIDATES;
    else if (redrawn) failure = HEIRMARK_LLAMA_REDRAWN;
    if (failure != HEIRMARK_LLAMA_NO_FAILURE) {
      if (stops(context, failure)) return failure;
      if (params.mode != HEIRMARK_GREEDY) params.mode = HEIRMARK_OFF;
    }
  }
  heirmark_status status = heirmark_sequence_row(context.sampler, state.sequence.get(), &params, &state.row);
  if (status != HEIRMARK_OK) return library(status), HEIRMARK_LLAMA_LIBRARY;
  if (RequestId fresh; redrawn) {
    if (!draw_request_id(fresh)) return HEIRMARK_LLAMA_NO_REQUEST_ID;
    std::memcpy(state.row.request_id, fresh.data(), fresh.size());
  }
  const heirmark_logits logits = {dense.data(), HEIRMARK_FLOAT32, 1, vocab_size};
  state.response->drawn = true;
  status = heirmark_sample(context.sampler, &logits, &state.row, &state.sampled, &state.top, heirmark_workspace{}, nullptr);
  if (status != HEIRMARK_OK) return library(status), HEIRMARK_LLAMA_LIBRARY;
  if (state.sampled.status == HEIRMARK_ROW_NO_FINITE_LOGIT) return HEIRMARK_LLAMA_NO_CANDIDATE;
  if (state.sampled.token == HEIRMARK_NO_TOKEN) return fail(HEIRMARK_INTERNAL, heirmark_row_status_name(state.sampled.status)), HEIRMARK_LLAMA_LIBRARY;
  state.pending = true;
  candidates.selected = static_cast<int64_t>(scattered.index_of(state.sampled.token));
  return failure;
} catch (...) {
  fail(HEIRMARK_INTERNAL, "out of memory");
  return HEIRMARK_LLAMA_LIBRARY;
}

void apply(struct llama_sampler* sampler, llama_token_data_array* candidates) {
  Context& context = *static_cast<Context*>(sampler->ctx);
  State& state = context.state;
  state.stopping = false;
  if (state.report.stopped == 0) state.failure = HEIRMARK_LLAMA_NO_FAILURE;
  if (candidates->size == 0 || candidates->data == nullptr) {
    state.pending = false;
    candidates->selected = -1;  // as llama_sampler_init_dist: there is no place for stop_token
    stops(context, HEIRMARK_LLAMA_NO_CANDIDATE);
    return;
  }
  if (state.report.stopped == 0) state.failure = draw(context, *candidates);
  else state.pending = false;
  if (!state.pending) {
    if (state.failure != HEIRMARK_LLAMA_NO_FAILURE) stops(context, state.failure);
    select_stop_token(context, *candidates);
  } else if (context.options.probabilities != 0) {
    write_probabilities(context, *candidates);
  }
}

void keep_step(Context& context, uint32_t token, bool foreign) {
  if (!keeps(context.options)) return;
  State& state = context.state;
  heirmark_llama_step step{};
  step.token = token;
  step.foreign = foreign ? 1 : 0;
  if (state.pending && !foreign) {
    step.status = state.sampled.status;
    step.top = state.top;
  } else {
    step.status = HEIRMARK_ROW_UNMARKED;
    std::fill(std::begin(step.top.token), std::end(step.top.token), heirmark_top_token{HEIRMARK_NO_TOKEN, 0});
  }
  state.steps.push_back(step);
}

/// The response takes a token that was drawn here.
heirmark_status settle(Context& context) noexcept {
  State& state = context.state;
  switch (state.sampled.status) {
    case HEIRMARK_ROW_MARKED: ++state.report.marked; break;
    case HEIRMARK_ROW_ISSUED: ++state.report.issued; break;
    case HEIRMARK_ROW_INFINITE_LOGIT: ++state.report.forced; break;
    default: ++state.report.unmarked; break;
  }
  return heirmark_sequence_settle(context.sampler, state.sequence.get(), &state.row, &state.sampled);
}

void accept(struct llama_sampler* sampler, llama_token accepted) {
  Context& context = *static_cast<Context*>(sampler->ctx);
  State& state = context.state;
  if (accepted < 0) return;  // LLAMA_TOKEN_NULL: a place that holds no token
  const auto token = static_cast<uint32_t>(accepted);
  const bool ours = state.pending && state.sampled.token == token, stop = state.stopping && accepted == context.options.stop_token;
  if ((ours || stop) && state.failure != HEIRMARK_LLAMA_NO_FAILURE) ++state.report.failures;
  if (state.sequence) {
    const bool foreign = !ours && !stop;
    keep_step(context, token, foreign);
    const heirmark_status status = ours ? settle(context) : heirmark_sequence_accept(state.sequence.get(), token);
    if (foreign) {
      ++state.report.foreign;
      if (context.options.params.mode != HEIRMARK_OFF) {
        ++state.report.failures;
        stops(context, HEIRMARK_LLAMA_FOREIGN);
      }
    }
    if (status != HEIRMARK_OK) {  // out of memory: the sequence is not where the text is
      library(status);
      state.report.last_failure = HEIRMARK_LLAMA_LIBRARY;
      state.report.stopped = 1;
    }
  } else if (keeps(context.options)) {
    state.prompt.push_back(token);
  }
  state.pending = state.stopping = false;
  state.failure = HEIRMARK_LLAMA_NO_FAILURE;
  state.recent.push(token);
}

void reset(struct llama_sampler* sampler) {
  State& state = static_cast<Context*>(sampler->ctx)->state;
  // Kept only where nobody else has it and nobody has drawn under it. The fence: whoever gave the response up a moment ago did so after its draws.
  const bool alone = state.response.use_count() == 1;
  std::atomic_thread_fence(std::memory_order_acquire);
  if (!alone || state.response->drawn || state.response->claimed) state.response = draw_response();
  state.begin();
  state.prompt.clear();
  state.recent = {};
}

void copy_state(const struct llama_sampler* from, struct llama_sampler* to) {
  State copied(static_cast<const Context*>(from->ctx)->state);
  static_cast<Context*>(to->ctx)->state = std::move(copied);
}

struct llama_sampler* clone(const struct llama_sampler* sampler);

void end(struct llama_sampler* sampler) { delete static_cast<Context*>(sampler->ctx); }

// Older builds have no copy_state; members that this sampler does not have (those of the backend) stay null in any build.
template <class Interface, class = void>
struct CopyState {
  static void set(Interface& /*interface*/) {}
};
template <class Interface>
struct CopyState<Interface, std::void_t<decltype(std::declval<Interface&>().copy_state)>> {
  static void set(Interface& interface) { interface.copy_state = copy_state; }
};

llama_sampler_i make_interface() {
  llama_sampler_i out{};
  out.name = name;
  out.accept = accept;
  out.apply = apply;
  out.reset = reset;
  out.clone = clone;
  out.free = end;
  CopyState<llama_sampler_i>::set(out);
  return out;
}
llama_sampler_i the_interface = make_interface();

struct llama_sampler* clone(const struct llama_sampler* sampler) {
  const Context& context = *static_cast<const Context*>(sampler->ctx);
  auto copied = std::make_unique<Context>(Context{context.sampler, context.options, State(context.state)});
  struct llama_sampler* out = llama_sampler_init(&the_interface, copied.get());
  copied.release();
  return out;
}

Context* context_of(const struct llama_sampler* sampler) noexcept {
  return sampler != nullptr && sampler->iface == &the_interface ? static_cast<Context*>(sampler->ctx) : nullptr;
}

/// Draws a row of one token: the library itself says whether account, parameters and vocabulary are what the sampler serves.
heirmark_status try_options(const heirmark_sampler* sampler, const heirmark_llama_options& options) {
  const RequestId nobody{};
  heirmark_sequence* begun = nullptr;
  if (const heirmark_status status = heirmark_sequence_begin(sampler, nobody.data(), nullptr, 0, options.account_slot, &begun); status != HEIRMARK_OK) return library(status);
  const SequencePtr sequence(begun);
  std::vector<float>& dense = dense_row(options.vocab_size);
  heirmark_row row;
  heirmark_sampled sampled;
  const heirmark_logits logits = {dense.data(), HEIRMARK_FLOAT32, 1, options.vocab_size};
  heirmark_status status = heirmark_sequence_row(sampler, begun, &options.params, &row);
  dense[options.vocab_size - 1] = 0.0f;
  if (status == HEIRMARK_OK) status = heirmark_sample(sampler, &logits, &row, &sampled, nullptr, heirmark_workspace{}, nullptr);
  dense[options.vocab_size - 1] = kAbsent;
  if (status != HEIRMARK_OK) return library(status);
  if (sampled.status == HEIRMARK_ROW_BAD_PARAMETER) return usage("options.params is out of range, or truncates and the sampler was made without");
  if (sampled.token != options.vocab_size - 1) return usage("options.vocab_size is not the sampler's");
  return HEIRMARK_OK;
}

template <class F>
heirmark_status guarded(const F& call) noexcept {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return fail(HEIRMARK_INTERNAL, "out of memory");
  } catch (const std::exception& error) {
    return fail(HEIRMARK_INTERNAL, error.what());
  }
}
}  // namespace

void heirmark_llama_options_init(heirmark_llama_options* options) {
  if (options == nullptr) return;
  *options = {};
  options->size = sizeof *options;
  options->stop_token = -1;
  heirmark_params_init(&options->params);
}

heirmark_status heirmark_llama_init(const heirmark_sampler* sampler, const heirmark_llama_options* options, struct llama_sampler** out) {
  if (sampler == nullptr || options == nullptr || out == nullptr) return usage("sampler, options or out is null");
  if (options->size != sizeof *options) return usage("options.size is not what heirmark_llama_options_init writes");
  if (options->vocab_size < 1 || options->vocab_size > 1u << 20) return usage("options.vocab_size is 1 .. 2^20");
  if (options->stop_token < 0 || static_cast<uint32_t>(options->stop_token) >= options->vocab_size) return usage("options.stop_token is no token of the vocabulary");
  if (options->policy > HEIRMARK_LLAMA_STOP) return usage("options.policy is none of heirmark_llama_policy");
  if (options->probabilities > 1 || options->keep_steps > 1) return usage("options.probabilities and options.keep_steps are 0 or 1");
  const heirmark_params& params = options->params;
  if (options->probabilities != 0 && (params.min_p != 0.0f || params.top_k != 0 || params.top_p != 1.0f))
    return usage("options.probabilities is for chains that truncate themselves: options.params must not");
  if (heirmark_sampler_backend(sampler) != HEIRMARK_BACKEND_CPU) return usage("the sampler is a device's, and llama.cpp samples on the CPU");
  return guarded([&] {
    if (const heirmark_status status = try_options(sampler, *options); status != HEIRMARK_OK) return status;
    auto context = std::make_unique<Context>(Context{sampler, *options, State{}});
    context->state.response = draw_response();
    if (!context->state.response) return fail(HEIRMARK_IO, "the system gave no random bytes");
    *out = llama_sampler_init(&the_interface, context.get());
    context.release();
    return HEIRMARK_OK;
  });
}

heirmark_status heirmark_llama_begin(struct llama_sampler* mark, const uint8_t* request_id) {
  Context* context = context_of(mark);
  if (context == nullptr) return usage("not a sampler of heirmark_llama_init");
  State& state = context->state;
  return guarded([&] {
    auto response = request_id != nullptr ? std::make_shared<Response>() : draw_response();
    if (!response) return fail(HEIRMARK_IO, "the system gave no random bytes");
    if (request_id != nullptr) std::memcpy(response->id.data(), request_id, response->id.size());
    state.prompt.reserve(state.prompt.size() + state.steps.size());
    for (const heirmark_llama_step& step : state.steps) state.prompt.push_back(step.token);
    state.begin();
    state.response = std::move(response);
    return HEIRMARK_OK;
  });
}

heirmark_status heirmark_llama_get_report(const struct llama_sampler* mark, heirmark_llama_report* report) {
  const Context* context = context_of(mark);
  if (context == nullptr || report == nullptr) return usage("report is null, or not a sampler of heirmark_llama_init");
  *report = context->state.report;
  if (const Response* response = context->state.response.get(); response != nullptr) std::memcpy(report->request_id, response->id.data(), response->id.size());
  report->position = heirmark_sequence_position(context->state.sequence.get());
  return HEIRMARK_OK;
}

const uint32_t* heirmark_llama_prompt(const struct llama_sampler* mark, size_t* count) {
  static constexpr uint32_t kNone = 0;
  const Context* context = context_of(mark);
  const bool keeps_any = context != nullptr && context->options.keep_steps != 0;
  if (count != nullptr) *count = keeps_any ? context->state.prompt.size() : 0;
  if (!keeps_any) return usage("not a sampler of heirmark_llama_init with options.keep_steps"), nullptr;
  return context->state.prompt.empty() ? &kNone : context->state.prompt.data();
}

const heirmark_llama_step* heirmark_llama_steps(const struct llama_sampler* mark, size_t* count) {
  const Context* context = context_of(mark);
  if (count != nullptr) *count = context == nullptr ? 0 : context->state.steps.size();
  return context == nullptr || context->options.keep_steps == 0 ? nullptr : context->state.steps.data();
}

uint32_t heirmark_llama_claim(struct llama_sampler* mark, uint32_t claimed) {
  const Context* context = context_of(mark);
  return context == nullptr || !context->state.response || !context->state.response->claimed.exchange(claimed != 0) ? 0 : 1;
}

struct llama_sampler* heirmark_llama_find(struct llama_sampler* chain) {
  if (context_of(chain) != nullptr) return chain;
  if (chain == nullptr || llama_sampler_chain_get(chain, -1) == nullptr) return nullptr;
  for (int32_t i = llama_sampler_chain_n(chain) - 1; i >= 0; --i)
    if (struct llama_sampler* const sampler = llama_sampler_chain_get(chain, i); context_of(sampler) != nullptr) return sampler;
  return nullptr;
}

const char* heirmark_llama_failure_name(uint32_t failure) {
  static constexpr const char* kNames[] = {"none", "no-candidate", "bad-candidates", "redrawn", "foreign", "no-request-id", "library"};
  static_assert(std::size(kNames) == HEIRMARK_LLAMA_LIBRARY + 1, "a name for each");
  return failure < std::size(kNames) ? kNames[failure] : "unknown";
}

const char* heirmark_llama_last_error(void) { return last_error.c_str(); }
