"""Asking for files of a restore by the names of their copies, instead of listing folders.

    the list of an execution   every file on it, whatever place it had then
    the end of a restore       files that no scan has taken in hand, because their first copy was
                               not found where the catalogue has it

A mover looks at the first copy, and at the next ones if that is not there; what it finds goes the
same way as everything else that movers find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from longshore.database import catalogue, files_in_hand, known_copies
from longshore.domain import paths
from longshore.engine.choosing import Choice, Choosing
from longshore.engine.restoring import source_to
from longshore.pipeline.messages.work import ChosenFile, Further, ScanFolder


@dataclass(frozen=True, slots=True)
class ByName:
    """Makes scan work for files of one restore; what it makes is in hand then."""

    choosing: Choosing

    def scans_of(self, file_ids: Iterable[int]) -> list[ScanFolder]:
        """Work for those of the files that have a copy in the sources and are not in hand."""
        return self._scans(self.choosing.of_files(file_ids))

    def scans_of_page(self, page: int) -> list[ScanFolder]:
        """Work for all files of the catalogue's page that have been archived before the start."""
        plan, connection = self.choosing.plan, self.choosing.connection
        places = [
            (source.storage.reference, source.path)
            for source in plan.sources[: self.choosing.sources_each]
            if not source.range_last
        ]
        if not places:
            return []
        first, last = files_in_hand.ids_of_page(page)
        found = set(known_copies.files_with_copies(connection, first, last, places))
        missed: set[int] = set()
        for destination in self._destinations():
            missed |= found - files_in_hand.in_hand(
                connection, plan.execution_id, destination, page
            )
        choices = self.choosing.of_files(missed)
        # A copy that is written meanwhile is nothing that this restore could have found.
        before = plan.execution_id
        return self._scans(
            {
                file_id: choice
                for file_id, choice in choices.items()
                if choice.first.copy.written_ns < before
            }
        )

    def _destinations(self) -> range:
        """The destinations that files are taken in hand for; original places are one together."""
        plan = self.choosing.plan
        return range(1 if plan.original_place else max(1, len(plan.destinations)))

    def _scans(self, choices: Mapping[int, Choice]) -> list[ScanFolder]:
        scans: list[ScanFolder] = []
        for destination in self._destinations():
            taken = self.choosing.take(destination, choices)
            chosen = {file_id: choices[file_id] for file_id in choices if file_id in taken}
            if self.choosing.plan.original_place:
                scans += self._to_their_places(chosen)
            else:
                scans += self._to_destination(destination, chosen)
        return scans

    def _to_their_places(self, chosen: Mapping[int, Choice]) -> Iterator[ScanFolder]:
        places = catalogue.places_of(self.choosing.connection, list(chosen))
        for file_id, choice in chosen.items():
            place = places.get(file_id)
            if place is None:
                continue
            source = source_to(self.choosing.plan, choice.first.source, place.root_id)
            if source is not None:
                yield self._scan(choice, source, place.folder, place.name)

    def _to_destination(
        self, destination: int, chosen: Mapping[int, Choice]
    ) -> Iterator[ScanFolder]:
        """As a scan of the first copy's source would send the files."""
        for choice in chosen.values():
            index = destination * self.choosing.sources_each + choice.first.source
            source, path = self.choosing.plan.sources[index], choice.first.copy.path
            folder, name = paths.split(path)
            above, _ = paths.split(source.path)
            target = paths.join(source.target, folder[len(above) :].lstrip(b"/"))
            is_source = path == source.path and bool(source.target_name)
            yield self._scan(choice, index, target, source.target_name if is_source else name)

    def _scan(self, choice: Choice, source: int, target: bytes, name: bytes) -> ScanFolder:
        base = source - source % self.choosing.sources_each
        folder, only = paths.split(choice.first.copy.path)
        chosen = ChosenFile(
            target_name=name,
            expected=choice.expected,
            unkept=choice.first.copy.unkept,
            further=choice.further(base) or Further([]),
        )
        return ScanFolder(source, folder, target, only=only, chosen=chosen)
