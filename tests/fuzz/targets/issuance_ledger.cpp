// What a reader of an issuance ledger takes from its database and folder: sealed parts, records, checkpoints, the header.
#include "fuzz.hpp"
#include "ledger/checkpoint.hpp"
#include "ledger/packed.hpp"
#include "ledger/record.hpp"

using namespace heirmark;

FUZZ_TARGET(issuance_ledger) {
  const std::uint8_t kind = input.byte();
  const std::string_view bytes = input.rest();
  switch (kind % 4) {
    case 0: {
      const auto part = ledger::unpack(crypto::bytes_of(bytes));
      if (!part) return fuzz::check_error(part.error(), "sealed part");
      const auto again = ledger::pack(part->salt, part->packed);
      fuzz::require(std::string_view(reinterpret_cast<const char*>(again.data()), again.size()) == bytes, "a sealed part is written back");
      fuzz::require(part->likeliest.size() == part->packed.tokens.size() && part->packed.marked <= part->packed.tokens.size(), "one entry for each token");
      return;
    }
    case 1: {
      const auto record = ledger::parse_record(bytes, 7);
      if (!record) return fuzz::check_error(record.error());
      fuzz::require(record->record.line == bytes && record->record.seq == 7 && !record->record.time.empty(), "a record keeps its line");
      return;
    }
    case 2: {
      static const auto key = crypto::PublicKey::from_ed25519(std::array<std::uint8_t, 32>{0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
                                                                                          0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a});
      const auto note = ledger::parse_checkpoint(bytes, "0011223344556677", key.value());  // RFC 8032, test 1
      if (!note) return fuzz::check_error(note.error(), "checkpoint");
      fuzz::require(note->note == bytes && note->root.size() == 64, "a checkpoint keeps its note");
      return;
    }
    default: fuzz::round_trip<LedgerInfo>(bytes, "");
  }
}
