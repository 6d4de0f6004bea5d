"""What stands at the destination before a big file is copied, or after a crash: equals, names of
the same file, and what an earlier attempt has published but nobody has recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from longshore.domain.entry import Entry
from longshore.domain.errors import Side
from longshore.domain.outcome import Outcome
from longshore.domain.segments import Layout
from longshore.domain.task import ConflictResolution
from longshore.pipeline import links, passes
from longshore.pipeline.hashing import Hasher
from longshore.pipeline.messages.work import CopyMode, Segments
from longshore.pipeline.passes import Expected, Found, Read
from longshore.pipeline.planning import by_rule, identical
from longshore.pipeline.published import OUTCOMES, final_names, look, look_first
from longshore.pipeline.transfer import Finished
from longshore.pipeline.writing import Writer
from longshore.storage.handler import Folder, SourceFile, StagedFile


@dataclass(frozen=True, slots=True)
class Link:
    """A further name of a file that was copied, staged, with what is known of that file."""

    file: StagedFile
    hasher: Hasher
    lost: bytes


@dataclass(slots=True)
class Recogniser:
    """Looks for one opened source. Long comparisons go on in the mover's next slice."""

    writer: Writer
    reader: SourceFile
    entry: Entry
    target: Folder
    linkable: bool = True  # as far as is known

    def settle(self) -> Finished | CopyMode | None:
        """The end of the file, or how it is to be copied; None when the slice has ended."""
        planned, group, toolbox = self.writer.planned, self.writer.group, self.writer.toolbox
        mode = planned.mode
        if mode is CopyMode.CHECK:
            seen = look_first(planned, group.source, self.target, toolbox)
            if isinstance(seen, Outcome):
                return Finished(entry=self.entry, outcome=seen)
            mode = seen
        compare = mode is CopyMode.COMPARE
        for name, existing in self._standing(CopyMode.NEW if compare else mode):
            if not (compare or self._is_identical(existing)):
                continue
            found = self._compare(self.target, name, existing)
            if found is Found.UNFINISHED:
                return None
            if isinstance(found, Hasher):
                return self._finished(OUTCOMES.get(mode, Outcome.IDENTICAL), name, found)
        if not compare:
            return mode
        decided = by_rule(toolbox.plan.conflict)
        return (
            Finished(entry=self.entry, outcome=decided) if isinstance(decided, Outcome) else decided
        )

    def published(self, big: Segments, mode: CopyMode) -> Finished | Found:
        """The file if it has its final name already: its staged one is gone, it was not recorded.

        Compared with the digests, so that nothing of the source is read again.
        """
        layout = Layout(big.source.size, big.segment_bytes)
        for name, existing, how in self._published_names(mode):
            if not self._is_identical(existing):
                continue
            key = ("published", name, big.begun_ns, existing.identity, existing.mtime_ns)
            with self.target.open(name) as file:
                found = self._pass(key, file.read_into, big.digests.__getitem__, layout)
            if found is Found.UNFINISHED:
                return found
            if isinstance(found, Hasher):
                return self._finished(OUTCOMES[how], name, found)
        return Found.DIFFERENT

    def link(self) -> Link | Found:
        """A link to another name of the file that was copied before; DIFFERENT: there is none."""
        toolbox, source = self.writer.toolbox, self.writer.group.source
        if not links.are_kept(self.entry, source, toolbox):
            return Found.DIFFERENT
        anchor = links.anchor_of(self.entry, source, toolbox)
        self.writer.where.side = Side.DESTINATION
        with links.open_folder(anchor, toolbox) as folder:
            existing = look(folder, anchor.name)
            if existing is None:
                return Found.DIFFERENT
            # Not the name of the staged file: that may be half copied, and has to stay so.
            temporary = links.link_name(self.writer.temporary_name)
            file = links.link_to(anchor, self.target, temporary, toolbox)
            self.linkable = file is not None
            if file is None:
                return Found.DIFFERENT
            hasher = self._compare(folder, anchor.name, existing)
            if hasher is Found.UNFINISHED:
                return Found.UNFINISHED
            if not isinstance(hasher, Hasher):
                file.abort()
                folder.remove(anchor.name)  # a loss of power came before its content was safe
                return Found.DIFFERENT
            attributes = self.reader.attributes()
            lost = links.keep_again(folder, anchor, self.entry, attributes, toolbox)
        return Link(file, hasher, lost)

    # ------------------------------------------------------------------ inside

    def _standing(self, mode: CopyMode) -> Iterator[tuple[bytes, Entry]]:
        """What stands under the names that the file may have got, up to the first free one."""
        for name in final_names(self.writer.planned.target_name, mode):
            existing = look(self.target, name)
            if existing is None:
                return
            yield name, existing

    def _published_names(self, mode: CopyMode) -> Iterator[tuple[bytes, Entry, CopyMode]]:
        for name, existing in self._standing(mode):
            yield name, existing, mode
        renames = self.writer.toolbox.plan.conflict is ConflictResolution.RENAME
        if mode is CopyMode.NEW and renames:  # its name may have been taken when it was published
            for name, existing in self._standing(CopyMode.RENAME):
                yield name, existing, CopyMode.RENAME

    def _is_identical(self, existing: Entry) -> bool:
        resolution = self.writer.toolbox.resolution_of(self.writer.group.source)
        return identical(self.entry, existing, resolution)

    def _compare(self, folder: Folder, name: bytes, existing: Entry) -> Hasher | Found:
        """The hashes if both files are equal."""
        entry, toolbox = self.entry, self.writer.toolbox
        layout = Layout(entry.size, toolbox.plan.segment_bytes)
        key = ("compare", name, entry.size, entry.mtime_ns, existing.identity, existing.mtime_ns)
        with folder.open(name) as file:

            def expected(index: int) -> bytes:
                return passes.digest_of(self.reader.read_into, index, layout, toolbox.buffer)

            return self._pass(key, file.read_into, expected, layout)

    def _pass(
        self, key: tuple[object, ...], read: Read, expected: Expected, layout: Layout
    ) -> Hasher | Found:
        toolbox, name = self.writer.toolbox, self.writer.temporary_name
        present = passes.take(name, key, toolbox)
        found = present.advance(layout.count, read, expected, layout, toolbox)
        if found is Found.UNFINISHED:
            passes.keep(name, present, toolbox)
        return present.hasher if found is Found.EQUAL else found

    def _finished(self, outcome: Outcome, name: bytes, hasher: Hasher) -> Finished:
        return Finished(
            entry=self.entry,
            outcome=outcome,
            target_name=name,
            xxh3_128=hasher.xxh3_128(),
            checksum=hasher.checksum(),
        )
