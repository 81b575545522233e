// The subcommands of this folder. Each parses its own arguments and returns its exit code.
#pragma once

namespace understudy::recorder {

// understudy proxy. argv[0] is "proxy". 0: ended as asked; 1: could not start or failed; 2: bad usage.
int run_proxy(int argc, char** argv);

// understudy record. argv[0] is "record". 0: all that was captured is on record; 1: could not start or
// failed; 2: bad usage; 3: in part.
int run_record(int argc, char** argv);

// understudy import. argv[0] is "import". 0: all that the logs tell of sessions is on record; 1: could not
// start or failed; 2: bad usage; 3: in part.
int run_import(int argc, char** argv);

// understudy ctl. argv[0] is "ctl". 0: done; 1: refused, or not ready; 2: bad usage; 3: could not reach the
// proxy.
int run_ctl(int argc, char** argv);

}  // namespace understudy::recorder
