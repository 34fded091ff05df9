import textwrap

import torch
from processes import run_processes

from rlpips import parallel


def test_one_process_works_on_all_pieces():
    assert parallel.join("cpu") == torch.device("cpu") and parallel.is_first()
    assert parallel.share(lambda piece: piece + 1, [1, 2, 3]) == [2, 3, 4]
    parallel.leave()  # without other processes it does nothing


def test_all_processes_get_all_pieces_in_order(tmp_path):
    count = 3
    script = tmp_path / "job.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys
        import torch
        from rlpips import parallel

        assert parallel.join("cpu") == torch.device("cpu")
        rank = int(os.environ["RANK"])
        assert parallel.is_first() == (rank == 0)
        mine = []

        def work(piece):
            mine.append(piece)
            return torch.full((piece, 2, 3)[: piece % 3 + 1], piece / 3)  # 1, 2 and 3 dimensions

        results = parallel.share(work, [4, 0, 2, 7, 5])
        assert len(mine) < 5
        torch.save([results, mine], sys.argv[1] + str(rank))
        assert parallel.share(work, []) == []
        parallel.leave()
        assert parallel.is_first()
    """)
    )
    run_processes(count, script, tmp_path / "out")
    expected = [torch.full((piece, 2, 3)[: piece % 3 + 1], piece / 3) for piece in (4, 0, 2, 7, 5)]
    worked = []
    for rank in range(count):
        results, mine = torch.load(f"{tmp_path}/out{rank}", weights_only=True)
        assert all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))
        worked += mine
    assert sorted(worked) == [0, 2, 4, 5, 7]  # each piece in one process
