"""`models prepare`: brings a preset's files to this machine, after saying what they are, from whom, and how large."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from m2hf_core.aside import explained, write_file
from m2hf_core.errors import BadModelFile, ModelsMissing
from m2hf_core.hub.fetch import fetch, refuse_if_offline, stated_digest
from m2hf_core.hub.files import digest_of, locate, sha256_of, statement_of, with_stated
from m2hf_core.hub.manifest import Manifest, Preset, WeightFile, load_manifest
from m2hf_core.hub.place import GOES_ON, megabytes, need_room, part_of, stream, target_of
from m2hf_core.hub.verify import Finding, judge, judge_digest
from m2hf_core.progress import Progress


@dataclass(frozen=True, slots=True)
class Plan:
    """What preparing a preset would do."""

    fetch: tuple[WeightFile, ...]
    refused: tuple[WeightFile, ...]
    """Missing, but without anything to check them by, or nothing that a download could bring."""
    bytes: int
    """Of those files of `fetch` whose size is known."""
    lines: tuple[str, ...]
    """For people: each file with its size, licence and address, then the sum."""


def plan(preset: Preset, manifest: Manifest | None = None) -> Plan:
    """Which files are missing or wrong, and what fetching them means. No network."""
    absent = [weight for weight in (manifest or load_manifest()).files(preset) if not _is_right(weight)]
    wanted = tuple(weight for weight in absent if _may_be_fetched(weight))
    refused = tuple(weight for weight in absent if not _may_be_fetched(weight))
    size = sum(weight.size_bytes or 0 for weight in wanted)
    lines = [f"{_describe(weight)}, from {weight.url}{_how_checked(weight)}" for weight in wanted]
    lines += [f"{_describe(weight)}: not fetched, {_why_not(weight)}" for weight in refused]
    unknown = " and files of unknown size" if any(weight.size_bytes is None for weight in wanted) else ""
    lines.append(f"{megabytes(size)}{unknown} to fetch." if wanted else "Nothing to fetch.")
    return Plan(wanted, refused, size, tuple(lines))


def prepare(preset: Preset, progress: Progress, manifest: Manifest | None = None) -> list[Finding]:
    """Fetch what is missing; the findings of the files fetched, all `ok`.

    A file that nothing could be checked by is never fetched: nobody could say whether the right one came. Raises
    `ModelsMissing` for it before anything is fetched, `KnownError` for the network's failures, `DiskFull`,
    `BadModelFile` for a wrong digest, `Interrupted`. What has arrived stays for the next time.
    """
    todo = plan(preset, manifest)
    for weight in todo.refused:
        if weight.package is None:  # else only its own branch goes without it, and says so
            raise _cannot_fetch(weight)
    if not todo.fetch:
        return []
    refuse_if_offline()
    arrived = sum(part.stat().st_size for part in map(part_of, map(target_of, todo.fetch)) if part.exists())
    need_room(todo.bytes - arrived)
    wanted = [_with_digest(weight) for weight in todo.fetch]
    findings = []
    for url, group in groupby(wanted, key=lambda weight: weight.url):
        if url is None:
            raise ValueError("a file with a digest has no address")
        weights = list(group)
        if weights[0].member is None:
            findings += [_fetch_file(url, weight, progress) for weight in weights]
        else:
            findings += _fetch_archive(url, weights, progress)
    return findings


def _with_digest(weight: WeightFile) -> WeightFile:
    """Ask the publisher where the manifest cannot tell; what it states is kept, so that later changes are noticed."""
    known = with_stated(weight)
    if known.sha256 is not None:
        return known
    if weight.url is None or weight.hub is None or weight.hub.revision is None:
        raise ValueError(f"nothing is known that {weight.id} could be checked by")
    known = replace(weight, sha256=stated_digest(weight.url, weight.hub.revision))
    write_file(statement_of(weight), f"{known.sha256}  {target_of(weight).name}\n".encode())
    return known


def _fetch_file(url: str, weight: WeightFile, progress: Progress) -> Finding:
    target = target_of(weight)
    part = part_of(target)
    progress.start(f"fetch {weight.id}", weight.size_bytes or 0, "bytes")
    fetch(url, part, progress)
    progress.start(f"check {weight.id}", part.stat().st_size, "bytes")
    return _settle(weight, part, judge(weight, part, progress))


def _fetch_archive(url: str, weights: list[WeightFile], progress: Progress) -> list[Finding]:
    archive = part_of(target_of(weights[0]).parent / url.rsplit("/", 1)[-1])
    progress.start(f"fetch {archive.stem}", unit="bytes")
    fetch(url, archive, progress)
    try:
        return [unpack(archive, weight, progress) for weight in weights]
    finally:
        archive.unlink()  # whole or damaged: nothing more is to be had from it


def unpack(archive: Path, weight: WeightFile, progress: Progress) -> Finding:
    """Take one member out of a zip archive into the models folder. `BadModelFile` when it is not the right one."""
    part = part_of(target_of(weight))
    try:
        with zipfile.ZipFile(archive) as bundle, bundle.open(weight.member or "") as member:
            digest = stream(member, part, progress)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise BadModelFile(
            f"The archive {archive.name} is damaged or another one.", "Start again.", repr(error)
        ) from error
    return _settle(weight, part, judge_digest(weight, part, digest))


def _settle(weight: WeightFile, part: Path, finding: Finding) -> Finding:
    """Give a checked file its name; a wrong one is removed, since continuing it would never make it right."""
    target = target_of(weight)
    if finding.state != "ok":
        digest = sha256_of(part)
        part.unlink()
        statement_of(weight).unlink(missing_ok=True)  # the next attempt asks again
        raise BadModelFile(
            f"What arrived for {weight.id} is not the published file, so it was removed.",
            "Start again; if it happens again, the publisher has changed the file.",
            f"expected {weight.sha256}, got {digest}",
        )
    with explained(target, GOES_ON):
        part.replace(target)
    return judge_digest(weight, target, digest_of(target))


def _is_right(weight: WeightFile) -> bool:
    """Whether a file is here and, as far as can be told, the published one."""
    weight, path = with_stated(weight), locate(weight)
    return path is not None and (weight.sha256 is None or weight.accepts(digest_of(path)))


def _may_be_fetched(weight: WeightFile) -> bool:
    """A file without digest only where its address names a revision, so that the publisher's word is about it."""
    pinned = weight.hub is not None and weight.hub.revision is not None
    return (weight.sha256 is not None or pinned) and not weight.shipped and weight.package is None


def _why_not(weight: WeightFile) -> str:
    if weight.package is not None:
        return f"it comes with the package {weight.package}"
    return "it comes with this program" if weight.shipped else "its digest is unknown"


def _how_checked(weight: WeightFile) -> str:
    return "" if with_stated(weight).sha256 else ", to be checked by what its publisher states of it"


def _describe(weight: WeightFile) -> str:
    return f"{weight.purpose}: {weight.file}, {megabytes(weight.size_bytes)}, licence {weight.licence}"


def _cannot_fetch(weight: WeightFile) -> ModelsMissing:
    if weight.shipped:
        return ModelsMissing(
            f"The shipped file {weight.file} is missing or changed.", "Install the program again."
        )
    return ModelsMissing(
        f"{weight.id} is not fetched: its digest is unknown to this program, so it could not be checked.",
        f"Get {weight.url} in a browser, save it as {Path(weight.file).name}, and bring it with "
        "`m2hf-app models import FOLDER`; or choose another preset, such as fast.",
    )
