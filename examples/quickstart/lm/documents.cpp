#include "documents.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>

namespace quickstart {
namespace {

namespace json = boost::json;

/// Adds the ids of one member; false when it is not a list of ids below the vocabulary.
bool append(const json::object& line, std::string_view member, std::uint32_t vocab,
            std::vector<heirmark::TokenId>& out) {
  const json::value* found = line.if_contains(member);
  if (found == nullptr || !found->is_array()) return false;
  for (const json::value& item : found->get_array()) {
    const std::int64_t id = item.is_int64() ? item.get_int64() : -1;
    if (id < 0 || id >= vocab) return false;
    out.push_back(static_cast<heirmark::TokenId>(id));
  }
  return true;
}

}  // namespace

heirmark::Result<std::vector<std::vector<heirmark::TokenId>>> read_documents(const std::filesystem::path& file,
                                                                             std::uint32_t vocab,
                                                                             const std::vector<std::string>& accounts) {
  std::ifstream in(file);
  if (!in) return heirmark::Error{heirmark::ErrorCode::io, file.string() + ": cannot read"};
  std::vector<std::vector<heirmark::TokenId>> documents;
  std::string text;
  for (std::size_t number = 1; std::getline(in, text); ++number) {
    const auto bad = [&](const char* what) {
      return heirmark::Error{heirmark::ErrorCode::bad_input,
                             file.string() + ":" + std::to_string(number) + ": " + what};
    };
    json::error_code failed;
    const json::value line = json::parse(text, failed);
    if (failed || !line.is_object()) return bad("not a JSON object");
    if (!accounts.empty()) {
      const json::value* account = line.get_object().if_contains("account");
      if (account == nullptr || !account->is_string()) return bad("account: expected a name");
      if (std::find(accounts.begin(), accounts.end(), std::string_view(account->get_string())) == accounts.end())
        continue;
    }
    std::vector<heirmark::TokenId> document;
    if (!append(line.get_object(), "prompt", vocab, document)) return bad("prompt: expected ids of the vocabulary");
    if (!append(line.get_object(), "tokens", vocab, document)) return bad("tokens: expected ids of the vocabulary");
    if (document.size() < 2) return bad("less than two tokens");
    documents.push_back(std::move(document));
  }
  if (documents.empty())
    return heirmark::Error{heirmark::ErrorCode::bad_input, file.string() + ": no document of the wanted accounts"};
  return documents;
}

}  // namespace quickstart
