"""An interactive timeline of a record, as one self-contained page, and a static picture of it.

timeline(record)                    # in a notebook: lanes to zoom, point at and click on
timeline(record, other)             # two runs one above the other
message_path(record, flow)          # the points of one flow and their order
timeline(record).save("run.html")
timeline_figure(record)             # a matplotlib picture, for documents
"""

from asyncmachine.export.timeline.figure import StillPicture, message_figure, timeline_figure
from asyncmachine.export.timeline.shown import Timeline, UnknownFlowError, message_path, timeline

__all__ = [
    "StillPicture",
    "Timeline",
    "UnknownFlowError",
    "message_figure",
    "message_path",
    "timeline",
    "timeline_figure",
]
