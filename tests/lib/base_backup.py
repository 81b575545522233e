"""A copy of a running server's data, where there is no pg_basebackup: by the functions it stands on. (PostgreSQL
documentation, "Making a Base Backup Using the Low Level API".)"""

import pathlib

from postgres_server import major_version
from processes import as_server_user, give_to_server


def copy_running(server, target):
    """`target` can be started as a standby of the server, which has to keep the log that is written meanwhile."""
    begin, end = (("pg_backup_start('copy', true)", "pg_backup_stop(false)") if major_version() >= 15 else
                  ("pg_start_backup('copy', true, false)", "pg_stop_backup(false, false)"))
    with server.connect() as connection:
        connection.execute(f"SELECT {begin}")
        # Files may go while they are copied: not an error here, the log says what became of them.
        as_server_user(["cp", "-a", server.data, target], check=False)
        label = connection.execute(f"SELECT labelfile FROM {end}").fetchone()[0]
    target = pathlib.Path(target)
    for name in ("postmaster.pid", "postmaster.opts", "standby.signal"):
        (target / name).unlink(missing_ok=True)
    (target / "backup_label").write_text(label, encoding="utf-8")
    give_to_server(target / "backup_label")
