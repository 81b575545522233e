"""Packets and capture files made without a network: conversations of PostgreSQL as Ethernet frames in a pcap file."""

import struct

import raw_session

PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
RECORD_BYTES = 16
CLIENT_PORT_AT = {True: 34, False: 36}  # in a frame, by whether the client sent it


class Conversation:
    """One TCP connection, as the frames of a pcap file. `segment` is the longest payload of one."""

    def __init__(self, client_port, server_port=5432, segment=1448, begins_ns=1_780_000_000_000_000_000):
        self.ports = (client_port, server_port)
        self.segment = segment
        self.now_ns = begins_ns
        self.next = [1000, 9000]  # sequence numbers, the client's and the server's
        self.records = []  # (from the client, pcap record)
        self._frame(True, 0x02)
        self._frame(False, 0x12)
        self._frame(True, 0x10)

    def client(self, data):
        self._say(True, data)

    def server(self, data):
        self._say(False, data)

    def log_in(self):
        self.client(raw_session.startup(user="postgres", database="postgres"))
        message = raw_session.message
        self.server(message(b"R", struct.pack("!i", 0)) + message(b"K", struct.pack("!ii", self.ports[0], 1))
                    + raw_session.READY + b"I")

    def end(self):
        self.client(raw_session.TERMINATE)
        self._frame(True, 0x11)
        self._frame(False, 0x11)

    def _say(self, from_client, data):
        for at in range(0, len(data), self.segment):
            self._frame(from_client, 0x18, data[at:at + self.segment])

    def _frame(self, from_client, flags, data=b""):
        self.now_ns += 1000
        mine, other = (0, 1) if from_client else (1, 0)
        acknowledged = self.next[other] if flags & 0x10 else 0
        tcp = struct.pack("!HHIIBBHHH", self.ports[mine], self.ports[other], self.next[mine], acknowledged, 0x50, flags,
                          501, 0, 0) + data
        addresses = (b"\x0a\0\0\1", b"\x0a\0\0\2")
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + addresses[mine] + addresses[other]
        frame = b"\2" * 12 + b"\x08\0" + ip + tcp
        header = struct.pack("<IIII", self.now_ns // 10**9, self.now_ns % 10**9, len(frame), len(frame))
        self.records.append((from_client, header + frame))
        self.next[mine] += len(data) + (1 if flags & 0x03 else 0)

    def repeated(self, times, first_port=1024):
        """The same conversation from other ports, one after the other: bytes of a capture file, piece by piece."""
        step_ns = self.now_ns + 1_000_000
        first_ns = struct.unpack_from("<II", self.records[0][1])
        step_ns -= first_ns[0] * 10**9 + first_ns[1]
        unit = bytearray()
        places = []
        for from_client, record in self.records:
            seconds, nanoseconds = struct.unpack_from("<II", record)
            places.append((len(unit), seconds * 10**9 + nanoseconds,
                           len(unit) + RECORD_BYTES + CLIENT_PORT_AT[from_client]))
            unit += record
        for number in range(times):
            port = struct.pack("!H", first_port + number % 60000)
            for at, time_ns, port_at in places:
                time_ns += number * step_ns
                struct.pack_into("<II", unit, at, time_ns // 10**9, time_ns % 10**9)
                unit[port_at:port_at + 2] = port
            yield bytes(unit)
