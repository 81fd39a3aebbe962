"""The review console under `/console/`: the list of calls and one call's page, for a browser."""
