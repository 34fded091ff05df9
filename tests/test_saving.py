import csv
import io
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from rlpips import paths, saving

posix = pytest.mark.skipif(os.name == "nt", reason="processes and permissions of POSIX")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_are_written_and_replace_what_was_there(tmp_path):
    saving.write(tmp_path / "a", "l∞\n")
    assert (tmp_path / "a").read_bytes() == "l∞\n".encode()
    saving.write(str(tmp_path / "a"), b"\0\xff")
    assert (tmp_path / "a").read_bytes() == b"\0\xff" and names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    saving.write(tmp_path / "a", "old")
    with pytest.raises(error), saving.beside(tmp_path / "a") as part:
        part.write_text("half")
        raise error
    assert (tmp_path / "a").read_text() == "old" and names(tmp_path) == ["a"]


def test_a_missing_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"'{tmp_path / 'missing'}'")):
        saving.write(tmp_path / "missing" / "a", "new")


@posix
def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a")
    saving.write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "a").read_text() == "new"


@posix
@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_umask_decides_who_may_read_a_file(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        saving.write(tmp_path / "a", "new")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def part_of(process, token="0123abcd"):
    """The name of the unfinished file of the process with this id."""
    return f"{saving._PREFIX}{process}-{token}.part"


@posix
def test_what_dead_processes_left_goes_at_the_next_write_and_all_else_stays(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = [part_of(ended.pid), part_of(os.getpid())]  # an earlier process may have had the same id
    stay = [part_of(os.getppid()), f".rlpips-another.machine-{ended.pid}-0123abcd.part", "mine.part"]
    for name in left + stay:
        (tmp_path / name).write_text("half")
    saving.write(tmp_path / "a", "new")
    assert names(tmp_path) == sorted([*stay, "a"])


def test_writers_at_the_same_time_do_not_disturb_each_other(tmp_path):
    with saving.beside(tmp_path / "a") as first, saving.beside(tmp_path / "a") as second:
        first.write_text("first")
        second.write_text("second")
        saving.write(tmp_path / "b", "new")
    assert (tmp_path / "a").read_text() == "first" and names(tmp_path) == ["a", "b"]  # the last to end

    contents = [letter * 300_000 for letter in "abcd"]
    threads = [
        threading.Thread(target=lambda text=text: [saving.write(tmp_path / "a", text) for _ in range(20)])
        for text in contents
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert (tmp_path / "a").read_text() in ["first", *contents]
    assert names(tmp_path) == ["a", "b"]


WRITES = """
import sys
from rlpips import saving
while True:
    for letter in "ab":
        with saving.beside(sys.argv[1]) as part, part.open("w") as file:
            for _ in range(200):
                file.write(letter * 10_000)
        print(letter, flush=True)
"""


@posix
def test_a_kill_leaves_a_whole_file(tmp_path):
    draw = random.Random(0)
    for _ in range(5):
        command = [sys.executable, "-c", WRITES, str(tmp_path / "a")]
        writer = subprocess.Popen(command, cwd=paths.ROOT, stdout=subprocess.PIPE)
        writer.stdout.readline()  # one is written
        time.sleep(draw.uniform(0, 0.03))
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
        assert (tmp_path / "a").read_text() in ("a" * 2_000_000, "b" * 2_000_000)
    saving.write(tmp_path / "a", "new")
    assert names(tmp_path) == ["a"]


def test_rows_become_csv_that_a_spreadsheet_only_shows():
    rows = [{"a": 1 / 3, "b": None, "c": "=1+1"}, {"a": 40, "b": 'x,"y"', "c": "plain"}]
    text = saving.csv_text(iter(rows))
    assert list(csv.DictReader(io.StringIO(text))) == [
        {"a": "0.3333333", "b": "", "c": "'=1+1"},
        {"a": "40", "b": 'x,"y"', "c": "plain"},
    ]
    assert saving.csv_text([]) == ""
