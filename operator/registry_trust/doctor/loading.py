"""Loading: what a runtime's loader opens in one directory, file by file, read as the loader would find it."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from registry_trust.agent import regular_file
from registry_trust.agent.runtime.configuration_files import (
    SIZE_LIMIT,
    ConfigurationFiles,
    UnreadableConfiguration,
)
from registry_trust.core import hosts_toml
from registry_trust.core.carried import Carried, NotCarried
from registry_trust.core.layout import AUTHORITIES, CERTIFICATE, ENDINGS, HOSTS_FILE, KEY, Reader
from registry_trust.core.reasons import Reason
from registry_trust.core.text import escape, listing
from registry_trust.doctor import files as contents
from registry_trust.doctor.evidence import Effect, FileSeen, FileUse, Lookup, PullError, Symptom

MOST_NAMES = 1000
"""Names of one directory that are looked at."""

MOST_FILES = 64
"""Files that are opened for one registry and reader."""

_BY_CONTAINERD = frozenset({Reader.CONTAINERD, Reader.DOCKERD_CONTAINERD})


@dataclass(frozen=True, slots=True)
class _Loads:
    """What a loader takes, as paths on the host: CA files and client pairs, each once, and the `hosts.toml`."""

    hosts: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    symptoms: tuple[Symptom, ...] = ()


class Loading:
    """Opens what loaders open, through the mounts of this process; nothing that is read of a key is kept."""

    def __init__(self, host: ConfigurationFiles, now: float) -> None:
        """Read by paths on the host; `now` is Unix time by the node's clock."""
        self._host = host
        self._now = now

    def directory(self, found: Lookup) -> Lookup:
        """Return a lookup with what its reader's loader takes in its directory, and what it says of it."""
        try:
            here = Path(self._host.place_of(found.path))
            status = here.stat()
            names = self._names(here) if stat.S_ISDIR(status.st_mode) else {}
        except (OSError, UnreadableConfiguration) as error:
            said = Symptom(Effect.UNKNOWN, f"{escape(found.path)} {_why(error)}")
            return replace(found, symptoms=(said,))
        if not stat.S_ISDIR(status.st_mode):
            what = f"{escape(found.path)} is not a directory, and each pull fails on it"
            said = Symptom(Effect.FAILS, what, "", Reason.FOREIGN_FILE, PullError.NOT_A_DIRECTORY)
            return self._with_fix(replace(found, symptoms=(said,)))
        by_containerd = found.reader in _BY_CONTAINERD
        loads = self._by_containerd(found, names) if by_containerd else self._by_names(found.path, names)
        seen = tuple(islice(self._files(loads, found.reader), MOST_FILES))
        exposed = self._exposed(found.path, status.st_mode, seen)
        return self._with_fix(replace(found, files=seen, symptoms=(*loads.symptoms, *exposed)))

    def _names(self, here: Path) -> dict[str, bool]:
        """Return the names in a directory, and whether each is one (or a link to one)."""
        with os.scandir(here) as entries:
            found = [entry.name for entry in islice(entries, MOST_NAMES)]
        return {name: (here / name).is_dir() for name in sorted(found)}

    def _by_containerd(self, found: Lookup, names: Mapping[str, bool]) -> _Loads:
        """Read as containerd does (hosts.go, loadHostDir): what a `hosts.toml` names, or else the files' endings."""
        path, place = found.path, f"{found.path}/{HOSTS_FILE}"
        plain = [name for name, is_directory in names.items() if not is_directory]
        by_names = hosts_toml.from_files([name for name in plain if name.endswith(ENDINGS)], path) or Carried()
        if HOSTS_FILE not in names:
            return _united(by_names)
        try:
            data = self._read(place)
        except (OSError, UnreadableConfiguration) as failure:
            error = PullError.A_DIRECTORY if names[HOSTS_FILE] else None
            effect = Effect.FAILS if names[HOSTS_FILE] else Effect.UNKNOWN
            said = Symptom(effect, f"{escape(place)} {_why(failure)}", "", Reason.FOREIGN_FILE, error)
            return _Loads((place,), symptoms=(said,))
        if not data:
            return _united(by_names)
        try:
            hosts_toml.load(data)
        except ValueError as error:
            gist = (
                f"{escape(place)} is not valid TOML ({escape(str(error), 120)}); containerd logs it and takes the "
                "files next to it"
            )
            said = Symptom(
                Effect.FAILS, gist, f"Correct or remove {escape(place)}", Reason.FOREIGN_FILE, PullError.INVALID_HOSTS
            )
            return replace(_united(by_names), hosts=(place,), symptoms=(said,))
        parsed = hosts_toml.parse(data, path)
        if isinstance(parsed, NotCarried):
            said = Symptom(
                Effect.UNKNOWN, f"{escape(place)}: {parsed.why}, so it is not known what it loads", parsed.fix
            )
            return _Loads((place,), symptoms=(said,))
        loads = replace(_united(parsed), hosts=(place,))
        return replace(loads, symptoms=() if found.ours else tuple(_of_hosts(place, parsed, by_names)))

    def _by_names(self, path: str, names: Mapping[str, bool]) -> _Loads:
        """Read as dockerd and containers-image do: every file by its ending, and half a pair is an error."""
        symptoms = [
            Symptom(
                Effect.FAILS,
                f"{escape(f'{path}/{name}')} is a directory",
                "",
                Reason.FOREIGN_FILE,
                PullError.A_DIRECTORY,
            )
            for name, is_directory in names.items()
            if is_directory and name.endswith(ENDINGS)
        ]
        for name in names:
            stem, dot, ending = name.rpartition(".")
            if f"{dot}{ending}" == CERTIFICATE and f"{stem}{KEY}" not in names:
                found = f"{escape(f'{path}/{name}')} has no {escape(stem)}{KEY} next to it"
                symptoms.append(Symptom(Effect.FAILS, found, "", Reason.PAIR_INCOMPLETE, PullError.NO_KEY))
            if f"{dot}{ending}" == KEY and f"{stem}{CERTIFICATE}" not in names:
                found = f"{escape(f'{path}/{name}')} has no {escape(stem)}{CERTIFICATE} next to it"
                symptoms.append(Symptom(Effect.FAILS, found, "", Reason.PAIR_INCOMPLETE, PullError.NO_CERTIFICATE))
        plain = [name for name, is_directory in names.items() if not is_directory]
        pairs = tuple(
            (f"{path}/{name}", f"{path}/{name.removesuffix(CERTIFICATE)}{KEY}")
            for name in plain
            if name.endswith(CERTIFICATE) and f"{name.removesuffix(CERTIFICATE)}{KEY}" in plain
        )
        roots = tuple(f"{path}/{name}" for name in plain if name.endswith(AUTHORITIES))
        return _Loads((), roots, pairs, tuple(symptoms))

    def _files(self, loads: _Loads, reader: Reader) -> Iterator[FileSeen]:
        for path in loads.hosts:
            yield self._seen(FileSeen(path, FileUse.HOSTS))
        for path in loads.authorities:
            yield self._authorities(path, reader)
        for certificate, key in loads.pairs:
            yield from self._pair(certificate, key)

    def _authorities(self, path: str, reader: Reader) -> FileSeen:
        seen, data = self._opened(FileSeen(path, FileUse.AUTHORITIES), PullError.CA_MISSING)
        if data is None and reader is Reader.CONTAINERS:
            # containers-image of today skips a file that is gone, earlier ones refuse it (tlsclientconfig).
            doubts = tuple(replace(each, effect=Effect.UNKNOWN) for each in seen.symptoms)
            return replace(seen, symptoms=doubts)
        if data is None:
            return seen
        found = contents.authorities(path, data, self._now, lenient=reader not in _BY_CONTAINERD)
        symptoms = list(found.symptoms)
        key = f"{path.removesuffix(AUTHORITIES)}{KEY}"
        if path.endswith(AUTHORITIES) and self._exists(key):
            gist = f"{escape(path)} is taken for a CA by its ending, and {escape(key)} is next to it"
            fix = f"If it is a client certificate, it has to end in {CERTIFICATE}"
            symptoms.append(Symptom(Effect.UNKNOWN, gist, fix, Reason.PAIR_INCOMPLETE, PullError.CERTIFICATE_REQUIRED))
        return replace(seen, certificates=found.certificates, symptoms=tuple(symptoms))

    def _pair(self, certificate: str, key: str) -> Iterator[FileSeen]:
        one, data = self._opened(FileSeen(certificate, FileUse.CERTIFICATE), PullError.CA_MISSING)
        if data is not None:
            found = contents.client_certificate(certificate, data, self._now)
            one = replace(one, certificates=found.certificates, symptoms=found.symptoms)
        if key == certificate:
            if data is not None and b"PRIVATE KEY-----" not in data:
                gist = f"{escape(certificate)} has no private key in it or next to it"
                said = Symptom(Effect.FAILS, gist, "", Reason.PAIR_INCOMPLETE, PullError.NOT_A_KEY)
                one = replace(one, symptoms=(*one.symptoms, said))
            yield one
            return
        yield one
        two, secret = self._opened(FileSeen(key, FileUse.KEY), PullError.CA_MISSING)
        if secret is not None:
            symptoms = contents.client_key(key, secret).symptoms
            if not symptoms and data is not None and not one.symptoms and self._differ(certificate, key):
                gist = f"{escape(key)} is not the key of {escape(certificate)}"
                symptoms = (Symptom(Effect.FAILS, gist, "", Reason.KEY_MISMATCH, PullError.MISMATCH),)
            two = replace(two, symptoms=symptoms)
        yield two

    def _differ(self, certificate: str, key: str) -> bool:
        """Say whether OpenSSL finds that a key is another certificate's; what else it refuses, Go may take."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_cert_chain(self._host.place_of(certificate), self._host.place_of(key), password="")
        except ssl.SSLError as error:
            return error.reason == "KEY_VALUES_MISMATCH"
        except (OSError, ValueError, UnreadableConfiguration):
            return False
        return False

    def _opened(self, seen: FileSeen, missing: PullError) -> tuple[FileSeen, bytes | None]:
        """Return a file with its attributes, and its bytes; without them, with the words that a loader has for it."""
        seen = self._seen(seen)
        try:
            return seen, self._read(seen.path)
        except FileNotFoundError:
            gist = f"{escape(seen.path)} is not there, or is a link that leads nowhere"
            said = Symptom(Effect.FAILS, gist, "", Reason.FOREIGN_FILE, missing)
        except (OSError, UnreadableConfiguration) as error:
            said = Symptom(Effect.UNKNOWN, f"{escape(seen.path)} {_why(error)}")
        return replace(seen, symptoms=(said,)), None

    def _seen(self, seen: FileSeen) -> FileSeen:
        try:
            status = Path(self._host.place_of(seen.path)).stat()
        except (OSError, UnreadableConfiguration):
            return seen
        return replace(seen, mode=stat.S_IMODE(status.st_mode), owner=status.st_uid)

    def _exists(self, path: str) -> bool:
        try:
            return os.path.lexists(self._host.place_of(path))
        except UnreadableConfiguration:
            return False

    def _read(self, path: str) -> bytes:
        return regular_file.read(self._host.place_of(path), SIZE_LIMIT)

    def _exposed(self, path: str, mode: int, seen: tuple[FileSeen, ...]) -> list[Symptom]:
        """Say which keys others may read, or keep an ordinary user's tools from the directory that they can enter."""
        keys = [each for each in seen if each.use is FileUse.KEY and each.mode is not None]
        read = [escape(each.path) for each in keys if (each.mode or 0) & (stat.S_IRGRP | stat.S_IROTH)]
        said = []
        if read:
            gist = f"{listing(read)} can be read by others than root"
            said.append(Symptom(Effect.NOTE, gist, f"chmod 0600 {read[0]}"))
        closed = [escape(each.path) for each in keys if not (each.mode or 0) & stat.S_IROTH]
        if closed and mode & stat.S_IXOTH:
            gist = f"{escape(path)} can be entered by everybody, and {listing(closed)} can't be read by all"
            said.append(Symptom(Effect.NOTE, gist, "", None, PullError.FORBIDDEN))
        return said

    def _with_fix(self, found: Lookup) -> Lookup:
        """Say what is to be done about a bad file: it depends on who wrote the directory."""
        if found.ours:
            fix = "Wait a few seconds: the agent writes it again. If it stays so, see the agent's log on this node"
        else:
            fix = f"Move {escape(found.path)} away: registry-trust did not write it"

        def fixed(symptom: Symptom) -> Symptom:
            return replace(symptom, fix=fix) if symptom.effect is Effect.FAILS and not symptom.fix else symptom

        return replace(
            found,
            symptoms=tuple(map(fixed, found.symptoms)),
            files=tuple(replace(each, symptoms=tuple(map(fixed, each.symptoms))) for each in found.files),
        )


def _why(error: OSError | UnreadableConfiguration) -> str:
    """Say why something can't be read; a refusal of `regular_file` begins with a verb."""
    if isinstance(error, regular_file.Refused):
        return str(error)
    words = error.strerror if isinstance(error, OSError) else str(error)
    return f"can't be read: {escape(str(words), 400)}"


def _united(carried: Carried) -> _Loads:
    hosts = carried.everything()
    roots = tuple(dict.fromkeys(path for host in hosts for path in host.ca or ()))
    pairs = tuple(dict.fromkeys(pair for host in hosts for pair in host.client or ()))
    return _Loads((), roots, pairs)


def _of_hosts(place: str, parsed: Carried, beside: Carried) -> Iterator[Symptom]:
    """Say what a valid `hosts.toml` means for the certificates next to it, and for the registry's own."""
    unverified = [host.shown() for host in parsed.everything() if host.skip_verify]
    if unverified:
        found = f"{escape(place)} sets skip_verify: containerd does not verify {listing(unverified)}"
        yield Symptom(Effect.NOTE, found, "", Reason.RUNTIME_IGNORES_TLS)
    named = {path for host in parsed.everything() for path in host.ca or ()}
    ignored = [escape(path) for path in beside.root.ca or () if path not in named]
    if ignored and not parsed.refused_by():
        found = f"{escape(place)} names its files itself: containerd does not read {listing(ignored)}"
        yield Symptom(
            Effect.UNKNOWN, found, f"Name it in {escape(place)} (ca = [...])", None, PullError.UNKNOWN_AUTHORITY
        )
