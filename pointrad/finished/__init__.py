"""What one does with runs that are done: render other paths, score another split, compare."""
