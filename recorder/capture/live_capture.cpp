#include "recorder/capture/live_capture.h"

#include <pcap/pcap.h>

#include <stdexcept>

#include "formats/capture/link_layer.h"

namespace understudy::recorder {
namespace {

constexpr int kSnapshotBytes = 262'144;  // more than any packet has, segmentation offload included
constexpr int kBlockTimeoutMs = 100;     // a block of the ring that is not full is handed over after that

struct Reading {
  const capture::PacketHandler& on_packet;
  std::uint32_t link_type;
};

void hand_out(u_char* user, const pcap_pkthdr* header, const u_char* bytes) {
  const auto& reading = *reinterpret_cast<const Reading*>(user);
  // In nanoseconds, as was asked for: tv_usec holds them.
  const TimeNs time = TimeNs{header->ts.tv_sec} * 1'000'000'000 + header->ts.tv_usec;
  reading.on_packet({time, reading.link_type, ByteView(bytes, header->caplen), header->len});
}

std::string remedy(int status) {
  switch (status) {
    case PCAP_ERROR_PERM_DENIED:
    case PCAP_ERROR_PROMISC_PERM_DENIED:
      return "; capturing needs root or the capability cap_net_raw (setcap cap_net_raw=ep understudy)";
    case PCAP_ERROR_NO_SUCH_DEVICE:
      return "; `ip link` lists the interfaces, and \"any\" is all of them";
    case PCAP_ERROR_IFACE_NOT_UP:
      return "; bring it up first (ip link set dev INTERFACE up)";
    default:
      return "";
  }
}

std::string one_of(const std::vector<std::uint16_t>& ports) {
  std::string text;
  for (const std::uint16_t port : ports)
    text += (text.empty() ? "port " : " or port ") + std::to_string(port);
  return text;
}

}  // namespace

std::string capture_filter(const std::vector<std::uint16_t>& ports, bool with_vlans) {
  const std::string plain = "(tcp and (" + one_of(ports) +
                            ")) or (ip proto 6 and ip[6:2] & 0x3fff != 0) or " + "(ip6 and ip6[6] = 44)";
  if (!with_vlans) return plain;
  // The word moves where everything behind it is looked for, so the second stands for a tag within a tag.
  return plain + " or (vlan and (" + plain + " or (vlan and (" + plain + "))))";
}

void LiveCapture::Close::operator()(pcap* handle) const { pcap_close(handle); }

LiveCapture::LiveCapture(const LiveCaptureOptions& options) : interface_(options.interface) {
  char error[PCAP_ERRBUF_SIZE] = {};
  handle_.reset(pcap_create(interface_.c_str(), error));
  if (!handle_) throw std::runtime_error("cannot capture on " + interface_ + ": " + error);
  pcap_t* const handle = handle_.get();
  pcap_set_snaplen(handle, kSnapshotBytes);
  pcap_set_promisc(handle, options.promiscuous ? 1 : 0);
  pcap_set_timeout(handle, kBlockTimeoutMs);
  pcap_set_buffer_size(handle, static_cast<int>(options.ring_bytes));
  if (pcap_set_tstamp_precision(handle, PCAP_TSTAMP_PRECISION_NANO) != 0) {
    throw std::runtime_error("cannot capture on " + interface_ + ": no times in nanoseconds");
  }
  const int status = pcap_activate(handle);
  if (status < 0) {
    const std::string detail = pcap_geterr(handle);
    throw std::runtime_error("cannot capture on " + interface_ + ": " + pcap_statustostr(status) +
                             (detail.empty() ? "" : " (" + detail + ")") + remedy(status));
  }
  link_type_ = static_cast<std::uint32_t>(pcap_datalink(handle));
  if (!capture::is_known_link(link_type_)) {
    throw std::runtime_error("cannot capture on " + interface_ + ": its link type " +
                             std::to_string(link_type_) + " is not read");
  }
  set_filter(options);
  if (pcap_setnonblock(handle, 1, error) != 0) throw std::runtime_error(interface_ + ": " + error);
}

LiveCapture::~LiveCapture() = default;

void LiveCapture::set_filter(const LiveCaptureOptions& options) {
  bpf_program program{};
  // Not every link has VLANs: then the filter without them is compiled.
  const bool compiled = pcap_compile(handle_.get(), &program, capture_filter(options.ports, true).c_str(), 1,
                                     PCAP_NETMASK_UNKNOWN) == 0 ||
                        pcap_compile(handle_.get(), &program, capture_filter(options.ports, false).c_str(), 1,
                                     PCAP_NETMASK_UNKNOWN) == 0;
  if (!compiled) throw std::runtime_error(interface_ + ": " + pcap_geterr(handle_.get()));
  const int status = pcap_setfilter(handle_.get(), &program);
  pcap_freecode(&program);
  if (status != 0) throw std::runtime_error(interface_ + ": " + pcap_geterr(handle_.get()));
}

int LiveCapture::descriptor() const { return pcap_get_selectable_fd(handle_.get()); }

int LiveCapture::read(const capture::PacketHandler& on_packet) {
  Reading reading{on_packet, link_type_};
  const int packets = pcap_dispatch(handle_.get(), -1, hand_out, reinterpret_cast<u_char*>(&reading));
  if (packets < 0) throw std::runtime_error("capturing on " + interface_ + ": " + pcap_geterr(handle_.get()));
  return packets;
}

capture::CaptureDrops LiveCapture::drops() {
  pcap_stat counted{};
  if (pcap_stats(handle_.get(), &counted) != 0) return drops_;
  drops_.by_kernel += counted.ps_drop - last_kernel_;
  drops_.by_interface += counted.ps_ifdrop - last_interface_;
  last_kernel_ = counted.ps_drop;
  last_interface_ = counted.ps_ifdrop;
  return drops_;
}

}  // namespace understudy::recorder
