// Prints the layout of what a sampler sees of llama.h. Compiled with the stub and with the real header; the test compares the two outputs.
#include <llama.h>

#include <cstddef>
#include <cstdio>

#define MEMBER(type, member) std::printf("%s.%s at %zu, %zu bytes\n", #type, #member, offsetof(type, member), sizeof(type::member))

int main() {
  std::printf("llama_token %zu, llama_token_data %zu, llama_token_data_array %zu, llama_sampler_i %zu, llama_sampler %zu\n", sizeof(llama_token), sizeof(llama_token_data),
              sizeof(llama_token_data_array), sizeof(llama_sampler_i), sizeof(llama_sampler));
  MEMBER(llama_token_data, id);
  MEMBER(llama_token_data, logit);
  MEMBER(llama_token_data, p);
  MEMBER(llama_token_data_array, data);
  MEMBER(llama_token_data_array, size);
  MEMBER(llama_token_data_array, selected);
  MEMBER(llama_token_data_array, sorted);
  MEMBER(llama_sampler_i, name);
  MEMBER(llama_sampler_i, accept);
  MEMBER(llama_sampler_i, apply);
  MEMBER(llama_sampler_i, reset);
  MEMBER(llama_sampler_i, clone);
  MEMBER(llama_sampler_i, free);
  MEMBER(llama_sampler_i, backend_init);
  MEMBER(llama_sampler_i, backend_accept);
  MEMBER(llama_sampler_i, backend_apply);
  MEMBER(llama_sampler_i, backend_set_input);
  MEMBER(llama_sampler_i, backend_reset);
  MEMBER(llama_sampler_i, copy_state);
  MEMBER(llama_sampler, iface);
  MEMBER(llama_sampler, ctx);
  MEMBER(llama_sampler_chain_params, no_perf);
}
