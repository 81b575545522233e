"""Does the tree keep its own rules? Include arrows, file lengths, no skipped tests, no paths of one machine.

Run by CTest, or by hand: python3 tests/architecture_test.py
"""

import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# An include may only point left.
ORDER = ["formats", "proxy", "recorder", "replayer"]
LONGEST_FILE = 500
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"/]+)/', re.MULTILINE)
# A home, or a directory that only a developer's machine has.
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:work|farm|root|home)/\w")
FORBIDDEN_IN_FORMATS = re.compile(r"#include <(?:sys/socket|sys/epoll|thread|Poco/Net).*>")
BINARY = {".transcript", ".png", ".zst", ".dump", ".bin"}


def tracked_files():
    """What git would commit; without git (a source archive), everything but build directories."""
    try:
        listed = subprocess.run(
            ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        names = [name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")
                 if not {"build", ".git", "node_modules"} & set(path.relative_to(ROOT).parts)]
    return sorted(ROOT / name for name in names if (ROOT / name).is_file())


FILES = tracked_files()
CODE = [path for path in FILES if path.suffix in (".h", ".cpp")]


def text(path):
    return path.read_text(encoding="utf-8", errors="replace")


def relative(path):
    return str(path.relative_to(ROOT))


class Architecture(unittest.TestCase):
    def test_there_is_code_to_look_at(self):
        self.assertGreater(len(CODE), 50)

    def test_no_include_points_right(self):
        wrong = []
        for path in CODE:
            folder = path.relative_to(ROOT).parts[0]
            if folder not in ORDER:
                continue
            for included in INCLUDE.findall(text(path)):
                if included in ORDER and ORDER.index(included) > ORDER.index(folder):
                    wrong.append(f"{relative(path)} includes {included}/")
        self.assertEqual(wrong, [])

    def test_formats_has_no_sockets_and_no_threads(self):
        wrong = [f"{relative(path)}: {found.group(0)}" for path in CODE
                 if path.relative_to(ROOT).parts[0] == "formats"
                 for found in FORBIDDEN_IN_FORMATS.finditer(text(path))]
        self.assertEqual(wrong, [])

    def test_no_file_is_longer_than_a_reader_can_hold(self):
        long = [f"{relative(path)}: {lines} lines" for path in CODE
                if (lines := text(path).count("\n")) > LONGEST_FILE]
        self.assertEqual(long, [])

    def test_headers_are_included_once(self):
        wrong = [relative(path) for path in CODE if path.suffix == ".h" and "#pragma once" not in text(path)]
        self.assertEqual(wrong, [])

    def test_every_header_says_first_what_it_answers(self):
        wrong = [relative(path) for path in CODE if path.suffix == ".h" and not text(path).startswith("//")]
        self.assertEqual(wrong, [])

    def test_every_room_has_its_page(self):
        rooms = [*ORDER, "tests", "samples", "."]
        self.assertEqual([room for room in rooms if not (ROOT / room / "README.md").is_file()], [])

    def test_no_test_is_switched_off(self):
        # DISABLED_Make...: no tests, but tools that make golden files, run by hand.
        off = re.compile(r"GTEST_SKIP|\bDISABLED_(?!Make)\w|pytest\.skip|mark\.skip|unittest\.skip|mark\.xfail")
        wrong = [relative(path) for path in FILES
                 if relative(path).startswith("tests/") and path != pathlib.Path(__file__).resolve()
                 and path.suffix in (".h", ".cpp", ".py") and off.search(text(path))]
        self.assertEqual(wrong, [])

    def test_no_path_of_one_machine(self):
        wrong = [f"{relative(path)}: {found.group(0)}" for path in FILES
                 if path.suffix not in BINARY and path != pathlib.Path(__file__).resolve()
                 if (found := MACHINE_PATH.search(text(path)))]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
