"""The messages of am-dbg and the contents of its dumps, used by `amdbg_dump` and `amdbg_stream`."""
