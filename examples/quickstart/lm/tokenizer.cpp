#include "tokenizer.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "files.hpp"

namespace quickstart {
namespace {

constexpr std::string_view kMagic = "quickstart-bpe 1";
constexpr std::uint32_t kMaxVocab = 65536;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The next word of `text`: never empty unless the text is.
std::string_view next_word(std::string_view text) {
  if (text.empty()) return text;
  std::size_t n = text[0] == ' ' && text.size() > 1 ? 1 : 0;
  if (is_letter(text[n])) {
    while (n < text.size() && is_letter(text[n])) ++n;
  } else if (is_digit(text[n])) {
    while (n < text.size() && is_digit(text[n])) ++n;
  } else {
    n = 1;
  }
  return text.substr(0, n);
}

std::vector<TokenId> bytes_of(std::string_view word) {
  std::vector<TokenId> ids;
  for (const char c : word) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

void merge_pair(std::vector<TokenId>& ids, TokenId left, TokenId right, TokenId merged) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < ids.size(); ++i, ++out) {
    if (i + 1 < ids.size() && ids[i] == left && ids[i + 1] == right) {
      ids[out] = merged;
      ++i;
    } else {
      ids[out] = ids[i];
    }
  }
  ids.resize(out);
}

}  // namespace

Tokenizer::Tokenizer() {
  for (int byte = 0; byte < 256; ++byte) piece_.emplace_back(1, static_cast<char>(byte));
}

void Tokenizer::add_merge(TokenId left, TokenId right) {
  rank_.emplace(pair_of(left, right), static_cast<std::uint32_t>(merges_.size()));
  merges_.push_back({left, right});
  piece_.push_back(piece_[left] + piece_[right]);
}

Result<Tokenizer> Tokenizer::train(std::string_view text, std::uint32_t vocab) {
  if (vocab < 256 || vocab > kMaxVocab)
    return heirmark::Error{heirmark::ErrorCode::usage, "tokenizer: the vocabulary must be 256 .. 65536"};
  std::map<std::string_view, std::int64_t> words;
  while (!text.empty()) {
    const std::string_view word = next_word(text);
    ++words[word];
    text.remove_prefix(word.size());
  }
  struct Word {
    std::vector<TokenId> ids;
    std::int64_t count;
  };
  std::vector<Word> list;
  std::unordered_map<std::uint64_t, std::int64_t> count;           // of each pair
  std::unordered_map<std::uint64_t, std::set<std::size_t>> where;  // words that may hold the pair
  const auto tally = [&](std::size_t w, std::int64_t sign) {
    const Word& word = list[w];
    for (std::size_t i = 0; i + 1 < word.ids.size(); ++i) {
      const std::uint64_t pair = pair_of(word.ids[i], word.ids[i + 1]);
      count[pair] += sign * word.count;
      if (sign > 0) where[pair].insert(w);
    }
  };
  for (const auto& [word, times] : words) {
    if (word.size() < 2) continue;
    list.push_back({bytes_of(word), times});
    tally(list.size() - 1, 1);
  }
  Tokenizer tokenizer;
  while (tokenizer.vocab() < vocab) {
    const auto best = std::max_element(count.begin(), count.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second < b.second : a.first > b.first;
    });
    if (best == count.end() || best->second < 2) break;
    const std::uint64_t pair = best->first;
    const auto left = static_cast<TokenId>(pair >> 32), right = static_cast<TokenId>(pair & 0xFFFFFFFFu);
    const TokenId merged = tokenizer.vocab();
    tokenizer.add_merge(left, right);
    const std::set<std::size_t> affected = std::move(where[pair]);
    where.erase(pair);
    for (const std::size_t w : affected) {
      tally(w, -1);
      merge_pair(list[w].ids, left, right, merged);
      tally(w, 1);
    }
    count.erase(pair);
    if (merged % 64 == 0) std::erase_if(count, [](const auto& entry) { return entry.second == 0; });
  }
  return tokenizer;
}

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  std::vector<TokenId> out;
  std::unordered_map<std::string_view, std::vector<TokenId>> cache;
  while (!text.empty()) {
    const std::string_view word = next_word(text);
    text.remove_prefix(word.size());
    auto [entry, fresh] = cache.try_emplace(word);
    if (fresh) {
      std::vector<TokenId> ids = bytes_of(word);
      while (ids.size() > 1) {
        std::uint32_t best = static_cast<std::uint32_t>(merges_.size());
        for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
          const auto found = rank_.find(pair_of(ids[i], ids[i + 1]));
          if (found != rank_.end()) best = std::min(best, found->second);
        }
        if (best == merges_.size()) break;
        merge_pair(ids, merges_[best][0], merges_[best][1], 256 + best);
      }
      entry->second = std::move(ids);
    }
    out.insert(out.end(), entry->second.begin(), entry->second.end());
  }
  return out;
}

std::string Tokenizer::decode(const std::vector<TokenId>& tokens) const {
  std::string text;
  for (const TokenId token : tokens) text += token < piece_.size() ? piece_[token] : "?";
  return text;
}

Result<void> Tokenizer::save(const std::filesystem::path& file) const {
  std::string text = std::string(kMagic) + "\n";
  for (const auto& [left, right] : merges_) text += std::to_string(left) + " " + std::to_string(right) + "\n";
  return write_file(file, text);
}

Result<Tokenizer> Tokenizer::load(const std::filesystem::path& file) {
  auto text = read_file(file);
  if (!text) return std::move(text).error();
  std::string_view rest = *text;
  std::size_t line = 0;
  const auto bad = [&](const char* what) {
    return heirmark::Error{heirmark::ErrorCode::bad_input, file.string() + ":" + std::to_string(line) + ": " + what};
  };
  const auto next_line = [&] {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view taken = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++line;
    return taken;
  };
  if (next_line() != kMagic) return bad("not a tokenizer of this program");
  Tokenizer tokenizer;
  while (!rest.empty()) {
    const std::string_view entry = next_line();
    std::uint32_t left = 0, right = 0;
    const char* end = entry.data() + entry.size();
    const auto first = std::from_chars(entry.data(), end, left);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return bad("expected two token ids");
    const auto second = std::from_chars(first.ptr + 1, end, right);
    if (second.ec != std::errc() || second.ptr != end) return bad("expected two token ids");
    if (tokenizer.vocab() >= kMaxVocab) return bad("too many merges");
    if (left >= tokenizer.vocab() || right >= tokenizer.vocab()) return bad("a merge of tokens that do not exist yet");
    // A hostile file could double the length with every line.
    if (tokenizer.piece_[left].size() + tokenizer.piece_[right].size() > 256)
      return bad("a token is longer than 256 bytes");
    tokenizer.add_merge(left, right);
  }
  return tokenizer;
}

}  // namespace quickstart
