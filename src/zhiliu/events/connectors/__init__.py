"""Files and other platforms → checked frames of events, videos and people. Nothing here writes to a store."""

from zhiliu.events.connectors.checks import RejectedRow
from zhiliu.events.connectors.fields import KINDS, ROW, FileError, Kind
from zhiliu.events.connectors.files import Format, fingerprint
from zhiliu.events.connectors.kuairand import Folder, open_kuairand
from zhiliu.events.connectors.mapping import FlagError, Mapping, MappingError
from zhiliu.events.connectors.source import Checked, Chunk, Source, open_source
from zhiliu.events.connectors.stubs import stubs

__all__ = [
    "KINDS",
    "ROW",
    "Checked",
    "Chunk",
    "FileError",
    "FlagError",
    "Folder",
    "Format",
    "Kind",
    "Mapping",
    "MappingError",
    "RejectedRow",
    "Source",
    "fingerprint",
    "open_kuairand",
    "open_source",
    "stubs",
]
