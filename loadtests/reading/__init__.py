"""What a person and a machine read of load tests: the page, JUnit, and the comparison of several."""
