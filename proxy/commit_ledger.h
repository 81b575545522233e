// The commits that clients were told of and that no session can look up when the primary is lost: those of
// sessions that have closed since, and those whose id was not known (CALL, DO, VACUUM, COPY of the extended
// protocol). With asynchronous replication a new primary may lack them; what it lacks, or may lack, is told.
//
// A page holds those that were told between two questions to the primary for its position. An answer to a
// question that was asked after the page was full is beyond all of them: if the new primary's timeline left
// the old one after it, all of them arrived. Else the ids are asked for, and what has none is unclear.
//
// Bounded: the oldest pages are put together, with the greatest of their positions, and of their ids only the
// number is kept.
//
// With commit_guard only. Any thread; no I/O, no clock.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "proxy/query_answer.h"
#include "proxy/session_requests.h"
#include "proxy/topology.h"

namespace understudy::proxy {

class CommitLedger {
 public:
  using Page = std::uint64_t;

  static constexpr std::size_t kMostPages = 1024;  // 100 s of checks at the default interval
  static constexpr std::size_t kMostIds = 16'384;

  // The client of a session on that timeline was told of a commit whose id is not known. False: the primary
  // has changed since, and it is too late to say whether it arrived.
  [[nodiscard]] bool add(std::uint32_t timeline);
  // The session whose last commit that is has closed; `timeline`: of its server. Likewise.
  [[nodiscard]] bool add(const TransactionMark& last, std::uint32_t timeline);

  // Before the primary is asked for its position, and when it has answered.
  [[nodiscard]] Page turn_page();
  void stood_at(Page page, std::uint32_t timeline, Lsn position);

  // What a new primary leaves open of what was told on the timeline before.
  struct Account {
    std::uint32_t timeline = 0;      // the one before; 0: nothing has changed
    std::optional<Lsn> left_at;      // nothing: the history does not say
    std::uint64_t lost = 0;          // it has not
    std::uint64_t unclear = 0;       // it may have, or not
    std::vector<std::uint64_t> ids;  // it is to be asked for
  };
  [[nodiscard]] Account primary_is(std::uint32_t timeline, const std::vector<TimelineSwitch>& history);

  // What the new primary is asked of those ids, and how many of them it has not, or does not know any more.
  struct Missing {
    std::uint64_t lost = 0;
    std::uint64_t unclear = 0;
  };
  [[nodiscard]] static std::string question(const std::vector<std::uint64_t>& ids);
  // Nothing when it is not a row that the question can bring.
  [[nodiscard]] static std::optional<Missing> read(const QueryRow& row);

 private:
  struct Mark {
    std::uint64_t id = 0;
    Lsn at;
  };
  struct Told {
    Page page = 0;
    std::uint64_t without_id = 0;
    std::vector<Mark> marks;
    std::optional<Lsn> before;  // the primary's position after the last of them; nothing: not known yet
  };

  [[nodiscard]] Told& open_page();
  void keep_bounds();
  void merge_oldest();

  std::mutex mutex_;
  std::deque<Told> pages_;  // only such as hold something
  Page page_ = 0;
  std::size_t ids_ = 0;  // of all pages
  std::uint32_t timeline_ = 0;
};

}  // namespace understudy::proxy
