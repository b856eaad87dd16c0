"""Studies: many runs that answer one question, and the report that says what they found."""
