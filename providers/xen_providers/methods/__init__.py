"""Methods: what clients give them, how their work is done or undone, and what each service does (DSP1042, DSP1041)."""
