"""Starting programs that end with the test that started them, and as an unprivileged user where they must."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile

# PostgreSQL refuses to run as root; as root its servers run as the user Debian's package made.
SERVER_USER = "postgres" if os.geteuid() == 0 else None


def until_parent_ends(command, signal_name, user=None):
    """`command`, to be sent `signal_name` when this process ends, however it ends."""
    wrapper = ["setpriv", "--pdeathsig", signal_name]
    if user:
        wrapper += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
    return [*wrapper, *command]


def as_server_user(command, **options):
    """Runs a command of the server's (initdb, pg_basebackup) to its end."""
    options.setdefault("check", True)
    return subprocess.run(until_parent_ends([str(part) for part in command], "KILL", SERVER_USER),
                          stdin=subprocess.DEVNULL, capture_output=True, cwd="/", **options)


def make_directory(prefix):
    """A directory that the server's user may write to; short, because socket paths have at most 107 bytes."""
    path = tempfile.mkdtemp(prefix=f"us-{prefix}-", dir="/tmp")
    os.chmod(path, 0o755)
    give_to_server(path)
    return path


def give_to_server(path):
    if SERVER_USER:
        user = pwd.getpwnam(SERVER_USER)
        os.chown(path, user.pw_uid, user.pw_gid)


def remove_directory(path):
    shutil.rmtree(path, ignore_errors=True)


def end_process(process, signals=(signal.SIGTERM, signal.SIGKILL), timeout_s=30):
    """Sends each signal in turn until the process has ended; returns its exit status."""
    for number in signals:
        if process.poll() is not None:
            break
        process.send_signal(number)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            continue
    return process.wait(timeout_s)
