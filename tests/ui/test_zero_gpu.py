"""ZeroGPU with the genuine package `spaces`: the page's own process, and the worker's path with a stand-in for the scheduler."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import browser as b
import pytest

from rlpips import paths

pytest.importorskip("spaces")
NOBODY = "http://127.0.0.1:9"
LENT = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "token"}

# The worker believes that it has a GPU; then torch finds none, and it computes on the CPU.
WORKER = """
import json
import numpy as np
import spaces
spaces.zero.torch.init = lambda uuid: None
spaces.zero.torch.move = lambda callback=None: None
from rlpips.attacks.request import AttackRequest, FoolRequest
from rlpips.ui.runtime import loading, work, zero_gpu

def main():
    assert zero_gpu.ON
    loading.warm_up().wait()
    picture = np.random.default_rng(0).integers(0, 255, (40, 48, 3), np.uint8)
    request = AttackRequest(picture, steps=3)
    recorder, *steps, ruler = work.duel(request)
    for step in steps:
        recorder.add(step)
    trace = recorder.trace(ruler)
    cut = work.duel(request)
    first = [next(cut), next(cut)]
    cut.close()
    refusals = []
    for bad in (AttackRequest(picture, steps=3, eps=2.0), AttackRequest(picture, objective="toward", candidate=picture[1:])):
        try:
            list(work.duel(bad))
        except ValueError as error:
            refusals.append(str(error))
    pair = work.pair(picture, picture[::-1].copy(), ("lpips", "rlpips-linf"), "alex")
    print(json.dumps({
        "distance": trace.distance[-1].tolist(), "state": trace.state, "first": len(first), "refusals": refusals,
        "ruler": next(work.duel_ruler(request, recorder)) == ruler, "pair": pair.distance.tolist(),
    }))

main()
"""


@pytest.fixture
def scheduler():
    """A stand-in for ZeroGPU's scheduler: (its address, the paths it was asked for)."""
    asked = []

    class Scheduler(BaseHTTPRequestHandler):
        def do_POST(self):
            path = self.path.partition("?")[0]
            asked.append(path)
            body = json.dumps(LENT if path == "/schedule" else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Scheduler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def run(code, address, tmp_path, **environment):
    """What a program prints, under ZeroGPU."""
    (tmp_path / "program.py").write_text(code)
    environment = {
        **os.environ, "SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": address, "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join([str(paths.ROOT), os.environ.get("PYTHONPATH", "")]), **environment,
    }  # fmt: skip
    program = [sys.executable, str(tmp_path / "program.py")]
    result = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def test_a_worker_computes_a_duel_is_stopped_and_refuses(scheduler, tmp_path):
    address, asked = scheduler
    result = json.loads(run(WORKER, address, tmp_path).splitlines()[-1])
    (_, lpips_on_r_lpips), *_ = distance = result["distance"]
    assert result["state"] == "done" and len(distance) == 3 and 0 < lpips_on_r_lpips < distance[0][0]
    assert result["first"] == 2 and result["ruler"] and result["pair"]
    too_far, other_size = result["refusals"]
    assert "eps must be" in too_far and "size" in other_size
    assert asked.count("/schedule") == asked.count("/allow") == 6


def test_the_page_opens_on_its_recorded_duel_and_says_why_nothing_is_computed(chromium, tmp_path):
    with b.serve(tmp_path, SPACES_ZERO_GPU="true", SPACES_ZERO_DEVICE_API_URL=NOBODY) as server:
        with b.visit(chromium, server.url) as page:
            b.ready(page)
            assert "ZeroGPU" in page.inner_text("#status")
            assert "ZeroGPU does not answer" in b.run(page, until="Refused")
        log = server.log.read_text("utf-8")
        assert "ZeroGPU does not answer, and lends no GPU" in log and "Traceback" not in log


@pytest.mark.parametrize("value", ["", "false"])
def test_elsewhere_a_package_or_folder_called_spaces_changes_nothing(tmp_path, value):
    (tmp_path / "spaces").mkdir()
    code = """
import sys
from rlpips.ui.runtime import work, zero_gpu
print(zero_gpu.ON, "spaces" in sys.modules, "torch" in sys.modules)
"""
    assert run(code, NOBODY, tmp_path, SPACES_ZERO_GPU=value).split() == ["False", "False", "False"]
