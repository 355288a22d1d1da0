#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

#include "crypto/sha256.hpp"
#include "ledger/checkpoint.hpp"
#include "ledger/record.hpp"
#include "ledger/tree.hpp"

namespace heirmark::ledger {
namespace {

/// RFC 9162, section 2.1.1, as it is written: by splitting.
crypto::Digest by_splitting(const std::vector<std::string>& leaves, std::size_t begin, std::size_t end) {
  if (begin == end) return crypto::sha256(std::string_view());
  if (end - begin == 1) return crypto::sha256(std::string(1, '\0') + leaves[begin]);
  std::size_t k = 1;
  while (2 * k < end - begin) k *= 2;
  const crypto::Digest left = by_splitting(leaves, begin, begin + k), right = by_splitting(leaves, begin + k, end);
  std::string bytes(1, '\1');
  bytes.append(reinterpret_cast<const char*>(left.data()), 32).append(reinterpret_cast<const char*>(right.data()), 32);
  return crypto::sha256(bytes);
}

TEST_CASE("the tree's roots are those that Certificate Transparency's tests publish", "[ledger]") {
  // Leaves and roots of certificate-transparency's merkletree tests, sizes 1 to 8.
  const std::string leaves[] = {std::string(), std::string("\x00", 1), "\x10", "\x20\x21", "\x30\x31", "\x40\x41\x42\x43", "\x50\x51\x52\x53\x54\x55\x56\x57",
                                "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"};
  const char* roots[] = {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                         "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                         "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                         "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  Tree tree;
  CHECK(crypto::hex_encode(tree.root()) == crypto::sha256_hex(""));
  for (std::size_t i = 0; i < 8; ++i) {
    tree.add(leaves[i]);
    CHECK(crypto::hex_encode(tree.root()) == roots[i]);
  }
}

TEST_CASE("peaks give the root of the definition at every size, and survive being written", "[ledger]") {
  Tree tree;
  std::vector<std::string> leaves;
  for (std::size_t size = 1; size <= 200; ++size) {
    leaves.push_back("leaf " + std::to_string(size * size));
    tree.add(leaves.back());
    REQUIRE(tree.root() == by_splitting(leaves, 0, size));
    auto again = Tree::from(tree.size(), tree.bytes());
    REQUIRE(again.ok());
    REQUIRE(again->root() == tree.root());
    tree = *std::move(again);
  }
  CHECK(!Tree::from(3, std::string(32, 'x')).ok());
  CHECK(!Tree::from(3, std::string(65, 'x')).ok());
  CHECK(Tree::from(0, "").ok());
}

TEST_CASE("a checkpoint says what was signed, and nothing else passes for it", "[ledger]") {
  const auto key = crypto::PrivateKey::generate(crypto::Algorithm::ed25519).value();
  const auto public_key = key.public_key().value();
  const std::string id = "0011223344556677";
  const std::string note = make_checkpoint(id, 12, crypto::sha256("root"), "2026-11-25T13:00:00Z", key).value();
  const auto read = parse_checkpoint(note, id, public_key);
  REQUIRE(read.ok());
  CHECK(read->size == 12);
  CHECK(read->root == crypto::sha256_hex("root"));
  CHECK(read->time == "2026-11-25T13:00:00Z");
  CHECK(note.find("heirmark.dev/ledger/0011223344556677\n12\n") == 0);

  for (std::size_t i = 0; i < note.size(); ++i) {  // every byte counts
    std::string changed = note;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    INFO(i);
    CHECK(!parse_checkpoint(changed, id, public_key).ok());
    CHECK(!parse_checkpoint(note.substr(0, i), id, public_key).ok());
  }
  CHECK(!parse_checkpoint(note + "\n", id, public_key).ok());
  CHECK(!parse_checkpoint(note, "0011223344556678", public_key).ok());
  CHECK(!parse_checkpoint(note, id, crypto::PrivateKey::generate(crypto::Algorithm::ed25519)->public_key().value()).ok());
}

TEST_CASE("seconds become the times of the ledger", "[ledger]") {
  CHECK(time_text(0) == "1970-01-01T00:00:00Z");
  CHECK(time_text(1'795'608'000) == "2026-11-25T12:00:00Z");
  CHECK(time_text(951'782'399) == "2000-02-28T23:59:59Z");
  CHECK(time_text(951'782'400) == "2000-02-29T00:00:00Z");
  CHECK(time_text(253'402'300'799) == "9999-12-31T23:59:59Z");
}

}  // namespace
}  // namespace heirmark::ledger
