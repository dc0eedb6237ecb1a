"""The record of a run: what clients, observers and faults did, in one file, on one clock."""

from halab.history.codec import RecordError, encode
from halab.history.model import History, Operation
from halab.history.reader import HistoryError, RecordFile, read_history, read_records
from halab.history.records import (
    Complete,
    FaultEvent,
    FinalRead,
    Header,
    Invoke,
    Json,
    Observation,
    Opaque,
    Phase,
    Record,
)
from halab.history.writer import HistoryWriter, WriterError

__all__ = [
    "Complete",
    "FaultEvent",
    "FinalRead",
    "Header",
    "History",
    "HistoryError",
    "HistoryWriter",
    "Invoke",
    "Json",
    "Observation",
    "Opaque",
    "Operation",
    "Phase",
    "Record",
    "RecordError",
    "RecordFile",
    "WriterError",
    "encode",
    "read_history",
    "read_records",
]
