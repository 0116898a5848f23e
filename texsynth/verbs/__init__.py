"""One builder a verb: what was asked for, read and checked, becomes a job."""
