#include "recorder/recording_metrics.h"

#include <string_view>

namespace understudy::recorder {
namespace {

void add(std::string& text, std::string_view name, std::string_view type, std::string_view help,
         std::uint64_t value) {
  const std::string full = "understudy_recording_" + std::string(name);
  ((((text += "# HELP ") += full) += ' ') += help) += '\n';
  ((((text += "# TYPE ") += full) += ' ') += type) += '\n';
  (((text += full) += ' ') += std::to_string(value)) += '\n';
}

}  // namespace

std::string recording_metrics(const Statistics& counted) {
  std::string text;
  const auto counter = [&text](std::string_view name, std::string_view help, std::uint64_t value) {
    add(text, name, "counter", help, value);
  };
  const auto gauge = [&text](std::string_view name, std::string_view help, std::uint64_t value) {
    add(text, name, "gauge", help, value);
  };
  counter("sessions_total", "Sessions shown to the recorder.", counted.sessions);
  counter("events_total", "Events written.", counted.events);
  counter("bytes_total", "Bytes written, before compression.", counted.data_bytes);
  counter("stored_bytes_total", "Bytes in segments.", counted.stored_bytes);
  counter("chunks_total", "Chunks written.", counted.chunks);
  counter("segments_total", "Segments begun.", counted.segments);
  counter("passwords_hidden_total", "Texts recorded without the passwords in them.",
          counted.passwords_hidden);
  counter("sessions_shed_total", "Sessions left out because the buffer was full.", counted.sessions_shed);
  counter("events_shed_total", "Events left out because the buffer was full.", counted.events_shed);
  counter("bytes_shed_total", "Bytes left out because the buffer was full.", counted.bytes_shed);
  counter("disk_errors_total", "Errors of the disk.", counted.disk_errors);
  counter("events_lost_total", "Events lost to the disk.", counted.events_lost);
  counter("bytes_lost_total", "Bytes lost to the disk.", counted.bytes_lost);
  gauge("disk_failing", "1 while nothing can be written.", counted.disk_failing ? 1 : 0);
  gauge("buffer_bytes", "Waiting to be written.", counted.queue_bytes);
  gauge("buffer_peak_bytes", "Most that ever waited.", counted.queue_peak_bytes);
  return text;
}

}  // namespace understudy::recorder
