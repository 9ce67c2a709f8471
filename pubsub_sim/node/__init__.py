"""One running node: its public interface, its streams, its validation and the interface to a driver."""
