from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from longshore.services.secrets import KEY_FILE, SecretUnreadable, open_secret_box


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    stored = open_secret_box(tmp_path).encrypt("pässword")
    assert b"password" not in stored
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
    assert open_secret_box(tmp_path).decrypt(stored) == "pässword"


def test_another_key_does_not_decrypt(tmp_path: Path) -> None:
    stored = open_secret_box(tmp_path).encrypt("secret")
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(SecretUnreadable, match=KEY_FILE):
        open_secret_box(tmp_path).decrypt(stored)


def test_a_new_key_in_front_leaves_old_secrets_readable(tmp_path: Path) -> None:
    path = tmp_path / KEY_FILE
    stored = open_secret_box(tmp_path).encrypt("secret")
    path.write_bytes(Fernet.generate_key() + b"\n" + path.read_bytes())
    assert open_secret_box(tmp_path).decrypt(stored) == "secret"


def test_a_damaged_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("damaged")
    with pytest.raises(SecretUnreadable, match=KEY_FILE):
        open_secret_box(tmp_path)
