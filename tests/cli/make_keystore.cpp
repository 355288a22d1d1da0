// make_keystore DIR < PASSPHRASE: an empty keystore at the least cost of the passphrase hash, so that tests of the command need not
// hash for a second each time. The command opens it like any other: the cost stands in the header.
#include <cstdio>

#include <heirmark/keys.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto passphrase = heirmark::Passphrase::read_fd(0);
  if (!passphrase) return std::fprintf(stderr, "%s\n", passphrase.error().message.c_str()), 1;
  const auto store = heirmark::Keystore::create(argv[1], *passphrase, heirmark::Keystore::Cost::least());
  if (!store) return std::fprintf(stderr, "%s\n", store.error().message.c_str()), 1;
  return 0;
}
