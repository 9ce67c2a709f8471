"""What am-dbg is told and what its dumps hold; `amdbg_dump` and `amdbg_stream` beside it bring it there."""
