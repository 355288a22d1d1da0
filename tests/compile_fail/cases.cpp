// Misuse that must not compile. Built once per case with -DCASE=n; case 0 is the control and must compile, so that a
// broken include cannot make every case "fail as wanted".
#include <iostream>
#include <utility>

#include <heirmark/sampler.hpp>
#include <heirmark/stats.hpp>

using namespace heirmark;

Result<int> fallible();

int main() {
  Secret32 secret;
  Subkeys keys;
  std::vector<Row> rows;
#if CASE == 0
  Secret32 copy = secret.clone();
  const auto result = fallible();
  auto sampler = Sampler::create(profiles::standard_2026_11(), std::move(keys), {.vocab_size = 8});
  return copy.equals(secret) && result.ok() && sampler.ok() ? 0 : 1;
#elif CASE == 1  // a secret copied by accident
  Secret32 copy = secret;
#elif CASE == 2  // a secret assigned by accident
  Secret32 other;
  other = secret;
#elif CASE == 3  // a secret printed
  std::cout << secret;
#elif CASE == 4  // a secret compared in variable time
  return secret == secret;
#elif CASE == 5  // subkeys copied by accident
  Subkeys copy = keys;
#elif CASE == 6  // an error ignored (with -Werror=unused-result)
  fallible();
#elif CASE == 7  // a Result used as its value without looking
  int value = fallible();
  return value;
#elif CASE == 8  // an integer as request id: collisions of small integers are the classic error
  std::declval<Sampler&>().begin(17, {});
#elif CASE == 9  // a sampler copied, and its secrets with it
  Sampler copy = std::declval<const Sampler&>();
#elif CASE == 10  // a sequence made without its sampler
  Sequence sequence;
#elif CASE == 11  // a key where raw bytes were meant
  Secret32 raw("0123456789abcdef0123456789abcdef");
#endif
}
