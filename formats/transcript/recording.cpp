// Opening a recording and finding chunks in it. Two things are bounded here however long the recording is:
// the decoded chunks kept (by bytes) and the segments kept open (by number).
#include "formats/transcript/recording.h"

#include <algorithm>
#include <list>
#include <map>
#include <set>

#include "formats/transcript/segment_name.h"
#include "formats/transcript/session_set.h"

namespace understudy {
namespace {

constexpr std::size_t kOpenSegments = 16;

// What stays known of a segment while its reader comes and goes.
struct SegmentSummary {
  std::filesystem::path path;
  std::uint32_t chunk_count = 0;
  SessionSet sessions;
  std::uint32_t run = 0;
  std::uint32_t number = 0;  // in the run
  bool after_hole = false;   // the one that it follows is not here, others of its run are
  // A segment without footer may still be growing. Its reader stays, so that what was found at opening holds.
  bool pinned = false;
  std::shared_ptr<const SegmentReader> reader;
  std::uint64_t last_used = 0;
};

std::shared_ptr<const SegmentReader> open_segment(const std::filesystem::path& path, const Keyring* keys) {
  try {
    return std::make_shared<const SegmentReader>(open_file(path), path.string(), keys);
  } catch (const std::system_error& error) {
    throw RecordingError(path.string(), 0, "cannot be opened: " + error.code().message());
  }
}

// Of the segment that the one of this header was written after.
std::uint32_t number_before(const SegmentHeader& header) {
  return header.previous ? header.previous->segment : header.segment - 1;
}

Damage missing_before(const SegmentHeader& header, const std::string& file) {
  const SegmentName name{.run = header.run, .segment = number_before(header)};
  // So much of it at least.
  const std::uint64_t bytes = header.previous ? std::max<std::uint64_t>(1, header.previous->bytes) : 1;
  return {file, 0, bytes, format_segment_name(name) + ", which it follows, is missing"};
}

}  // namespace

struct Recording::State {
  std::shared_ptr<const Keyring> keys;
  std::vector<SegmentSummary> segments;
  std::vector<ChunkTimes> chunks_by_time;
  std::string id;
  std::pair<TimeNs, TimeNs> time_range{0, 0};
  std::vector<LossRecord> losses;
  std::vector<SessionDescriptor> continuing;
  SessionSet known_continuing;
  SessionSet opened;  // in some chunk

  std::mutex segments_mutex;  // guards reader and last_used of segments
  std::uint64_t uses = 0;

  std::mutex cache_mutex;  // guards the rest
  struct Cached {
    ChunkPosition position;
    std::shared_ptr<const Chunk> chunk;
  };
  std::list<Cached> recent;  // most recently used first
  std::map<ChunkPosition, std::list<Cached>::iterator> cached;
  std::size_t cached_bytes = 0;
  std::size_t cache_limit = 0;
  std::vector<Damage> damage;
  std::set<ChunkPosition> damaged;

  void add(const std::filesystem::path& path);
  void finish_opening();
  void close_one();
  std::shared_ptr<const Chunk> cached_chunk(ChunkPosition position);
  void keep(ChunkPosition position, const std::shared_ptr<const Chunk>& chunk);
};

void Recording::State::add(const std::filesystem::path& path) {
  const auto number = static_cast<std::uint32_t>(segments.size());
  SegmentSummary& segment = segments.emplace_back();
  segment.path = path;
  segment.reader = open_segment(path, keys.get());
  const SegmentReader& reader = *segment.reader;
  segment.pinned = !reader.clean();
  segment.chunk_count = static_cast<std::uint32_t>(reader.chunk_count());
  segment.last_used = ++uses;
  const SegmentHeader& header = reader.header();
  if (id.empty()) id = header.recording_id;
  // Of an empty file, which a crash leaves, the name tells.
  const bool empty = header.recording_id.empty();
  const auto name = parse_segment_name(path.filename().string());
  segment.run = empty && name ? name->run : header.run;
  segment.number = empty && name ? name->segment : header.segment;
  if (number > 0 && segments[number - 1].run == segment.run && !empty) {
    segment.after_hole = segments[number - 1].number != number_before(header);
    if (segment.after_hole) damage.push_back(missing_before(header, path.string()));
  }
  for (std::uint32_t i = 0; i < segment.chunk_count; ++i) {
    const ChunkHead& head = reader.chunk_head(i);
    bool opens = false;
    for (const ChunkHead::Session& session : head.sessions) {
      segment.sessions.insert(session.id);
      if (session.opens) opened.insert(session.id);
      opens = opens || session.opens;
    }
    const bool first = chunks_by_time.empty();
    time_range.first = first ? head.first_time : std::min(time_range.first, head.first_time);
    time_range.second = first ? head.last_time : std::max(time_range.second, head.last_time);
    chunks_by_time.push_back({head.first_time, head.last_time, {number, i}, opens});
  }
  for (const SessionDescriptor& session : reader.continuing()) {
    if (!opened.contains(session.id) && known_continuing.insert(session.id)) continuing.push_back(session);
  }
  losses.insert(losses.end(), reader.losses().begin(), reader.losses().end());
  damage.insert(damage.end(), reader.damage().begin(), reader.damage().end());
  close_one();
}

void Recording::State::finish_opening() {
  std::sort(chunks_by_time.begin(), chunks_by_time.end(), [](const ChunkTimes& a, const ChunkTimes& b) {
    return a.first_time != b.first_time ? a.first_time < b.first_time : a.position < b.position;
  });
  // A session may be continued by one segment and opened in a chunk that was sealed later.
  std::erase_if(continuing, [this](const SessionDescriptor& session) { return opened.contains(session.id); });
  std::sort(continuing.begin(), continuing.end(), [](const SessionDescriptor& a, const SessionDescriptor& b) {
    return a.opened_at != b.opened_at ? a.opened_at < b.opened_at : a.id < b.id;
  });
}

// Lets go of the reader that was not used for longest, when there are too many.
void Recording::State::close_one() {
  SegmentSummary* oldest = nullptr;
  std::size_t open = 0;
  for (SegmentSummary& segment : segments) {
    if (!segment.reader || segment.pinned) continue;
    ++open;
    if (oldest == nullptr || segment.last_used < oldest->last_used) oldest = &segment;
  }
  if (open > kOpenSegments) oldest->reader.reset();
}

std::shared_ptr<const Chunk> Recording::State::cached_chunk(ChunkPosition position) {
  const std::lock_guard lock(cache_mutex);
  const auto found = cached.find(position);
  if (found == cached.end()) return nullptr;
  recent.splice(recent.begin(), recent, found->second);
  return found->second->chunk;
}

void Recording::State::keep(ChunkPosition position, const std::shared_ptr<const Chunk>& chunk) {
  const std::lock_guard lock(cache_mutex);
  if (cached.contains(position)) return;  // another thread was faster
  recent.push_front({position, chunk});
  cached[position] = recent.begin();
  cached_bytes += chunk->size_bytes();
  while (cached_bytes > cache_limit && recent.size() > 1) {
    cached_bytes -= recent.back().chunk->size_bytes();
    cached.erase(recent.back().position);
    recent.pop_back();
  }
}

Recording::Recording(const std::filesystem::path& path, std::size_t cache_bytes,
                     std::shared_ptr<const Keyring> keys)
    : path_(path.string()), state_(std::make_unique<State>()) {
  state_->keys = std::move(keys);
  state_->cache_limit = cache_bytes;
  for (const std::filesystem::path& segment : list_segments(path)) state_->add(segment);
  // In a directory this is what a crash at rotation leaves; by itself it is hardly what was meant.
  if (segment_count() == 1 && !std::filesystem::is_directory(path) && segment(0)->size_bytes() == 0) {
    throw RecordingError(path_, 0, "is empty: nothing was recorded in it");
  }
  state_->finish_opening();
}

Recording::~Recording() = default;

const std::string& Recording::id() const { return state_->id; }
std::size_t Recording::segment_count() const { return state_->segments.size(); }
std::size_t Recording::unclosed() const {
  return static_cast<std::size_t>(
      std::count_if(state_->segments.begin(), state_->segments.end(),
                    [](const SegmentSummary& segment) { return segment.pinned; }));
}
std::pair<TimeNs, TimeNs> Recording::time_range() const { return state_->time_range; }
std::vector<LossRecord> Recording::losses() const { return state_->losses; }
const std::vector<Recording::ChunkTimes>& Recording::chunks_by_time() const { return state_->chunks_by_time; }

const std::vector<SessionDescriptor>& Recording::continuing() const { return state_->continuing; }

bool Recording::hole_between(std::uint32_t before, std::uint32_t after) const {
  const auto first = state_->segments.begin();
  return before < after && std::any_of(first + before + 1, first + after + 1,
                                       [](const SegmentSummary& segment) { return segment.after_hole; });
}

std::vector<Damage> Recording::damage() const {
  const std::lock_guard lock(state_->cache_mutex);
  return state_->damage;
}

std::shared_ptr<const SegmentReader> Recording::segment(std::size_t index) const {
  const std::lock_guard lock(state_->segments_mutex);
  SegmentSummary& segment = state_->segments[index];
  segment.last_used = ++state_->uses;
  if (!segment.reader) {
    segment.reader = open_segment(segment.path, state_->keys.get());
    const std::shared_ptr<const SegmentReader> reader = segment.reader;
    state_->close_one();
    return reader;
  }
  return segment.reader;
}

std::shared_ptr<const Chunk> Recording::load(ChunkPosition position) const {
  if (std::shared_ptr<const Chunk> chunk = state_->cached_chunk(position)) return chunk;
  Damage damage;
  std::shared_ptr<const Chunk> chunk = segment(position.segment)->load(position.chunk, damage);
  if (chunk) {
    state_->keep(position, chunk);
    return chunk;
  }
  const std::lock_guard lock(state_->cache_mutex);
  if (state_->damaged.insert(position).second) state_->damage.push_back(damage);
  return nullptr;
}

std::shared_ptr<const ChunkHead> Recording::head(ChunkPosition position) const {
  std::shared_ptr<const SegmentReader> reader = segment(position.segment);
  const ChunkHead* head = &reader->chunk_head(position.chunk);
  return {std::move(reader), head};
}

std::optional<ChunkPosition> Recording::first_chunk() const {
  for (std::uint32_t i = 0; i < state_->segments.size(); ++i) {
    if (state_->segments[i].chunk_count > 0) return ChunkPosition{i, 0};
  }
  return std::nullopt;
}

std::optional<ChunkPosition> Recording::next_chunk(ChunkPosition after) const {
  if (after.segment >= state_->segments.size()) return std::nullopt;
  if (after.chunk + 1 < state_->segments[after.segment].chunk_count) {
    return ChunkPosition{after.segment, after.chunk + 1};
  }
  for (std::uint32_t i = after.segment + 1; i < state_->segments.size(); ++i) {
    if (state_->segments[i].chunk_count > 0) return ChunkPosition{i, 0};
  }
  return std::nullopt;
}

std::optional<ChunkPosition> Recording::find_chunk(SessionId session, ChunkPosition from) const {
  for (std::uint32_t i = from.segment; i < state_->segments.size(); ++i) {
    if (!state_->segments[i].sessions.contains(session)) continue;
    const std::shared_ptr<const SegmentReader> reader = segment(i);
    for (std::uint32_t chunk = i == from.segment ? from.chunk : 0; chunk < state_->segments[i].chunk_count;
         ++chunk) {
      const auto& sessions = reader->chunk_head(chunk).sessions;
      const auto found = std::lower_bound(sessions.begin(), sessions.end(), session,
                                          [](const auto& entry, SessionId id) { return entry.id < id; });
      if (found != sessions.end() && found->id == session) return ChunkPosition{i, chunk};
    }
  }
  return std::nullopt;
}

}  // namespace understudy
