"""HTML pages that hold all they show: what those of several commands have in common."""
