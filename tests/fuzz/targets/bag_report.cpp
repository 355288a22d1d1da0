// The report on a bag with one object of any content.
#include <heirmark/report.hpp>

#include "base_bag.hpp"
#include "fuzz.hpp"

using namespace heirmark;

namespace {
constexpr const char* kFiles[] = {"data/verdict.json", "data/plan.json", "data/transcript.json", "data/suspect.json", "data/commitment.json",
                                  "data/statements/plan.dsse.json", "data/statements/verdict.dsse.json", "data/trust/auditor.pem"};
struct Home {
  fuzz::Scratch scratch;
  Home() {
    for (const auto& [path, bytes] : fuzz::base_bag()) {
      std::filesystem::create_directories((scratch.path() / path).parent_path());
      scratch.write(path, bytes);
    }
  }
};
std::size_t count(std::string_view text, std::string_view word) {
  std::size_t out = 0;
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) ++out;
  return out;
}
}  // namespace

FUZZ_TARGET(bag_report) {
  static const Home home;
  const std::string name = kFiles[input.byte() % std::size(kFiles)];
  const std::string_view bytes = input.rest();
  home.scratch.write(name, bytes);
  const auto html = render_report(home.scratch.path());
  home.scratch.write(name, fuzz::base_bag().at(name));
  fuzz::require(html.ok() || bytes != fuzz::base_bag().at(name), "an honest bag has a report", html ? "" : html.error().message);
  if (!html) return fuzz::check_error(html.error());
  fuzz::require(html->starts_with("<!DOCTYPE html>") || html->starts_with("<!doctype html>"), "a report is a document", html->substr(0, 40));
  for (const char* tag : {"html", "body", "main", "style", "svg", "table", "title"}) {
    const std::string open = "<" + std::string(tag), close = "</" + std::string(tag) + ">";
    fuzz::require(count(*html, open + ">") + count(*html, open + " ") == count(*html, close), "tags are closed", tag);
  }
  for (const char* bad : {"<script", "<img", "<iframe", "<link", "=\"nan", "=\"inf", "=\"-nan", "=\"-inf"})
    fuzz::require(html->find(bad) == std::string::npos, "nothing active and no number that is none is in a report", bad);
  fuzz::require(html->size() < 8'000'000, "a report has bounded length");
}
