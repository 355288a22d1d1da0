"""One key of a real keystore, made once, and texts sampled under it."""
import pytest

import heirmark
from support import make_sampler

PASSPHRASE = "correct horse battery staple"
KEY = "acme-70b/2026-11"


class Key:
    def __init__(self, folder):
        self.folder = folder
        self.store_folder = folder / "keys"
        self.store = heirmark.Keystore.create(self.store_folder, PASSPHRASE, opslimit=1, memlimit=8192)
        self.info = self.store.new_epoch(KEY, family_size=4096)
        self.opening = self.store.open_for(KEY, "tester", time="2026-11-25T12:00:00Z")
        self.other = self._another()
        self.opening_file = folder / "opening.json"
        self.opening_file.write_bytes(self.opening.expose_bytes())
        self.opening_file.chmod(0o600)

    def _another(self):
        self.store.new_epoch("acme-70b/2026-12", family_size=4096)
        return self.store.open_for("acme-70b/2026-12", "tester", time="2026-11-25T12:00:00Z")


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    return Key(tmp_path_factory.mktemp("key"))


@pytest.fixture(autouse=True)
def november(monkeypatch):
    """The month of the tests' keys is always now."""
    monkeypatch.setattr("heirmark.serving._month", lambda: KEY.rpartition("/")[2])


@pytest.fixture
def sampler():
    return make_sampler()
