"""How an operation gets its turn: the one thing that differs between the versions compared."""
