// Packets as they pass a network interface, by libpcap: a ring buffer that the kernel fills, a filter that it
// applies, counters of what it dropped. Opened with privileges, used without. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/capture/capture_file.h"

struct pcap;

namespace understudy::recorder {

struct LiveCaptureOptions {
  std::string interface;
  std::vector<std::uint16_t> ports;
  std::size_t ring_bytes = std::size_t{64} << 20;
  bool promiscuous = true;
};

// The filter for TCP on these ports, in any direction, in VLANs too where the link has them, and for all
// fragments of TCP, whose ports only the first one tells. (pcap-filter(7).)
[[nodiscard]] std::string capture_filter(const std::vector<std::uint16_t>& ports, bool with_vlans);

class LiveCapture {
 public:
  // Throws std::runtime_error that says what is wrong and what to do.
  explicit LiveCapture(const LiveCaptureOptions& options);
  ~LiveCapture();
  LiveCapture(const LiveCapture&) = delete;
  LiveCapture& operator=(const LiveCapture&) = delete;

  // Readable when packets are there.
  [[nodiscard]] int descriptor() const;
  // Hands out what is there, at most one block of the ring, and returns how many. Throws std::runtime_error
  // when the interface is gone.
  int read(const capture::PacketHandler& on_packet);
  // Since it was opened.
  [[nodiscard]] capture::CaptureDrops drops();

 private:
  void set_filter(const LiveCaptureOptions& options);

  std::string interface_;
  struct Close {
    void operator()(pcap* handle) const;
  };
  std::unique_ptr<pcap, Close> handle_;
  std::uint32_t link_type_ = 0;
  capture::CaptureDrops drops_;
  // The kernel's, of 32 bits: they wrap.
  std::uint32_t last_kernel_ = 0;
  std::uint32_t last_interface_ = 0;
};

}  // namespace understudy::recorder
