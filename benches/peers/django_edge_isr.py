"""Measures django-edge-isr's tag graph through its own functions, and prints the figures as JSON.

usage: django_edge_isr.py REDIS_URL PAGES LARGE

PAGES pages of three tags each are bound for the memory figure; a tag of LARGE pages is resolved. The
server must be empty.
"""
import json
import statistics
import sys
import time

import redis
from django.conf import settings

URL, PAGES, LARGE = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
settings.configure(EDGE_ISR={"REDIS_URL": URL})

from edge_isr import graph  # noqa: E402  (reads the settings when it is imported)


def page(n):
    """A URL of 31 bytes and its tags: one unique, one of 50 pages, one of 5,000."""
    return f"https://example.com/page/{n:06d}", [f"post:{n}", f"author:{n // 50}", f"list:{n // 5000}"]


def bind_as_shipped(count):
    began = time.perf_counter()
    for n in range(count):
        graph.bind(*page(n))
    return count / (time.perf_counter() - began)


def bind_with_one_client(client, count):
    shipped, graph._client = graph._client, lambda: client
    began = time.perf_counter()
    for n in range(count):
        graph.bind(*page(n))
    graph._client = shipped
    return count / (time.perf_counter() - began)


def load(client, binds):
    """The same keys as its own bind writes, only faster: its commands are queued and sent together."""
    pipeline = client.pipeline(transaction=False)
    shipped, graph._client = graph._client, lambda: pipeline
    for n, (url, tags) in enumerate(binds):
        graph.bind(url, tags)
        if n % 1000 == 999:
            pipeline.execute()
    pipeline.execute()
    graph._client = shipped


def used(client):
    return client.info("memory")["used_memory"]


client = redis.from_url(URL, decode_responses=True)
figures = {
    "bind_as_shipped": bind_as_shipped(1000),
    "bind_with_one_client": bind_with_one_client(client, 3000),
}
client.flushall()
before = used(client)
load(client, map(page, range(PAGES)))
figures["bytes_a_page"] = (used(client) - before) / PAGES

client.flushall()
load(client, ((f"https://example.com/page/{n:06d}", ["large"]) for n in range(LARGE)))
took = []
for _ in range(9):
    began = time.perf_counter()
    assert len(graph.urls_for(["large"])) == LARGE
    took.append(time.perf_counter() - began)
figures["urls_for_ms"] = statistics.median(took) * 1000
client.flushall()
print(json.dumps(figures))
