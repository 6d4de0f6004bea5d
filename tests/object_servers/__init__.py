"""Real object stores for tests and benchmarks: on loopback, with their data in a folder.

    catalogue.start(name, folder) ──> Running ── .server ──> ObjectServer(name, apis)
                                          └───── .stop()
    fixtures.object_server(name)  ──> the ObjectServer that all tests of a session share
    proxy.Proxy(endpoint)         ──> the same server behind a connection that can be disturbed

`python -m tests.object_servers NAME FOLDER` runs one until it is interrupted, for looking at it.
"""
