import io
import re

import pytest

from rlpips import progress
from rlpips.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_one_line_is_written_over(stream, monkeypatch):
    monkeypatch.setattr("sys.stderr", stream)
    report = Progress()
    report("reading")
    report("attacking", 1, 4)
    report("done", keep=True)
    lines = stream.getvalue().split("\r\033[K")
    if stream.isatty():
        assert lines[1] == "0:00 reading"
        assert re.fullmatch(r"0:00 \[#{6}\.{18}\] attacking", lines[2])
    assert lines[-1] == "0:00 done\n"  # the only line where stderr is a file
    assert len(lines) == (4 if stream.isatty() else 1)


def test_only_the_first_process_writes(monkeypatch, capsys):
    monkeypatch.setattr(progress, "is_first", lambda: False)
    Progress()("done", keep=True)
    assert capsys.readouterr().err == ""
