"""Reports of one run: HTML, JUnit and terminal. They read a run folder and nothing else."""
