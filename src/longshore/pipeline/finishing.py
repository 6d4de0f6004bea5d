"""Verifying a big file, giving it its metadata, and publishing it."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.errors import Side, Stage, StorageError
from longshore.domain.segments import Layout
from longshore.pipeline import content, links, passes
from longshore.pipeline.content import Written
from longshore.pipeline.hashing import Hasher
from longshore.pipeline.keeping import keep, original, without_link
from longshore.pipeline.messages.work import CopyMode, Segments
from longshore.pipeline.passes import Found
from longshore.pipeline.publish import publish
from longshore.pipeline.recognising import Link
from longshore.pipeline.transfer import Finished, Staged, check_expected
from longshore.pipeline.writing import Writer, changed, take_pass, written_without_gap
from longshore.storage.handler import Folder, SourceFile, StagedFile


@dataclass(slots=True)
class Finisher:
    """Takes a file from its last written segment to its final name."""

    writer: Writer
    mode: CopyMode
    entry: Entry
    target: Folder
    linkable: bool  # as far as is known
    followed: int = 0  # segments that the pass has behind it

    def verify(self, big: Segments, reader: SourceFile, file: StagedFile) -> Hasher | None:
        """The hashes of the whole file, None while it is unfinished; raises on a mismatch."""
        writer, toolbox = self.writer, self.writer.toolbox
        layout = Layout(big.source.size, big.segment_bytes)
        written = written_without_gap(big)
        present = writer.carried or take_pass(writer.temporary_name, big, toolbox)
        writer.where.stage, writer.where.side = Stage.VERIFY, Side.DESTINATION
        confirmed = content.confirms_content(writer.group.source, toolbox)
        if toolbox.plan.verify_from_medium and not present.next:
            file.drop_cache()
        if confirmed:
            writer.where.side = Side.SOURCE
        read = reader.read_into if confirmed else file.read_into
        found = present.advance(written, read, big.digests.__getitem__, layout, toolbox)
        if found is Found.DIFFERENT:
            raise changed(writer.path) if confirmed else self._mismatch()
        self.followed = present.next
        if found is Found.UNFINISHED or written < layout.count:
            passes.keep(writer.temporary_name, present, toolbox)
            return None
        if not confirmed and file.size() != layout.size:
            raise self._mismatch()
        return present.hasher

    def describe(self, reader: SourceFile, file: StagedFile, hasher: Hasher) -> Written:
        """Give the staged file its metadata; what is known of it then."""
        writer, entry = self.writer, self.entry
        check_expected(writer.planned, hasher.xxh3_128(), writer.path, writer.where)
        attributes = reader.attributes()
        if entry.allocated_bytes < entry.size and not content.has_holes(
            entry, writer.group.source, writer.toolbox
        ):
            content.warn_of_filled_holes(reader, entry, writer.group.source, writer.toolbox)
        kept = original(entry, attributes, writer.planned.unkept)
        return self._written(hasher, keep(file.set_metadata, *kept, writer.toolbox))

    def publish(self, file: StagedFile, written: Written) -> Finished | None:
        """Publish the staged file, which is closed. None: it is to be a link to another name."""
        if self.entry.links > 1:
            anchored = self._anchor(paths.join(self.target.path, self.writer.temporary_name))
            if anchored is links.Anchored.TAKEN:
                return None
            if anchored is links.Anchored.IMPOSSIBLE:
                lost = without_link(written.lost, self.writer.toolbox)
                written = Written(
                    entry=written.entry,
                    xxh3_128=written.xxh3_128,
                    checksum=written.checksum,
                    lost=lost,
                )
        return self._publish(file, written)

    def publish_link(self, link: Link) -> Finished:
        return self._publish(link.file, self._written(link.hasher, link.lost))

    # ------------------------------------------------------------------ inside

    def _anchor(self, staged_path: bytes) -> links.Anchored | None:
        """Let the further names of the file share the staged one; None if it need not be."""
        source, toolbox = self.writer.group.source, self.writer.toolbox
        if not self.linkable:
            return links.Anchored.IMPOSSIBLE
        if links.are_kept(self.entry, source, toolbox):
            # Before anybody may link to it: what an anchor holds survives a loss of power.
            toolbox.make_durable({source})
            anchor = links.anchor_of(self.entry, source, toolbox)
            return links.make_anchor(staged_path, anchor, toolbox)
        lost = links.are_lost(self.entry, source, toolbox)
        return links.Anchored.IMPOSSIBLE if lost else None

    def _publish(self, file: StagedFile, written: Written) -> Finished:
        writer, toolbox = self.writer, self.writer.toolbox
        writer.where.stage, writer.where.side = Stage.PUBLISH, Side.DESTINATION
        staged = Staged(
            group=writer.group,
            planned=writer.planned,
            mode=self.mode,
            target=self.target,
            file=file,
            written=written,
            bytes_copied=0,
        )
        toolbox.make_durable({writer.group.source})
        result = publish(staged, toolbox)
        toolbox.make_durable({writer.group.source})
        return result

    def _written(self, hasher: Hasher, lost: bytes) -> Written:
        return Written(
            entry=self.entry, xxh3_128=hasher.xxh3_128(), checksum=hasher.checksum(), lost=lost
        )

    def _mismatch(self) -> StorageError:
        writer = self.writer
        return content.mismatch(paths.join(writer.group.target, writer.planned.target_name))
