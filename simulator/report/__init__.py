"""What a person reads of a rehearsal: the result, the verdict, the summary and the page."""
