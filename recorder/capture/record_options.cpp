#include "recorder/capture/record_options.h"

#include <charconv>
#include <cstdio>
#include <cxxopts.hpp>

#include "formats/command.h"
#include "recorder/given_options.h"

namespace understudy::recorder {
namespace {

constexpr std::uint16_t kUsualPort = 5432;

constexpr const char* kNotes =
    "\nFILE is pcap or pcapng, plain or compressed by gzip or zstd, or - for standard input; several are\n"
    "read in the order of their first packets. Ethernet (VLANs too), Linux cooked, raw IP and loopback\n"
    "captures; IPv4 and IPv6, fragments too. Without --port a file's servers are found by who opens a\n"
    "connection, and what it says.\n"
    "\nPasswords and what else proves who a client is never reach the recording. Sessions that were open\n"
    "before the capture are joined where that can be proven, and marked so. What is missing is a gap\n"
    "event in its session. Encrypted sessions are read where a key log (--tls-keys, or secrets in a\n"
    "pcapng file) has their secrets: TLS 1.2 and 1.3 with AEAD cipher suites. Others are counted.\n"
    "\n--interface needs root or cap_net_raw, which it gives up once the interface is open: as root it\n"
    "goes on as --user, by default whoever called sudo, or nobody. The directory must be that user's;\n"
    "it is created so. SIGTERM or SIGINT ends it; SIGUSR1 logs what was counted so far.\n"
    "\nSizes: 4096, 64KiB, 256MiB. Durations: 500ms, 30s, 5min.\n"
    "\nExit codes: 0 all that was captured of PostgreSQL is on record; 1 could not start, or failed; 2\n"
    "bad usage; 3 in part: sessions with holes, unreadable ones, packets dropped, cut or not read.\n";

cxxopts::Options command_options() {
  cxxopts::Options options("understudy record",
                           "Records the sessions that a capture file or a network interface shows.\n");
  options.custom_help("(--pcap FILE... | --interface NAME) --output DIR [OPTIONS]");
  options.set_width(kHelpColumns);
  auto add = options.add_options();
  add("pcap", "read capture files, the arguments that are no options");
  add("interface", "capture what passes a network interface (lo, eth0, any)", cxxopts::value<std::string>(),
      "NAME");
  add("port", "servers listen there; repeatable (number, 5432; files: any)",
      cxxopts::value<std::vector<std::string>>(), "PORT");
  add("output", "the recording's directory; created (mode 0700) if absent", cxxopts::value<std::string>(),
      "DIR");
  add("tls-keys", "read encrypted sessions with the secrets in this key log (SSLKEYLOGFILE's format)",
      cxxopts::value<std::string>(), "FILE");
  add("overlap", "of bytes sent again differently, keep: first or last (word, first)",
      cxxopts::value<std::string>(), "WORD");
  add("ring", "the kernel's buffer for packets not taken yet (size, 64MiB)", cxxopts::value<std::string>(),
      "SIZE");
  add("no-promiscuous", "only what is addressed to this machine");
  add("user", "go on as this user once the interface is open", cxxopts::value<std::string>(), "NAME");
  add("report-interval", "log what was captured and dropped this often (duration, 10s)",
      cxxopts::value<std::string>(), "TIME");
  add("json", "the summary as JSON");
  add("h,help", "this text");
  add_recorder_options(options, false);
  return options;
}

std::uint16_t port_of(const std::string& text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || rest != end || port == 0)
    refuse("--port " + text + ": expected a number from 1 to 65535");
  return port;
}

void take_ports(const cxxopts::ParseResult& given, RecordOptions& options) {
  if (given.count("port") != 0) {
    for (const std::string& port : given["port"].as<std::vector<std::string>>())
      options.reassembly.ports.push_back(port_of(port));
  } else if (!options.live.interface.empty()) {
    options.reassembly.ports = {kUsualPort};
  }
  options.live.ports = options.reassembly.ports;
}

void take_live(const cxxopts::ParseResult& given, RecordOptions& options) {
  options.live.promiscuous = given.count("no-promiscuous") == 0;
  options.user = text_of(given, "user");
  if (given.count("user") != 0 && options.user.empty()) refuse("--user: expected a name");
  if (const std::string ring = text_of(given, "ring"); !ring.empty()) {
    const auto bytes = parse_size(ring);
    if (!bytes || *bytes < (1U << 20) || *bytes > (1U << 30)) {
      refuse("--ring " + ring + ": expected a size from 1MiB to 1GiB, such as 64MiB");
    }
    options.live.ring_bytes = static_cast<std::size_t>(*bytes);
  }
  if (const std::string interval = text_of(given, "report-interval"); !interval.empty()) {
    const auto time = parse_duration(interval);
    if (!time || *time < kSecond / 10) {
      refuse("--report-interval " + interval + ": expected a duration of at least 100ms, such as 10s");
    }
    options.report_interval = *time;
  }
  if (!options.live.interface.empty()) return;
  for (const char* const name : {"ring", "no-promiscuous", "user", "report-interval"}) {
    if (given.count(name) != 0) refuse(std::string("--") + name + " is for --interface");
  }
}

RecordOptions options_of(const cxxopts::ParseResult& given) {
  RecordOptions options;
  options.live.interface = text_of(given, "interface");
  options.files = file_arguments(given);
  const bool files = given.count("pcap") != 0;
  if (files == !options.live.interface.empty()) refuse("expected one of --pcap FILE... and --interface NAME");
  if (files && options.files.empty()) refuse("--pcap: expected the names of capture files");
  if (!files && !options.files.empty()) refuse("unexpected argument " + options.files.front());
  options.recording.directory = text_of(given, "output");
  if (options.recording.directory.empty()) refuse("expected --output DIR");
  const std::string overlap = text_of(given, "overlap");
  if (!overlap.empty() && overlap != "first" && overlap != "last") {
    refuse("--overlap " + overlap + ": expected first or last");
  }
  if (overlap == "last") options.reassembly.overlap = capture::OverlapPolicy::kKeepLast;
  options.tls_keys = text_of(given, "tls-keys");
  options.json = given.count("json") != 0;
  take_ports(given, options);
  take_live(given, options);
  apply_recorder_options(given, options.recording);
  return options;
}

}  // namespace

std::optional<RecordOptions> read_record_options(int argc, char** argv) {
  cxxopts::Options options = command_options();
  // "--pcap=FILE" is what many will write: the option and an argument.
  std::vector<std::string> words;
  for (int n = 0; n < argc; ++n) {
    const std::string_view word = argv[n];
    constexpr std::string_view kPcap = "--pcap=";
    if (word.starts_with(kPcap)) {
      words.emplace_back("--pcap");
      words.emplace_back(word.substr(kPcap.size()));
    } else {
      words.emplace_back(word);
    }
  }
  std::vector<const char*> pointers;
  for (const std::string& word : words) pointers.push_back(word.c_str());
  const cxxopts::ParseResult given = options.parse(static_cast<int>(pointers.size()), pointers.data());
  if (given.count("help") != 0) {
    std::fputs((options.help() + kNotes).c_str(), stdout);
    return std::nullopt;
  }
  return options_of(given);
}

}  // namespace understudy::recorder
