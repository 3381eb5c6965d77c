"""What benchmarks of many streams share: contenders that take turns, and their ratios, tables and plots."""
