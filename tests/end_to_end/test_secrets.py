"""Passwords in SQL: no file, export or log has them, the server does, and the recording replays all the same."""

import os
import secrets
import subprocess

import pytest

from postgres_server import BIN
from replaying import raw_contents, replay_whole
from understudy_process import run_understudy

KEY = secrets.token_hex(32)
SECRET = "Xy7:open sesame"
URI_SECRET = "Xy7open_sesame"
STATEMENTS = [
    f"CREATE ROLE carol LOGIN PASSWORD '{SECRET}'",
    f"ALTER ROLE carol PASSWORD E'{SECRET}'",
    f"ALTER ROLE carol PASSWORD $pw${SECRET}$pw$",
    f"DO $$ BEGIN EXECUTE 'ALTER ROLE carol PASSWORD ''{SECRET}'''; END $$",
    f"DO $$ BEGIN EXECUTE format('ALTER ROLE carol PASSWORD %L', '{SECRET}'); END $$",
    "CREATE FOREIGN DATA WRAPPER nothing",
    "CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing",
    f"CREATE USER MAPPING FOR carol SERVER elsewhere OPTIONS (user 'c', password '{SECRET}')",
    f"CREATE SUBSCRIPTION never CONNECTION 'dbname=x password=''{SECRET}''' PUBLICATION p WITH (connect = false)",
    "ALTER SUBSCRIPTION never CONNECTION 'host=h password=" + URI_SECRET + "'",
    f"ALTER SUBSCRIPTION never CONNECTION $$host=h password={URI_SECRET} dbname=x$$",
    f"ALTER SUBSCRIPTION never CONNECTION $c$host=h password='{SECRET}'$c$",
    f"DO $$ BEGIN EXECUTE 'ALTER SUBSCRIPTION never CONNECTION ''host=h password=' || '{URI_SECRET}' || ''''; END $$",
    f"DO $$ BEGIN EXECUTE format('ALTER SUBSCRIPTION never CONNECTION %L', format('password=%s', '{URI_SECRET}')); END $$",
    f"SELECT length('host=h password=' || '{URI_SECRET}'), length('host=h password='\n'{URI_SECRET} dbname=x'), "
    f"length(concat('postgresql://c:', '{URI_SECRET}', '@h')), length(format($$host=h password=%s$$, $${URI_SECRET}$$))",
    f"CREATE FUNCTION set_it() RETURNS void AS $$ ALTER ROLE carol PASSWORD '{SECRET}' $$ LANGUAGE sql; "
    f"CREATE TABLE behind_it (a text); INSERT INTO behind_it VALUES ('stays'); SELECT set_it()",
    f"ALTER SUBSCRIPTION never CONNECTION 'postgresql://c:{URI_SECRET}@h/x'",
    "SELECT 'said at the end'",
]
HIDDEN = sum("esame" in sql for sql in STATEMENTS) + 2  # in as many pieces


@pytest.fixture(params=("plain", "encrypted"))
def recording(request, make_server, make_proxy, scratch, monkeypatch):
    """(recording, the server, the proxy's log)"""
    server = make_server()
    arguments = []
    if request.param == "encrypted":
        (scratch / "key").write_text(KEY, encoding="ascii")
        arguments = ["--record-key-file", scratch / "key"]
        monkeypatch.setenv("UNDERSTUDY_KEY_FILE", str(scratch / "key"))
    proxy = make_proxy(server.tcp, *arguments, record=scratch / "recording")
    psql(proxy, *(argument for sql in STATEMENTS for argument in ("-c", sql)))
    with proxy.connect() as connection:  # the extended protocol, and a text that does not arrive at once
        connection.execute(f"ALTER ROLE carol PASSWORD '{SECRET}'", prepare=True)
        connection.execute(f"/* {'-' * 300_000} */ ALTER ROLE carol PASSWORD '{SECRET}'")
    assert proxy.stop() == 0
    return scratch / "recording", server, proxy.log()


def psql(proxy, *arguments):
    subprocess.run([str(BIN / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(proxy.port),
                    "-U", "postgres", *arguments, "postgres"], check=True, capture_output=True, timeout=60)


def test_no_file_export_or_log_has_them(recording, scratch):
    path, server, log = recording
    assert server.value("SELECT count(*) FROM pg_authid WHERE rolname = 'carol' AND rolpassword LIKE 'SCRAM%'") == 1
    assert URI_SECRET in server.value("SELECT subconninfo FROM pg_subscription")
    shown = [run_understudy("export", path, "--format", "jsonl"), run_understudy("export", path, "--format", "sql"),
             run_understudy("show", path), *(run_understudy("show", path, "--session", f"1.{n}") for n in (1, 2))]
    assert all(one.returncode == 0 for one in shown), shown
    texts = [raw_contents(path).decode("latin-1"), log, *(one.stdout + one.stderr for one in shown)]
    texts += [file.read_bytes().decode("latin-1") for file in path.iterdir()]
    for text in texts:
        assert "sesame" not in text and "Xy7" not in text and KEY not in text
    exported = shown[0].stdout
    assert "CREATE ROLE carol LOGIN PASSWORD 'xxxxxxxxxxxxxxx'" in exported
    assert "length('host=h password=' || 'xxxxxxxxxxxxxx')" in exported
    assert "said at the end" in exported
    files = b"".join(file.read_bytes() for file in path.iterdir())
    if "UNDERSTUDY_KEY_FILE" in os.environ:
        assert texts[0] == "" and b"said at the end" not in files and b"carol" not in files and bytes.fromhex(KEY) not in files
    else:
        assert exported.count("said at the end") and "said at the end" in texts[0]
    assert "a password in SQL" in shown[3].stdout
    assert shown[1].stdout.count("-- PASSWORD NOT RECORDED") == HIDDEN
    assert f"x stands for passwords in {HIDDEN} places" in shown[1].stderr
    assert "passwords_hidden=" in log and "passwords_hidden=0" not in log


def test_the_recording_replays(recording, make_server):
    path, _, _ = recording
    target = make_server()
    summary = replay_whole(path, f"postgresql://postgres@{target.tcp}/postgres")
    assert summary["exchanges"] >= len(STATEMENTS) + 2
    assert summary["passwords_hidden"] == HIDDEN
    assert target.value("SELECT a FROM behind_it") == "stays"
    assert target.value("SELECT subconninfo FROM pg_subscription") == f"postgresql://c:{'x' * len(URI_SECRET)}@h/x"


def test_who_wants_them_says_so(make_server, make_proxy, scratch):
    server = make_server()
    proxy = make_proxy(server.tcp, "--record-redact", "off", record=scratch / "recording")
    psql(proxy, "-c", STATEMENTS[0])
    assert proxy.stop() == 0
    assert SECRET.encode() in raw_contents(scratch / "recording")
