"""Longshore and the tools that people use today, doing the same work in turns.

    trees ──> contenders copy one after the other ──> checks ──> table, JSON, charts
              (clock, CPU, memory: measuring)

`python -m benchmarks.peers --help` tells what can be chosen.
"""
