"""What each role must have made of a bare machine: testinfra, run by molecule's step verify."""
