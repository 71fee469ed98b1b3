"""Reads a corpus and checks all its items in several processes."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain

from sorigeul.base.process_pool import map_in_order, with_progress
from sorigeul.corpora.checking import Measured, Task
from sorigeul.corpora.counts import SplitCounts
from sorigeul.corpora.duration_cache import CachedDuration, DurationCache
from sorigeul.corpora.names import speaker_name, utf8_name
from sorigeul.corpora.sentence_ends import SentenceEnds
from sorigeul.corpora.spool import Spool
from sorigeul.corpora.utterances import FaultyRecording, Layout, Rejected, Utterance

_CHUNK_SIZE = 64  # items sent to a process at a time


@dataclass
class CorpusContents:
    """What was found in a corpus, except for the utterances themselves."""

    layout: Layout = field(default_factory=lambda: Layout("unknown"))
    ids: set[str] = field(default_factory=set)
    """of the usable utterances"""
    counts: dict[str, SplitCounts] = field(default_factory=lambda: defaultdict(SplitCounts))
    """by the corpus's own split; ``""`` for utterances without one"""
    rejected: list[Rejected] = field(default_factory=list)
    odd_sized: list[str] = field(default_factory=list)
    """ids of headerless recordings that end in half a sample"""
    invisible: Counter[str] = field(default_factory=Counter)
    """characters that nobody sees, and how many of each were removed"""
    with_invisible: list[str] = field(default_factory=list)
    """ids of the utterances with such transcripts"""
    sentence_ends: SentenceEnds = field(default_factory=SentenceEnds)
    """before punctuation was dropped, if it was"""
    faulty: dict[str, list[FaultyRecording]] = field(default_factory=dict)
    """usable recordings whose sound is suspect, by the kind of their fault"""
    punctuation_dropped: bool = False
    """whether it was dropped because some transcripts have it and others do not"""
    marks: Counter[str] = field(default_factory=Counter)
    """kinds of transcription marks, and how many transcripts hold them"""
    with_marks: list[str] = field(default_factory=list)
    """ids of the utterances with such transcripts"""

    def add(self, utterance: Utterance) -> None:
        """Count a usable utterance."""
        self.ids.add(utterance.id)
        self.counts[utterance.split or ""].add(utterance)
        if utterance.recording_name.lower().endswith(".pcm") and utterance.size % 2:
            self.odd_sized.append(utterance.id)
        if utterance.invisible:
            self.with_invisible.append(utterance.id)
            self.invisible.update(utterance.invisible)
        self.sentence_ends.add(utterance.text)
        for fault in utterance.faults or ():
            found = FaultyRecording(utterance.id, fault.reason, utterance.where)
            self.faulty.setdefault(fault.kind, []).append(found)
        if utterance.marks:
            self.with_marks.append(utterance.id)
            self.marks.update(utterance.marks.split())


def read_corpus(
    items: Iterator[Utterance | Rejected | Layout],
    check: Callable[[Task], Measured | str],
    jobs: int,
    cache: DurationCache,
    accepted: Spool,
) -> CorpusContents:
    """Check every item with ``jobs`` processes, and put the usable utterances on ``accepted``.

    ``check`` returns the measured fields of an item, or why it is rejected. New measurements are
    added to ``cache``.
    """
    contents = CorpusContents()
    first_item = next(items, None)
    if isinstance(first_item, Layout):
        contents.layout = first_item
    elif first_item is not None:
        items = chain((first_item,), items)
    tasks = _tasks(items, cache)
    checked = map_in_order(check, tasks, jobs, _CHUNK_SIZE, _task_name)
    with closing(with_progress(checked, "measuring", contents.layout.items)) as results:
        for (item, cached), result in results:
            if isinstance(item, Rejected):
                contents.rejected.append(item)
                continue
            if item.id in contents.ids:
                result = "duplicate id"
            if isinstance(result, str):
                contents.rejected.append(Rejected(item.id, result, item.where))
                continue
            measured = CachedDuration(
                result.size, result.modified, result.recording_duration, result.faults
            )
            if measured != cached:
                cache.add(item.measured_name, measured)
            utterance = replace(item, **result._asdict())
            contents.add(utterance)
            accepted.add(utterance)
    return contents


def _tasks(items: Iterable[Utterance | Rejected | Layout], cache: DurationCache) -> Iterator[Task]:
    for item in items:
        if isinstance(item, Utterance):
            item = replace(
                item,
                id=utf8_name(item.id),
                audio=item.audio.absolute(),
                speaker=speaker_name(item.speaker),
            )
            yield item, cache.take(item.measured_name)
        elif isinstance(item, Rejected):
            yield item, None


def _task_name(task: Task) -> str:
    item, _ = task
    return item.recording_name if isinstance(item, Utterance) else item.item
