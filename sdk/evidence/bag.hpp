// The bag as bytes: which files it has, its tag files, how it is read from a disk (specs/evidence.md, "Bag").
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/audit.hpp>
#include <heirmark/evidence.hpp>

namespace heirmark::evidence {

/// Path in the bag -> bytes. std::map sorts by the bytes of the path.
using Files = std::map<std::string, std::string>;

/// Payload files of a case, as paths in its folder. A file may be there or not whatever the plan says: a stamp.
enum class Presence : std::uint8_t { always, plan_decides, optional };
struct PayloadFile { std::string path; Presence presence; bool records; };
[[nodiscard]] const std::vector<PayloadFile>& payload_files();
/// Is this file in the bag of a case with that plan?
[[nodiscard]] bool belongs(std::string_view path, const Plan& plan);

/// manifest-sha256.txt over the files below data/.
[[nodiscard]] std::string manifest(const Files& files);
/// The four tag files that belong to the files below data/.
[[nodiscard]] Files tag_files(const Files& files, std::string_view day, std::string_view plan_id);
inline constexpr std::string_view kBagit = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// Reads a bag without following a link. Whatever does not belong is told in `checks` and left out.
[[nodiscard]] Result<Files> read_bag(const std::filesystem::path& bag, const VerifyOptions& options, std::vector<Check>& checks);

/// Verifies a bag that was read; `report` already holds what reading found.
[[nodiscard]] Result<void> verify_files(const Files& files, const VerifyOptions& options, VerifyReport& report);
/// check_case on files that were read, as they will lie in the bag.
[[nodiscard]] Result<void> check_files_at(Stage stage, const Files& files, VerifyReport& report);
/// Does this file of a case's folder exist by then?
[[nodiscard]] bool exists_at(Stage stage, std::string_view path);

}  // namespace heirmark::evidence
