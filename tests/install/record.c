/* One response into the ledger that the command line names, against the installed library. */
#include <stdio.h>

#include <heirmark_ledger.h>

static int failed(const char* what) {
  fprintf(stderr, "%s: %s\n", what, heirmark_ledger_last_error());
  return 1;
}

int main(int argc, char** argv) {
  const uint8_t request_id[HEIRMARK_REQUEST_ID_BYTES] = {1};
  const uint32_t prompt[] = {1, 2, 3};
  heirmark_ledger_options options;
  heirmark_ledger* ledger = NULL;
  heirmark_issued* issued = NULL;
  uint64_t ticket = 0;
  if (argc != 2 || heirmark_ledger_abi_version() >> 16 != HEIRMARK_LEDGER_ABI_MAJOR) return 2;
  heirmark_ledger_options_init(&options);
  options.model = "install-test";
  if (heirmark_ledger_open(argv[1], &options, &ledger) != HEIRMARK_OK) return failed("open");
  if (heirmark_issued_begin(request_id, "default", prompt, 3, &issued) != HEIRMARK_OK) return failed("begin");
  if (heirmark_issued_add(issued, 7, HEIRMARK_ROW_UNMARKED, NULL) != HEIRMARK_OK) return failed("add");
  if (heirmark_ledger_append(ledger, issued, &ticket) != HEIRMARK_OK) return failed("append");
  heirmark_issued_free(issued);
  if (heirmark_ledger_wait(ledger, ticket, 30000) != HEIRMARK_OK) return failed("wait");
  if (heirmark_ledger_close(ledger, 30000) != HEIRMARK_OK) return failed("close");
  return 0;
}
