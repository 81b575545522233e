"""Recordings nobody should have to read: foreign, of a newer version, empty, cut off. For tests of what is said of
them."""

import struct

MAGIC = struct.pack("<I", 0x184D2A57)
HEADER_TEXT = b"UNDERSTUDY TRANSCRIPT\n"


def crc32c(data):
    """CRC-32C (Castagnoli), bit by bit: headers are short."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def of_a_newer_version(segment):
    """The bytes of a segment with its header's major version raised, and sealed again: whole, but of the future."""
    size = 8 + struct.unpack_from("<I", segment, 4)[0]
    header = bytearray(segment[:size])
    assert header[:4] == MAGIC and header[16:16 + len(HEADER_TEXT)] == HEADER_TEXT
    header[16 + len(HEADER_TEXT)] += 1
    struct.pack_into("<I", header, 12, crc32c(header[16:-4]))
    struct.pack_into("<I", header, size - 4, crc32c(struct.pack("<Q", 0) + header[:-4]))
    return bytes(header) + segment[size:]
