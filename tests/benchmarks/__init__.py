"""What is timed: each module is run by hand on an idle machine and prints ratios against its peer."""
