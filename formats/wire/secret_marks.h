// Which bytes of a text are part of a secret, while it is read piece by piece.
//
// What is in doubt is hidden at once and shown again when it turns out to be none: so what is hidden never
// depends on what comes later, and where a piece ends in the middle of a doubt, more is hidden than need be,
// never less.
#pragma once

#include <cstddef>
#include <vector>

namespace understudy::wire {

// Bytes [from, to) of what was scanned.
struct SecretRange {
  std::size_t from = 0;
  std::size_t to = 0;
  bool operator==(const SecretRange&) const = default;
};

class SecretMarks {
 public:
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);  // the position of no byte

  // Positions count from the text's first byte; those of this piece, which begins at `first`, go to `found`
  // moved to `offset`.
  SecretMarks(std::size_t first, std::size_t offset, std::vector<SecretRange>& found)
      : first_(first), offset_(offset), found_(found), before_(found.size()), at_(first) {}

  void move_to(std::size_t at) { at_ = at; }
  // Only the byte at hand can be hidden.
  void hide(std::size_t at) {
    if (at != at_) return;
    const std::size_t place = at - first_ + offset_;
    if (found_.size() == before_ || found_.back().to < place) {
      found_.push_back({place, place + 1});
    } else {
      found_.back().to = place + 1;
    }
  }
  // What is hidden from there on was no part of a secret. What went with the pieces before stays hidden.
  void show_from(std::size_t at) {
    const std::size_t place = at > first_ ? at - first_ + offset_ : offset_;
    while (found_.size() > before_ && found_.back().from >= place) found_.pop_back();
    if (found_.size() > before_ && found_.back().to > place) found_.back().to = place;
  }

 private:
  const std::size_t first_;
  const std::size_t offset_;
  std::vector<SecretRange>& found_;
  const std::size_t before_;  // so many were found in other pieces
  std::size_t at_;
};

}  // namespace understudy::wire
