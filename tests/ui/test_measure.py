"""The programs that measure still fit the app: nobody runs them every day."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import measure_visitors


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
