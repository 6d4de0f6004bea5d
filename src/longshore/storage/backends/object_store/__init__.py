"""Object stores as storages: one handler over a small client protocol; see `client`."""
