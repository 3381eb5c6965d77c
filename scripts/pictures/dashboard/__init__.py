"""Draws the Grafana dashboard of `deploy/`, with the data of servers under load that a real Prometheus scraped.

It is no picture of Grafana: the panels are drawn from the dashboard's file, at their places, with their titles,
legends, units and thresholds, and with what Prometheus answers to their expressions.

    python -m scripts.pictures.dashboard [--keep DATA.json | --redraw DATA.json]

The run takes 7 minutes, and a `prometheus` in PATH (a Debian package). Its data differ from run to run.
"""
