"""Storages behind one interface; see `handler`."""
