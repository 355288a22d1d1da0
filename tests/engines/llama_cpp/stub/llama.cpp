// The calls of llama.h that pass through to a sampler, and a chain, as build 11434 behaves.
#include "llama.h"

#include <vector>

struct llama_sampler* llama_sampler_init(struct llama_sampler_i* iface, llama_sampler_context_t ctx) { return new llama_sampler{iface, ctx}; }
void llama_sampler_accept(struct llama_sampler* smpl, llama_token token) {
  if (smpl != nullptr && smpl->iface->accept != nullptr) smpl->iface->accept(smpl, token);
}
void llama_sampler_apply(struct llama_sampler* smpl, llama_token_data_array* cur_p) {
  if (smpl != nullptr) smpl->iface->apply(smpl, cur_p);
}
void llama_sampler_reset(struct llama_sampler* smpl) {
  if (smpl != nullptr && smpl->iface->reset != nullptr) smpl->iface->reset(smpl);
}
struct llama_sampler* llama_sampler_clone(const struct llama_sampler* smpl) { return smpl == nullptr ? nullptr : smpl->iface->clone(smpl); }
void llama_sampler_copy(const struct llama_sampler* src, struct llama_sampler* dst) {
  if (src != nullptr && dst != nullptr && src != dst) dst->iface->copy_state(src, dst);
}
void llama_sampler_free(struct llama_sampler* smpl) {
  if (smpl == nullptr) return;
  if (smpl->iface->free != nullptr) smpl->iface->free(smpl);
  delete smpl;
}

namespace {
using Chain = std::vector<llama_sampler*>;
Chain& chain_of(const llama_sampler* smpl) { return *static_cast<Chain*>(smpl->ctx); }

struct llama_sampler* chain_clone(const struct llama_sampler* smpl);

llama_sampler_i chain_interface() {
  llama_sampler_i out{};
  out.accept = [](llama_sampler* smpl, llama_token token) {
    for (llama_sampler* s : chain_of(smpl)) llama_sampler_accept(s, token);
  };
  out.apply = [](llama_sampler* smpl, llama_token_data_array* cur_p) {
    for (llama_sampler* s : chain_of(smpl)) llama_sampler_apply(s, cur_p);
  };
  out.reset = [](llama_sampler* smpl) {
    for (llama_sampler* s : chain_of(smpl)) llama_sampler_reset(s);
  };
  out.clone = chain_clone;
  out.free = [](llama_sampler* smpl) {
    for (llama_sampler* s : chain_of(smpl)) llama_sampler_free(s);
    delete &chain_of(smpl);
  };
  out.copy_state = [](const llama_sampler* src, llama_sampler* dst) {
    for (std::size_t i = 0; i < chain_of(src).size(); ++i) llama_sampler_copy(chain_of(src)[i], chain_of(dst)[i]);
  };
  return out;
}
llama_sampler_i chain_i = chain_interface();

struct llama_sampler* chain_clone(const struct llama_sampler* smpl) {
  auto* copies = new Chain;
  for (const llama_sampler* s : chain_of(smpl)) copies->push_back(llama_sampler_clone(s));
  return llama_sampler_init(&chain_i, copies);
}
}  // namespace

struct llama_sampler* llama_sampler_chain_init(struct llama_sampler_chain_params /*params*/) { return llama_sampler_init(&chain_i, new Chain); }
void llama_sampler_chain_add(struct llama_sampler* chain, struct llama_sampler* smpl) { chain_of(chain).push_back(smpl); }
struct llama_sampler* llama_sampler_chain_get(struct llama_sampler* chain, int32_t i) {
  if (chain == nullptr || chain->iface != &chain_i) return nullptr;
  if (i == -1) return chain;
  return i < 0 || i >= llama_sampler_chain_n(chain) ? nullptr : chain_of(chain)[static_cast<std::size_t>(i)];
}
int32_t llama_sampler_chain_n(const struct llama_sampler* chain) { return static_cast<int32_t>(chain_of(chain).size()); }
