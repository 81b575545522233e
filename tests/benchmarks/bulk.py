"""How fast does a large result stream through, and what CPU does it take? A client that only counts reads 1 GB."""

import time

from clients import RawClient
from contenders import Contenders
from meters import cpu_ns, median, rotated, settled_cpu_ns
from relay import relative
from table import Row, Section, Target, number, ratio

PROXIES = ["pgbouncer", "off", "on"]
ROWS = 10_000  # 10 MB: more than a chunk or zstd's window, so that repeating the table is not compressed away

# About 1 kB of JSON a row: text as applications send it.
MAKE_TABLE = f"""
CREATE TABLE bulk AS
SELECT row, (SELECT string_agg(format('{{"order": %s, "customer": "%s", "state": "shipped", "total": %s.%s}}',
                                      row * 13 + line, substr(md5(row::text || line), 1, 12), row % 997, line + 10),
                               ', ') FROM generate_series(1, 13) AS line) AS payload
FROM generate_series(1, {ROWS}) AS row;
"""

# OFFSET pass * 0 makes each pass read the table anew, in its order, rather than repeat each row.
ROWS_OF_RESULT = "SELECT row, payload FROM generate_series(1, {passes}) AS pass, " \
                 "LATERAL (SELECT * FROM bulk OFFSET pass * 0) AS one"
KINDS = {"SELECT": ROWS_OF_RESULT, "COPY TO STDOUT": f"COPY ({ROWS_OF_RESULT}) TO STDOUT"}


def measure(server, options):
    server.execute("DROP TABLE IF EXISTS bulk")
    server.execute(MAKE_TABLE)
    row_bytes = server.value("SELECT avg(octet_length(payload)) FROM bulk")
    passes = round(options.bulk_bytes / ROWS / float(row_bytes))
    return [_measure_kind(server, kind, sql.format(passes=passes), options) for kind, sql in KINDS.items()]


def _measure_kind(server, kind, sql, options):
    options.progress(f"bulk: {options.bulk_bytes / 1e9:g} GB by {kind}")
    with Contenders(server) as contenders:
        samples = {name: [] for name in contenders.names}
        for round_number in range(options.rounds):
            for name in rotated(contenders.names, round_number):
                samples[name].append(_read(contenders[name], sql))
        contenders["on"].end()
        recorded = contenders["on"].recorded
    return {"kind": kind, "samples": samples, "recorded": recorded, "bulk_bytes": options.bulk_bytes}


def _read(contender, sql):
    client = RawClient(contender.port)
    before = cpu_ns(contender.pid) if contender.pid else 0
    began = time.monotonic()
    count = client.query(sql)
    took_s = time.monotonic() - began
    after = settled_cpu_ns(contender.pid) if contender.pid else 0
    client.close()
    return {"mb_s": count / 1e6 / took_s, "cpu_s_gb": (after - before) / count, "bytes": count}


def section(kinds):
    rows = [row for kind in kinds for row in _rows(kind)]
    return Section(f"Bulk: {kinds[0]['bulk_bytes'] / 1e9:g} GB, MB/s (ratios)",
                   ["direct", *PROXIES], rows)


def _rows(kind):
    samples, recorded = kind["samples"], kind["recorded"]
    passed = sum(one["bytes"] for one in samples["on"])
    return [
        Row(f"{kind['kind']}", [number(median(one["mb_s"] for one in samples["direct"]))]
            + [ratio(relative(samples, name, "direct", "mb_s")) for name in PROXIES], []),
        Row("  CPU s/GB", ["", *(number(median(one["cpu_s_gb"] for one in samples[name])) for name in PROXIES)], []),
        Row("  recorded share, compression", ["", "", ratio(recorded["bytes"] / passed),
                                              ratio(recorded["bytes"] / recorded["file_bytes"])],
            [Target(f"{recorded['sessions_shed']} sessions shed", None)] if recorded["sessions_shed"] else []),
    ]
