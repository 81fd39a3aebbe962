"""REST under `/v1`: what programs read of the calls, and the OpenAPI document that describes it."""
