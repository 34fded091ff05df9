"""The programs that measure still fit the app: nobody runs them every day."""

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import measure_channels
import measure_visitors
import numpy as np


def test_every_visitor_with_a_picture_of_their_own_gets_an_answer(server):
    async def crowd():
        async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
            page = measure_visitors.Page((await client.get("config")).json())
            return await measure_visitors.crowd(lambda: measure_visitors.Visitor(client, page), 2, 0.1, "own", 5)

    with ThreadPoolExecutor(1) as beside:  # the browser's tests have a loop running on this thread
        everyone, errors = beside.submit(asyncio.run, crowd()).result()
    assert errors == [] and all(visitor.statuses[-1][1].startswith("Done: 5 steps") for visitor in everyone)
    rows = dict(measure_visitors.table(everyone, errors, 1))
    assert rows["visitors, done, refused, errors"] == "2, 2, 0, 0"


def test_the_channels_of_an_attack_are_counted():
    parts = np.array([0.1, 5, 1, 0, 3.9])
    assert [measure_channels.how_many(parts, share) for share in (0.5, 0.501, 0.9, 1)] == [1, 2, 3, 4]
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    options = argparse.Namespace(side=64, steps=1)
    ((name, columns, trunk, quality),) = measure_channels.rows("alex", [picture], ["a"], "l2", "away", options)
    assert name == "a" and tuple(columns) == measure_channels.COLUMNS and 1 <= int(quality) <= 88
    assert all(parts.shape == (2, 1152) and parts.sum() > 0 for parts in columns.values())
    assert measure_channels.cell(np.eye(1152)[489], trunk) == "1 · 1; conv3·233 100 %"
