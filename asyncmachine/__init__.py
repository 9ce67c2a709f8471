"""A declarative control-flow library: states are flags with clocks, relations decide what may be active together."""
