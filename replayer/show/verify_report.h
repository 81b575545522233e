// What `verify` says: a line a segment, what is wrong with it in plain words, a summary; or JSON. Holds
// totals only, however many segments there are. One thread at a time.
#pragma once

#include <Poco/JSON/Object.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/chain.h"
#include "formats/transcript/segment_name.h"
#include "formats/transcript/verify.h"
#include "replayer/output.h"

namespace understudy::replayer {

class VerifyReport {
 public:
  // `out` is borrowed. Text is wrapped to so many columns.
  VerifyReport(Output& out, std::string recording, bool json, std::size_t columns);

  // Before any is added: a digest at which the chain ended once, and that must be here.
  void expect(const Sha256Value& digest) { chain_.expect(digest); }
  // That others followed is no loss then: of one file by itself, and of the last segment that was saved.
  void looks_at_one_file() { one_file_ = true; }
  void was_saved_up_to(SegmentName last) { saved_up_to_ = last; }
  void add(const SegmentReport& segment, const std::filesystem::path& path);
  // A segment that cannot be used at all; `why` names file and offset.
  void add_unusable(const std::string& name, const std::string& why);
  // One that is encrypted with another key than was given. Where that is so of all, it is said once, and
  // nothing of what is whole or lost: nothing could be read.
  void add_locked(const std::string& name, const std::string& why);
  void finish();

  // The last run's last segment says that others followed, which were not added.
  [[nodiscard]] bool goes_on() const {
    return !chain_.runs().empty() && chain_.runs().back().end == ChainRun::End::kGoesOn;
  }
  // 0: nothing is missing; 1: something is; 2: a segment cannot be used.
  [[nodiscard]] int exit_code() const;

 private:
  struct Totals {
    std::uint64_t segments = 0;
    std::uint64_t whole = 0;
    std::uint64_t unclean = 0;
    std::uint64_t damaged = 0;
    std::uint64_t unusable = 0;
    SessionSet sessions;
    std::uint64_t chunks = 0;
    std::uint64_t events = 0;
    std::uint64_t data_bytes = 0;
    std::uint64_t stored_bytes = 0;
    std::uint64_t size_bytes = 0;
    TimeNs first_time = 0;
    TimeNs last_time = 0;
    std::uint64_t lost_bytes = 0;
    std::uint64_t damaged_chunks = 0;
    std::uint64_t losses = 0;
    std::uint64_t losses_sessions = 0;
    std::uint64_t losses_events = 0;
    std::uint64_t losses_bytes = 0;
    std::uint64_t gaps = 0;
    std::uint64_t gap_bytes = 0;
    std::uint64_t unread = 0;         // encrypted segments, without their key
    std::uint64_t unread_losses = 0;  // loss records in them
  };
  [[nodiscard]] bool expected_is_missing() const { return chain_.expected() && !chain_.holds_expected(); }
  // Others followed the last segment of that run, and should be here.
  [[nodiscard]] bool is_cut_off(const ChainRun& run) const;
  [[nodiscard]] std::size_t runs_cut_off() const;
  void sum_up(const SegmentReport& segment);
  struct Locked {
    std::string name;
    std::string why;
  };
  void tell_unusable(const std::string& name, const std::string& why);
  void tell_locked();
  void finish_locked();
  void tell_expired(const SegmentReport& segment);
  void print(const SegmentReport& segment);
  void print_problems(const SegmentReport& segment);
  void print_summary();
  void print_unread();
  void print_lost();
  [[nodiscard]] std::string nothing() const;
  void put(const std::string& text, std::size_t indent);
  void put_with_times(const std::string& line, const std::string& times, std::size_t indent);
  void put_object(const Poco::JSON::Object& object);
  [[nodiscard]] Poco::JSON::Object summary_json() const;

  Output& out_;
  const std::string recording_;
  const bool json_;
  const std::size_t columns_;
  Totals totals_;
  ChainCheck chain_;
  bool one_file_ = false;
  std::optional<SegmentName> saved_up_to_;
  std::uint32_t run_ = 0;       // of the segment before
  bool objects_ = false;        // were put
  std::vector<Locked> locked_;  // not told yet, as there was no other segment so far
};

}  // namespace understudy::replayer
