// The subcommands of this folder. Each parses its own arguments (argv[0] is the subcommand's name) and
// returns its exit code; every --help prints them.
#pragma once

namespace understudy::replayer {

int run_replay(int argc, char** argv);    // 0: replayed; 1: could not, or ended early; 2: bad usage
int run_diff(int argc, char** argv);      // 0: same; 1: different; 2: could not compare, or bad usage
int run_show(int argc, char** argv);      // 0: shown; 1: could not; 2: bad usage
int run_verify(int argc, char** argv);    // 0: whole; 1: damaged or unclean; 2: unusable, or bad usage
int run_export(int argc, char** argv);    // 0: exported; 1: could not; 2: bad usage
int run_mask(int argc, char** argv);      // 0: masked; 1: could not; 2: bad usage
int run_mask_sql(int argc, char** argv);  // 0: printed; 1: could not; 2: bad usage

}  // namespace understudy::replayer
