"""A folder of backups in any store, in which the same bytes are kept once.

    place.json                     how it is encrypted, and whose it is; never a secret
    key.age                        its key pair, where a passphrase protects it
    blobs/ab/abcdef…               chunks of rows and objects of all backups, encrypted
    backups/<id>/summary.json      when, how much: what a list shows without the key
    backups/<id>/blobs             the names of the blobs it needs, after their digest: who has no
                                   key to read backups by forgets old ones all the same
    backups/<id>/manifest          what belongs to it, encrypted; written last
    backups/<id>/checks/<time>     what came of each verification and each drill

A blob's name is made of its content (HMAC of its SHA-256 by a key from the service's secret key,
so that it tells nobody what is in it) and of the recipients, where it is encrypted for some. A
backup that was killed has left blobs and no manifest; the next finds them and goes on from there.
An unchanged object is stored by the first backup and by no other.

A place is one platform's: whoever forgets old backups would take another's for its own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from tabular.errors import ConfigError, ConflictError, IntegrityError, NotFoundError, RefusedError
from tabular.infra.storage import ObjectStore
from tabular.transfer import sealing
from tabular.transfer.copying import counted
from tabular.transfer.manifest import FORMAT, Blob, Manifest, Summary, from_bytes, to_bytes
from tabular.transfer.sealing import Keys, Sealing

_PLACE, _KEY = "place.json", "key.age"
_KIND = "inferloop-tabular backups"


@dataclass(frozen=True)
class Known:
    """A backup as a list shows it.

    Attributes:
        summary: None where it is damaged.
        checks: results of verifications and drills, the last one last.
    """

    id: str
    summary: Summary | None
    checks: tuple[dict[str, Any], ...]


class Place:
    """Backups in one store. Opened by `create_place` or `open_place`."""

    def __init__(self, store: ObjectStore, seal: Sealing) -> None:
        self.store = store
        self._seal = seal

    @property
    def method(self) -> str:
        """How it is encrypted."""
        return self._seal.method

    @property
    def where(self) -> str:
        """The store's URL."""
        return self.store.where

    def name_of(self, sha256: str, secret: str) -> str:
        """The blob that holds these bytes.

        Args:
            sha256: of the bytes.
            secret: the service's secret key.
        """
        if self.method == sealing.NONE:
            return sha256
        key = hmac.digest(secret.encode(), b"tabular backup names", "sha256")
        # What was encrypted for others cannot be read by those whom this backup is for.
        content = "\n".join((sha256, *self._seal.readers))
        return hmac.new(key, content.encode(), "sha256").hexdigest()

    def has(self, name: str) -> bool:
        """Whether a blob is there, whole."""
        return self.store.exists(_blob_key(name))

    def put(self, blob: Blob, chunks: Iterator[bytes]) -> None:
        """Store a blob.

        Raises:
            IntegrityError: the chunks are not what the blob says; nothing is stored.
        """
        data = counted(chunks, blob.info(blob.blob))
        self.store.put(_blob_key(blob.blob), self._seal.close(data))

    def get(self, blob: Blob) -> Iterator[bytes]:
        """The bytes in a blob, compared with what was said of them.

        Raises:
            NotFoundError: there is no such blob.
            IntegrityError: it is damaged.
        """
        key = _blob_key(blob.blob)
        opened = self._seal.open(self.store.get(key), name=key)
        return counted(opened, blob.info(key))

    def blobs(self) -> set[str]:
        """The name of every blob that is there."""
        return {key.rpartition("/")[2] for key in self.store.keys_below("blobs")}

    def drop(self, name: str) -> None:
        """Remove a blob."""
        self.store.delete(_blob_key(name))

    def write(self, manifest: Manifest, secret: str) -> None:
        """Let a backup exist: its summary first, and the manifest as the last file of all."""
        folder = f"backups/{manifest.summary.id}"
        self.store.put(f"{folder}/summary.json", manifest.summary.model_dump_json().encode())
        self.store.put(_blobs_key(manifest.summary.id), _list(manifest.blobs()))
        self.store.put(f"{folder}/manifest", self._seal.close([to_bytes(manifest, secret)]))

    def read(self, backup: str, *, secret: str | None = None) -> tuple[Manifest, bool]:
        """The manifest of a backup, and whether its seal was checked.

        Raises:
            NotFoundError: no such backup, or not a whole one.
            IntegrityError: it is damaged, or its summary is not its own.
            ConfigError: the passphrase, key or secret key is another.
        """
        key = f"backups/{backup}/manifest"
        raw = b"".join(self.store.get(key))
        opened = b"".join(self._seal.open([raw], name=key))
        manifest, sealed = from_bytes(opened, secret=secret, where=key)
        if self._summary(backup) != manifest.summary or manifest.summary.id != backup:
            raise IntegrityError("the summary is not that of the manifest", where=key)
        return manifest, sealed

    def needed(self, backup: str) -> set[str]:
        """The blobs that a backup needs, which takes no key.

        Raises:
            NotFoundError: there is no list, so no whole backup.
            IntegrityError: the list is damaged.
        """
        key = _blobs_key(backup)
        raw = b"".join(self.store.get(key))
        names = raw.decode(errors="replace").split()[1:]
        if raw != _list(names):
            raise IntegrityError("the list of the blobs that a backup needs is damaged", where=key)
        return set(names)

    def known(self) -> list[Known]:
        """Every whole backup, the oldest first."""
        return [self._known(backup) for backup in self.ids()]

    def ids(self) -> list[str]:
        """The id of every whole backup, the oldest first."""
        keys = (key.split("/") for key in self.store.keys_below("backups"))
        return sorted(parts[1] for parts in keys if parts[2:] == ["manifest"])

    def latest(self, wanted: str | None) -> str:
        """A backup by its id, or the newest.

        Raises:
            NotFoundError: there is none.
        """
        ids = self.ids()
        if wanted in ids or (wanted is None and ids):
            return wanted or ids[-1]
        raise NotFoundError(
            f"no backup {wanted}" if wanted else "no backup there",
            where=self.where,
            hint="`inferloop-tabular backup list` shows those that are whole",
        )

    def note(self, backup: str, check: dict[str, Any], now: datetime) -> None:
        """Keep what came of a verification beside the backup."""
        key = f"backups/{backup}/checks/{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
        self.store.put(key, json.dumps({"at": now.isoformat(), **check}, sort_keys=True).encode())

    def damaged_notes(self, backup: str) -> list[str]:
        """What is wrong with the results that lie beside a backup, one sentence each."""
        wrong: list[str] = []
        for key in self.store.keys_below(f"backups/{backup}/checks"):
            try:
                json.loads(b"".join(self.store.get(key)))
            except (IntegrityError, ValueError):
                wrong.append(f"{key}: this note of a verification is damaged; remove it")
        return wrong

    def forget(self, backup: str) -> None:
        """Remove a backup, its manifest first, so that it is never seen in part."""
        self.store.delete(f"backups/{backup}/manifest")
        for key in self.store.keys_below(f"backups/{backup}"):
            self.store.delete(key)

    def strangers(self) -> list[str]:
        """Keys that are none of a place of backups."""
        return [key for key in self.store.keys_below() if not _is_ours(key.split("/"))]

    def _known(self, backup: str) -> Known:
        keys = self.store.keys_below(f"backups/{backup}/checks")
        try:
            checks = tuple(json.loads(b"".join(self.store.get(key))) for key in keys)
            return Known(backup, self._summary(backup), checks)
        except (IntegrityError, ValueError):
            return Known(backup, None, ())  # it must not hide the others

    def _summary(self, backup: str) -> Summary:
        key = f"backups/{backup}/summary.json"
        try:
            return Summary.model_validate_json(b"".join(self.store.get(key)))
        except (ValidationError, NotFoundError) as error:
            raise IntegrityError("the summary is damaged", where=key) from error


def create_place(store: ObjectStore, keys: Keys, secret: str) -> Place:
    """The place to write to, made on first use.

    Args:
        store: where.
        keys: how to encrypt.
        secret: the secret key of the platform that is backed up, whose place it is from then on.

    Raises:
        ConfigError: no encryption was said, or another than the place has.
        RefusedError: something else lies there, or another platform's backups.
    """
    if keys.method is None:
        raise ConfigError(
            "nothing says how to encrypt the backup",
            hint="--passphrase env:NAME, --recipient age1…, or --unencrypted to do without",
            code="config.no-encryption",
        )
    store.ping()  # which makes a folder that is not there yet
    if not store.exists(_PLACE):
        stranger = next((key for key in store.keys_below() if key != _KEY), None)
        if stranger is not None:
            raise RefusedError(
                f"something else lies there: {stranger}",
                where=store.where,
                hint="choose an empty folder or prefix",
            )
        _, stored = _seal(keys, store, make=True)
        if stored is not None:
            _put_once(store, _KEY, stored)
        owner = _owner(secret)
        text = {"kind": _KIND, "format": FORMAT, "encryption": keys.method, "owner": owner}
        _put_once(store, _PLACE, json.dumps(text, sort_keys=True).encode())
    if _said(store).get("owner") not in (None, _owner(secret)):
        raise RefusedError(
            "backups of another platform lie there: its secret key is not this one's",
            where=store.where,
            hint="give this one a folder or prefix of its own, such as .../NAME",
            code="refused.place-of-another",
        )
    return open_place(store, keys)


def _owner(secret: str) -> str:
    """What tells the platform of a secret key from others, and nothing of the key."""
    return hmac.digest(secret.encode(), b"tabular backup place", "sha256").hex()


def open_place(store: ObjectStore, keys: Keys) -> Place:
    """A place that is there.

    Raises:
        NotFoundError: it is no place of backups.
        IntegrityError: its `place.json` or `key.age` is damaged or missing.
        ConfigError: it is encrypted in another way than was said, or the passphrase is wrong.
    """
    method = _method_of(store)
    if method == sealing.NONE and keys.method in (None, sealing.NONE):
        return Place(store, sealing.Unsealed())
    if keys.method != method:
        raise ConfigError(
            f"the backups there are encrypted by {method}, and that is not what was said",
            where=store.where,
            hint="--passphrase env:NAME opens age-passphrase, --identity file:/key age-recipients; "
            "another encryption needs a place of its own",
            code="config.other-encryption",
        )
    return Place(store, _seal(keys, store, make=False)[0])


def look(store: ObjectStore) -> Place:
    """A place of which only lists and summaries are wanted, which takes no key.

    Raises:
        NotFoundError: it is no place of backups.
    """
    method = _method_of(store)
    if method == sealing.NONE:
        return Place(store, sealing.Unsealed())
    return Place(store, sealing.Age(method, (), ()))


def new_backup_id(now: datetime) -> str:
    """An id that sorts by time."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _method_of(store: ObjectStore) -> str:
    """How the place is encrypted."""
    return str(_said(store)["encryption"])


def _said(store: ObjectStore) -> dict[str, Any]:
    """What the place says of itself, checked."""
    try:
        text = json.loads(b"".join(store.get(_PLACE)))
    except NotFoundError:
        if any(store.keys_below("backups")):
            raise _broken(store, _PLACE, "missing, and backups lie there") from None
        raise NotFoundError(
            "no backups lie there", where=store.where, hint="check the URL"
        ) from None
    except (IntegrityError, ValueError) as error:
        raise _broken(store, _PLACE, "damaged") from error
    if not isinstance(text, dict) or text.get("kind") != _KIND:
        raise _broken(store, _PLACE, "damaged")
    found = text.get("format")
    if isinstance(found, int) and found > FORMAT:
        raise RefusedError(
            "the backups there have a newer format", where=store.where, hint="use a newer release"
        )
    if text.get("encryption") not in sealing.METHODS:
        raise _broken(store, _PLACE, "damaged")
    return text


def _broken(store: ObjectStore, name: str, how: str) -> IntegrityError:
    return IntegrityError(
        f"{name} is {how}",
        where=store.where,
        hint="put it back from another copy of these backups; without it none of them opens",
        code="unavailable.damaged-place",
    )


def _seal(keys: Keys, store: ObjectStore, *, make: bool) -> tuple[Sealing, bytes | None]:
    if keys.unencrypted:
        return sealing.Unsealed(), None
    if keys.passphrase is None:
        return sealing.from_keys(keys.recipients, keys.identity), None
    anew = make and not store.exists(_KEY)
    try:
        stored = None if anew else b"".join(store.get(_KEY))
    except (IntegrityError, NotFoundError) as error:
        how = "missing" if isinstance(error, NotFoundError) else "damaged"
        raise _broken(store, _KEY, how) from error
    return sealing.from_passphrase(keys.passphrase, stored)


def _put_once(store: ObjectStore, key: str, data: bytes) -> None:
    """Store it unless somebody else did just now; then theirs holds."""
    try:
        store.put(key, data, if_absent=True)
    except ConflictError:
        return


def _blob_key(name: str) -> str:
    return f"blobs/{name[:2]}/{name}"


def _blobs_key(backup: str) -> str:
    return f"backups/{backup}/blobs"


def _list(names: Iterable[str]) -> bytes:
    """Names of blobs after their own digest: a name that is damaged would let a blob be removed."""
    text = "\n".join(sorted(names))
    return f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode()


def _is_ours(parts: list[str]) -> bool:
    patterns: dict[tuple[str, int], Callable[[], bool]] = {
        (_PLACE, 1): lambda: True,
        (_KEY, 1): lambda: True,
        ("blobs", 3): lambda: parts[2][:2] == parts[1] and len(parts[2]) == 64,
        ("backups", 3): lambda: parts[2] in ("summary.json", "blobs", "manifest"),
        ("backups", 4): lambda: parts[2] == "checks",
    }
    return patterns.get((parts[0], len(parts)), lambda: False)()
