"""What runs inside the locked-down worker process.

Nothing here imports the rest of Longshore: the worker is started as `python -I -S -B boot.py`,
and these modules, msgspec and (for JavaScript) the QuickJS extension are all it can see. The server
imports only the plain descriptions from here (`frames`, `seccomp`), never the engines.
"""
