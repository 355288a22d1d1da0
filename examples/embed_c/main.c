/* The smallest engine in C that marks: a model that only knows which letter follows which, and a sampler.
 *
 *   embed_c SUBKEYS.json [LENGTH]       writes one line that `heirmark detect` reads: {"prompt_tokens":4,"tokens":[..]}
 *
 * SUBKEYS.json is what `heirmark key export-subkey` wrote. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <heirmark.h>

enum { VOCAB = 1000, PROMPT = 4 };

/* Stands for a model: logits of the next token after the last two. */
static void logits_after(uint32_t before, uint32_t last, float* logits) {
  for (uint32_t v = 0; v < VOCAB; ++v) logits[v] = 2.0f * sinf((float)((last + 3) * (v + 1)) + (float)before);
}

static int failed(const char* what) {
  fprintf(stderr, "embed_c: %s: %s\n", what, heirmark_last_error());
  return 1;
}

int main(int argc, char** argv) {
  if (argc < 2) return fprintf(stderr, "usage: embed_c SUBKEYS.json [LENGTH]\n"), 2;
  const long length = argc > 2 ? strtol(argv[2], NULL, 10) : 200;
  if (length < 1 || length > 100000) return fprintf(stderr, "embed_c: LENGTH is 1 .. 100000\n"), 2;
  if (heirmark_abi_version() >> 16 != HEIRMARK_ABI_MAJOR || (heirmark_abi_version() & 0xFFFF) < HEIRMARK_ABI_MINOR)
    return fprintf(stderr, "embed_c: made for another libheirmark than %s\n", heirmark_version()), 1;

  heirmark_keys* keys = NULL;
  heirmark_sampler* sampler = NULL;
  heirmark_sequence* sequence = NULL;
  int result = 1;
  uint32_t* text = malloc(sizeof *text * (size_t)(PROMPT + length));
  if (text == NULL) return fprintf(stderr, "embed_c: out of memory\n"), 1;
  for (uint32_t i = 0; i < PROMPT; ++i) text[i] = 19 + i;

  if (heirmark_keys_read(argv[1], &keys) != HEIRMARK_OK) { failed("keys"); goto end; }
  heirmark_sampler_options options;
  heirmark_sampler_options_init(&options);
  options.vocab_size = VOCAB;
  options.backend = HEIRMARK_BACKEND_CPU;
  if (heirmark_sampler_create(keys, &options, &sampler) != HEIRMARK_OK) { failed("sampler"); goto end; }
  const uint8_t request_id[HEIRMARK_REQUEST_ID_BYTES] = {'e', 'm', 'b', 'e', 'd', ' ', 'c'}; /* unique for each response */
  if (heirmark_sequence_begin(sampler, request_id, text, PROMPT, 0, &sequence) != HEIRMARK_OK) { failed("sequence"); goto end; }

  for (long i = PROMPT; i < PROMPT + length; ++i) {
    float values[VOCAB];
    logits_after(text[i - 2], text[i - 1], values);
    const heirmark_logits logits = {values, HEIRMARK_FLOAT32, 1, VOCAB};
    heirmark_params params;
    heirmark_params_init(&params);
    params.top_p = 0.95f;
    heirmark_sampled sampled;
    if (heirmark_sample_sequences(sampler, &logits, &sequence, &params, &sampled) != HEIRMARK_OK) { failed("sample"); goto end; }
    if (sampled.token == HEIRMARK_NO_TOKEN) {
      fprintf(stderr, "embed_c: no token: %s\n", heirmark_row_status_name(sampled.status));
      goto end;
    }
    text[i] = sampled.token;
  }
  printf("{\"prompt_tokens\":%d,\"tokens\":[", PROMPT);
  for (long i = 0; i < PROMPT + length; ++i) printf("%s%u", i == 0 ? "" : ",", (unsigned)text[i]);
  printf("]}\n");
  result = 0;

end:
  heirmark_sequence_free(sequence);
  heirmark_sampler_free(sampler);
  heirmark_keys_free(keys);
  free(text);
  return result;
}
