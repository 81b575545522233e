// The list of subcommands, and nothing else.
#include "formats/command.h"
#include "recorder/commands.h"
#include "replayer/commands.h"

int main(int argc, char** argv) {
  using namespace understudy;
  return run_command_line(
      argc, argv,
      {
          {"proxy", "relay clients to a backend, recording what passes", recorder::run_proxy},
          {"record", "record what an interface or a capture file shows", recorder::run_record},
          {"import", "turn a server's logs into a recording", recorder::run_import},
          {"ctl", "look at a running proxy, pause and resume it", recorder::run_ctl},
          {"replay", "feed a recording to another server", replayer::run_replay},
          {"diff", "compare the replies of two recordings", replayer::run_diff},
          {"show", "list a recording's sessions and messages", replayer::run_show},
          {"verify", "check a recording's checksums; say what is lost", replayer::run_verify},
          {"export", "turn a recording into what other programs read", replayer::run_export},
          {"mask", "put keyed tokens in the place of values in a recording", replayer::run_mask},
          {"mask-sql", "print SQL that masks a database in the same way", replayer::run_mask_sql},
      });
}
